"""Files as a source: the log of the files that it has had, read from a position on.

It is a `feeder.sources.base.Log` and no more: nobody waits for more of a file, and the leaves say how far it
was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from feeder.files.identity import fingerprint_of
from feeder.sources.base import Piece
from timeline.errors import EventError
from timeline.reading import count_lines, read_events
from timeline.spec.spec import Spec
from timeline.tables.events import Events, Position, no_events
from timeline.tables.marks import marked
from workflows.protocol import Segment


class FileLog:
    """The files of a log, up to where each ended when it was described, and marks among them. Positions are
    (number of the entry in the log from 1, line)."""

    def __init__(self, spec: Spec, files: Sequence[Segment]) -> None:
        self._source = spec.source
        self._max_ahead = spec.limits.max_ahead
        self._files = files

    def end(self) -> Position | None:
        return _end_of(len(self._files), self._files[-1]) if self._files else None

    def lines_until(self, end: Position | None) -> int:
        """How many lines there are up to a position."""
        if end is None:
            return 0
        lines = 0
        for number, file in enumerate(self._files, start=1):
            if number < end[0]:
                lines += file["last"] - file["after"]
            elif number == end[0]:
                lines += end[1] - file["after"]
        return lines

    def pieces(self, after: Position | None, columns: Sequence[str]) -> Iterator[Piece]:
        """The pieces behind a position, in order.

        Raises:
            EventError: a file of the log is gone, or is another than it was.
        """
        for number, file in enumerate(self._files, start=1):
            line = file["after"]
            if after is not None:
                if _end_of(number, file) <= after:
                    continue
                if number == after[0]:
                    line = max(line, after[1])
            if "mark" in file:
                yield Piece(no_events(columns, 2), [], _end_of(number, file), 0)
                continue
            _look_at(file, line)
            yield from self._pieces_of(number, file, line, columns)

    def _pieces_of(self, number: int, file: Segment, line: int, columns: Sequence[str]) -> Iterator[Piece]:
        source, end = self._source, file["last"]
        for block in read_events(
            file["path"],
            key=source.key,
            time=source.time,
            unit=source.numeric_unit,
            zone=source.timezone,
            columns=columns,
            after=line,
            latest=self._latest(file),
        ):
            events, rejected, last = block.events, block.rejected, min(block.last, end)
            if block.last > end:
                # The file has grown since; what is new belongs to a later piece of the log.
                keep = int(np.searchsorted(events.position[:, 0], end, side="right"))
                events = events.take(slice(0, keep))
                rejected = [r for r in rejected if r.line <= end]
            lines = events.position[:, -1]
            position = np.column_stack((np.full(len(lines), number, np.int64), lines))
            placed = Events(events.keys, events.key, events.tick, events.columns, position)
            yield Piece(placed, rejected, (number, last), last - line)
            line = last
            if block.last >= end:
                break

    def _latest(self, file: Segment) -> int | None:
        """The latest time that an event may have: by the clock when the file was fed, so that it is judged
        alike whenever it is read again. What was fed before there was such a limit has none."""
        now = file.get("now")
        return None if now is None or self._max_ahead is None else now + self._max_ahead


def _end_of(number: int, file: Segment) -> Position:
    """Where an entry of a log ends."""
    end = number, file["last"]
    return marked(end, file["mark"]) if "mark" in file else end


def _look_at(file: Segment, line: int) -> None:
    """Looks whether a file still is what it was, of which lines from behind ``line`` on are needed."""
    path = Path(file["path"])
    same = path.exists() and fingerprint_of(path) == file["fingerprint"]
    if not same or count_lines(path) < file["last"]:
        state = "has changed" if path.exists() else "is gone"
        raise EventError(
            f"{path} was fed to this source before and {state}, but lines from {line + 1} on "
            "are still needed; put it back as it was"
        )
