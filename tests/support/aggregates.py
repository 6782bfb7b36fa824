"""Outputs of every kind that questions over all keys are asked of."""

from __future__ import annotations

import json
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from timeline.aggregate import Partial, Request, Result, kinds_of, merge
from timeline.plan import make_plan
from timeline.values.exact import user_fraction

OUTPUTS = """{
  cdn: latest_event_to_state(cdn), playing: latest_event_to_state(n) == 1,
  n: sum(n) * 0.5, share: sum(n) / duration_where(has_existed(n != 0)), when: duration_in_cur_state(
  latest_event_to_state(cdn))}"""


PLAN = make_plan(OUTPUTS)


KINDS = kinds_of(PLAN)


def shown(value: Fraction | None) -> Any:
    return None if value is None else user_fraction(value.numerator, value.denominator)


def through_json(request: Request, parts: Iterable[Partial]) -> Result:
    again = Request.from_wire(json.loads(json.dumps(request.to_wire())))
    assert again == request
    wires = [json.loads(json.dumps(part.to_wire(request))) for part in parts]
    return merge(again, [Partial.from_wire(wire, again) for wire in wires])
