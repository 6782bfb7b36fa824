"""Files as a stream: the log of the files that a source has had, read from a position on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timeline.errors import EventError
from timeline.reading import Rejected, count_lines, read_events
from timeline.spec.spec import Spec
from timeline.tables.events import Events, Position
from workflows.protocol import Segment


@dataclass(frozen=True, slots=True)
class Piece:
    """Events of the log up to and including ``last``; positions are (number in the log, line)."""

    events: Events
    rejected: list[Rejected]
    last: Position


def describe_file(path: str | Path) -> Segment:
    """A file as the log knows it, up to its last line now.

    The fingerprint is that of its beginning, so that a file which grows stays the same file.

    Raises:
        EventError: it cannot be read.
    """
    path = Path(path).resolve()
    last = count_lines(path)
    with path.open("rb") as file:
        # A CSV file's first line is its header, which says little about what it holds.
        head = file.readline(65_536) + file.readline(65_536) if path.suffix == ".csv" else b""
        head = head or file.readline(65_536)
    # A first line that was written without its end gets it when the file grows.
    fingerprint = hashlib.sha256(head.rstrip(b"\r\n")).hexdigest()[:16]
    return Segment(path=str(path), fingerprint=fingerprint, after=0, last=last)


def end_of(log: Sequence[Segment]) -> Position:
    """The position of the last line of the log; (0, 0) if it is empty."""
    return (len(log), log[-1]["last"]) if log else (0, 0)


def read_log(
    spec: Spec, log: Sequence[Segment], after: Position | None, columns: Sequence[str]
) -> Iterator[Piece]:
    """The pieces of the log behind a position, in order.

    Raises:
        EventError: a file of the log is gone, or is another than it was.
    """
    for number, segment in enumerate(log, start=1):
        line = segment["after"]
        if after is not None:
            if (number, segment["last"]) <= after:
                continue
            if number == after[0]:
                line = max(line, after[1])
        path = Path(segment["path"])
        now = describe_file(path) if path.exists() else None
        if now is None or now["fingerprint"] != segment["fingerprint"] or now["last"] < segment["last"]:
            state = "is gone" if now is None else "has changed"
            raise EventError(
                f"{path} was fed to this source before and {state}, but lines from {line + 1} on "
                "are still needed; put it back as it was"
            )
        for block in read_events(
            path,
            key=spec.source.key,
            time=spec.source.time,
            unit=spec.source.numeric_unit,
            columns=columns,
            after=line,
        ):
            events, rejected = block.events, block.rejected
            if block.last > segment["last"]:
                # The file has grown since; what is new belongs to a later piece of the log.
                keep = int(np.searchsorted(events.position[:, 0], segment["last"], side="right"))
                events = events.take(slice(0, keep))
                rejected = [r for r in rejected if r.line <= segment["last"]]
            lines = events.position[:, -1]
            position = np.column_stack((np.full(len(lines), number, np.int64), lines))
            yield Piece(
                Events(events.keys, events.key, events.tick, events.columns, position),
                rejected,
                (number, min(block.last, segment["last"])),
            )
            if block.last >= segment["last"]:
                break
