"""What is told of expressions that can be understood, but hardly be meant: `tests/fixtures/mistakes.txt`."""

from __future__ import annotations

import pytest

from tests.support.cases import cases
from timeline.errors import Span
from timeline.language.mistakes import Mistake, Seen, mistakes_in
from timeline.language.parser import parse
from timeline.plan import make_plan
from timeline.reading.heads import Head
from timeline.reading.looking import Looking
from timeline.spec.spec import Spec
from timeline.tables.events import from_rows
from timeline.values.scalars import Scalar

NAMES = ["key", "time", "location", "gate", "delay", "late", "code"]
EVENTS: list[dict[str, Scalar]] = [
    {"location": "FRA", "gate": "B7", "delay": 5, "late": True, "code": "x"},
    {"location": "FRA", "gate": "B7", "delay": 0, "late": False, "code": 1},
    {"location": "FRA", "gate": "B8", "delay": 2.5, "late": None, "code": None},
]


def seen(expression: str, events: list[dict[str, Scalar]] = EVENTS) -> Seen:
    """What an expression gets to know of events."""
    plan = make_plan(expression)
    looking = Looking(plan.result.expression, plan.columns)
    looking.add(from_rows([("k", n, row) for n, row in enumerate(events)]))
    return looking.seen(NAMES)


@pytest.mark.parametrize(("text", "told"), cases("mistakes", "text", "told"))
def test_mistakes(text: str, told: str | None) -> None:
    found = mistakes_in(parse(text), seen(text))
    assert "\n".join(map(str, found)) == (told or "")


def test_as_json() -> None:
    text = 'count(delay == "5")'
    [mistake] = mistakes_in(parse(text), seen(text))
    assert mistake.to_json() == {
        "kind": "type",
        "place": "line 1, column 7",
        "text": 'delay == "5" is never true: delay is a number, never a string (3 events looked at)',
        "suggestion": "5, without quotes",
    }


def test_without_events_only_what_none_can_make_good() -> None:
    text = '{a: count(lokation == JFK) + sum(step), b: count(a == 1) < 0, c: has_existed(a == 1) == "x"}'
    found = [mistake.kind for mistake in mistakes_in(parse(text), Seen())]
    assert found == ["never", "type"]


def test_outputs_of_a_spec_are_named_and_what_they_refer_to_is_told_once() -> None:
    outputs = {"often": "@n > 3", "n": "\n count(dely > 3)", "open": "sum(gate)"}
    plan = Spec(name="s", outputs=outputs).plan
    looking = Looking(plan.result.expression, plan.columns)
    looking.add(from_rows([("k", 1, EVENTS[0])]))
    assert [(m.place, m.kind) for m in looking.mistakes(lambda: Head(tuple(NAMES)))] == [
        ("output often, line 1, column 1", "column"),
        ("output open, line 1, column 1", "number"),
    ]


def test_names_of_the_data_are_written_so_that_they_steer_no_terminal() -> None:
    text = "count(del > 1)"
    known = Seen(1, {}, ["\x9b31m", "\u202edel"])
    [mistake] = mistakes_in(parse(text), known)
    assert mistake == Mistake(
        "column",
        "no event carries the column del (1 event looked at)",
        'col("\\u202edel")',
        "line 1, column 7",
        span=Span(1, 7, 3),
    )
