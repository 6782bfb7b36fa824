"""``max_so_far(x)``: the greatest that it has been.

>>> from timeline.language.calls import duration_in_cur_state, latest_event_to_state, max_so_far
>>> print(max_so_far(duration_in_cur_state(latest_event_to_state("state"))))
max_so_far(duration_in_cur_state(latest_event_to_state(state)))
"""

from __future__ import annotations

from dataclasses import dataclass

from timeline.language.signatures import NUMBER, Signature
from timeline.operators.min_so_far import MinSoFar
from timeline.values.kinds import Kind


@dataclass(frozen=True)
class MaxSoFar(MinSoFar):
    """At t: the greatest number that the operand was from the origin up to t; null while it was none.

    >>> from timeline.local.example import run
    >>> run('max_so_far(duration_in_cur_state(latest_event_to_state(state)))', {1: "a", 4: "b", 5: "c"})
    1 s 0 + 1/s
    4 s 2.999
    7.999 s 2.999 + 1/s
    """

    signature = Signature("max_so_far", (NUMBER,), Kind.NUMERIC)
    sign = -1
