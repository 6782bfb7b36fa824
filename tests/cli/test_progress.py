"""How far a feed is, or a registration, where there is no terminal."""

from __future__ import annotations

from feeder.files.feed import Progress
from timeline.cli.progress import Lines, Waiting


def test_a_line_now_and_then_says_events_and_seconds_left() -> None:
    times = iter([100.0, 104.9, 105.0, 109.0, 120.0, 121.0])
    said: list[str] = []
    lines = Lines(lambda: next(times), said.append)
    for far in (
        Progress(lines=10, of_lines=10_000, events=9),
        Progress(lines=2_500, of_lines=10_000, events=2_400),
        Progress(lines=3_000, of_lines=10_000, events=2_900),
        Progress(lines=8_000, of_lines=10_000, events=7_900),
        Progress(lines=10_000, of_lines=10_000, events=9_900),
    ):
        lines(far)
    assert said == [
        "feeding: 2,400 events sent, 25% of 10,000 lines read, about 15 s left",
        "feeding: 7,900 events sent, 80% of 10,000 lines read, about 5 s left",
    ]


def test_a_line_now_and_then_says_how_many_streams_are_behind() -> None:
    times = iter([100.0, 104.9, 105.0, 106.0, 110.0, 130.0])
    said: list[str] = []
    waiting = Waiting(lambda: next(times), said.append)
    for behind in (4, 3, 2, 1, 0):
        waiting(behind)
    assert said == [
        "registered; catching up: 3 streams behind",
        "registered; catching up: 1 stream behind",
    ]
