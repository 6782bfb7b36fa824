"""The picture of every node's timeline, as exact text."""

from __future__ import annotations

import pytest

from tests.support.places import CIRR
from timeline.cli.lanes import print_evaluations
from timeline.local.evaluate import evaluate
from timeline.local.evaluation import Evaluation
from timeline.tables.events import from_rows
from timeline.values.scalars import Scalar

REFERENCE = """\
reference
duration_where(…)                                          {0}▁▁▁▂▂▂▂▃▃▃▃▄▄▄▄▅▅▅▅▆▆▆▆▇▇▇▇████ 4
└ … && … && …                                              {1}{2}
  ├ has_existed(playerStateChange == "play")               {3}
  ├ !…                                                     ████████{4}{2}
  │ └ has_existed_within(playerStateChange == "seek", 5s)  ────────{5}{6}
  └ … == "buffer"                                          {7}{8}
    └ latest_event_to_state(playerStateChange)             play    seek            buffer
                                                           |1s                 |3.5s               |6s \
                |8.5s               |11s
""".format("_" * 49, "─" * 48, "█" * 32, "█" * 80, "─" * 40, "█" * 40, "─" * 32, "─" * 24, "█" * 56)


def reference(key: str = "reference", offset: int = 0) -> Evaluation:
    rows = [(1000, "play"), (2000, "seek"), (4000, "buffer")]
    return evaluate(CIRR, from_rows([(key, offset + t, {"playerStateChange": v}) for t, v in rows]))


def drawn(capsys: pytest.CaptureFixture[str], result: Evaluation, *, end: int | None = None) -> list[str]:
    """The lines of the picture, without the blanks at their ends."""
    print_evaluations([result], None, None, end)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_reference_example_shows_why_the_result_is_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A cell is an eighth of a second: the seek's shadow ends at 7 s, the 48th."""
    assert drawn(capsys, reference(), end=11_000) == [*REFERENCE.splitlines(), ""]


def test_without_an_end_the_picture_goes_beyond_the_last_change(capsys: pytest.CaptureFixture[str]) -> None:
    """The last change is the seek's end at 7 s; a quarter of what lies before it is added."""
    lines = drawn(capsys, reference())
    assert lines[1].endswith(" 1.5")
    assert lines[-2].split() == ["|1s", "|2.875s", "|4.75s", "|6.625s", "|8.5s"]


def test_times_since_the_epoch_are_counted_from_the_origin(capsys: pytest.CaptureFixture[str]) -> None:
    start = 1_772_362_800_000
    lines = drawn(capsys, reference(offset=start), end=start + 11_000)
    assert lines[1].endswith("████ 4")
    assert lines[-2].split() == ["|+0s", "|+2.5s", "|+5s", "|+7.5s", "|+10s"]


def test_a_key_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert drawn(capsys, reference("\x1b[31m[red]\n"))[0] == "\\x1b[31m[red]\\n"


def test_more_keys_than_are_drawn_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    events = from_rows([(f"k{n}", 1000, {"a": 1}) for n in range(5)])
    lines = drawn(capsys, evaluate("has_existed(a == 1)", events))
    assert [line for line in lines if line.startswith("k")] == ["k0", "k1", "k2"]
    assert lines[-1] == "... and 2 more keys; choose with --key"


def test_states_that_are_no_strings_and_no_state_yet(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[tuple[str, int, dict[str, Scalar]]] = [
        ("k", 0, {"b": 0}),
        ("k", 40, {"a": True}),
        ("k", 80, {"a": 1.5}),
    ]
    lines = drawn(capsys, evaluate("latest_event_to_state(a)", from_rows(rows)), end=160)
    assert lines[1].split("  ", 1)[1] == "·" * 20 + "true" + " " * 16 + "1.5"
