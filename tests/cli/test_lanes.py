"""The picture of every node's timeline, as exact text."""

from __future__ import annotations

import pytest

from tests.support.places import CIRR
from timeline.cli.options import Drawn
from timeline.cli.pictures import panels_of, print_picture
from timeline.local.evaluate import evaluate
from timeline.local.evaluation import Evaluation
from timeline.tables.events import from_rows
from timeline.values.scalars import Scalar

REFERENCE = """\
reference
duration_where(…)                                          {0}▁▁▁▂▂▂▂▃▃▃▃▄▄▄▄▅▅▅▅▆▆▆▆▇▇▇▇█████ 4
└ … && … && …                                              {1}{2}
  ├ has_existed(playerStateChange == "play")               {3}
  ├ !…                                                     ████████{4}{2}
  │ └ has_existed_within(playerStateChange == "seek", 5s)  ────────{5}{6}
  └ … == "buffer"                                          {7}{8}
    └ latest_event_to_state(playerStateChange)             play    seek            buffer
                                                                   |2s             |4s             |6s \
            |8s             |10s
""".format("_" * 48, "─" * 48, "█" * 32, "█" * 80, "─" * 40, "█" * 40, "─" * 32, "─" * 24, "█" * 56)


def reference(key: str = "reference", offset: int = 0) -> Evaluation:
    rows = [(1000, "play"), (2000, "seek"), (4000, "buffer")]
    return evaluate(CIRR, from_rows([(key, offset + t, {"playerStateChange": v}) for t, v in rows]))


def drawn(capsys: pytest.CaptureFixture[str], result: Evaluation, *, end: int | None = None) -> list[str]:
    """The lines of the picture, without the blanks at their ends."""
    print_picture(*panels_of([result], None, None, end), Drawn.LANES)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_reference_example_shows_why_the_result_is_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """A cell is an eighth of a second: the seek's shadow ends at 7 s, the 48th."""
    assert drawn(capsys, reference(), end=11_000) == [*REFERENCE.splitlines(), ""]


def test_without_an_end_the_picture_goes_beyond_the_last_change(capsys: pytest.CaptureFixture[str]) -> None:
    """The last change is the seek's end at 7 s; a quarter of what lies before it is added."""
    lines = drawn(capsys, reference())
    assert lines[1].endswith(" 1.5")
    assert lines[-2].split() == ["|2s", "|4s", "|6s", "|8s"]


def test_times_of_our_days_are_dates(capsys: pytest.CaptureFixture[str]) -> None:
    start = 1_772_362_800_000
    lines = drawn(capsys, reference(offset=start), end=start + 11_000)
    assert lines[1].endswith("████ 4")
    assert lines[-2].split() == ["UTC", "|2026-03-01", "11:00:02", "|11:00:06", "|11:00:08", "|11:00:10"]


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


DAY = 86_400_000
#: An aircraft: a place every three hours, in turn, for a year; and the delay there.
PLACES = ("JFK", "LAX", "BOS", "ORD", "SFO", "DEN")


def year() -> Evaluation:
    start = 1_356_998_400_000
    rows: list[tuple[str, int, dict[str, Scalar]]] = [
        ("N1", start + i * DAY // 8, {"place": PLACES[i * i % 7 % 6], "delay": i % 40})
        for i in range(8 * 365)
    ]
    expression = """{place: latest_event_to_state(place), home: latest_event_to_state(place) == "JFK",
        delay: latest_event_to_state(delay)}"""
    return evaluate(expression, from_rows(rows))


def test_dense_states_are_lines_that_say_how_much_of_the_time_they_take(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Squares modulo 7 are 0, 1, 4, 2, 2, 4, 1: one in seven is JFK, two each are LAX, BOS and SFO."""
    lines = drawn(capsys, year())
    start = lines[1].index("▂")
    names = ["BOS", "SFO", "LAX", "JFK"]
    assert [line.split()[-1] for line in lines[1:5]] == names
    inside = [line[start : start + 78] for line in lines[1:5]]
    # 4.6 days are a cell: each has about 36 flights, whose share is 2/7 or 1/7.
    assert [set(line) for line in inside] == [set("▂▃"), set("▂▃"), set("▂▃"), set("▁▂")]
    assert lines[5].startswith("home: … ==")
    assert set(lines[5][start : start + 78]) == {"▁", "▂"}


def test_many_numbers_of_a_state_are_drawn_as_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    line = next(line for line in drawn(capsys, year()) if line.startswith("delay: "))
    # Whatever the cell: 36 flights in a row have nearly all delays, from 0 to 39.
    assert line.endswith("█▇ 39") or line.endswith("██ 39")


def test_a_year_ends_where_its_data_ends(capsys: pytest.CaptureFixture[str]) -> None:
    axis = drawn(capsys, year())[-2]
    assert axis.split() == ["UTC", "|2013-01", "|2013-04", "|2013-07", "|2013-10", "|2014-01"]
    start, end = axis.index("|2013-01"), axis.index("|2014-01")
    assert end - start == 365 * 80 * 40 // (365 * 41)


def test_a_day_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    result = year()
    start = 1_356_998_400_000 + 12 * 3_600_000
    print_picture([result.panel("N1", start, start + DAY)], 0, Drawn.LANES)
    axis = capsys.readouterr().out.splitlines()[-2]
    assert axis.split("|")[1:] == [
        "2013-01-01 12:00   ",
        "18:00              ",
        "2013-01-02 00:00   ",
        "06:00              ",
        "12:00",
    ]


def test_states_without_room_for_their_names_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[tuple[str, int, dict[str, Scalar]]] = [
        ("k", t, {"a": v}) for t, v in ((0, "abcdef"), (4, "bcdefg"), (8, "c"))
    ]
    lines = drawn(capsys, evaluate("latest_event_to_state(a)", from_rows(rows)), end=80)
    assert lines[1].split("  ", 1)[1] == "abc bcd c"
