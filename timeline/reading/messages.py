"""Messages as events: one JSON object each, read by the same readers as the lines of files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from timeline.reading.jsonl_exact import read_exactly
from timeline.reading.jsonl_fast import Fast
from timeline.reading.judging import block_of
from timeline.reading.model import AHEAD, REASONS, TEXT_LIMIT, Part, Rejected, TimeUnit, Wanted
from timeline.reading.records import Piece, read_piece
from timeline.tables.events import Events
from timeline.values.vocabulary import I64


class MessageReader:
    """Reads messages of one topic; remembers the types that its columns had so far.

    Only ``key``, ``time`` (numbers are in ``unit``) and ``columns`` are read.
    """

    def __init__(
        self,
        topic: str,
        *,
        key: str,
        time: str,
        columns: Sequence[str],
        unit: TimeUnit = "ms",
        zone: str | None = None,
    ) -> None:
        self.wanted = Wanted(topic, key, time, tuple(dict.fromkeys(columns)), unit, None, zone)
        self._fast = Fast(self.wanted)

    def read(self, payloads: Sequence[bytes], latest: I64 | None = None) -> Part:
        """The events of messages, and those that are none; ``events.position`` is (n, 1), the index of
        each in ``payloads``, as is ``Rejected.line``. An event whose time is later than its ``latest`` (n,
        ms) is rejected.

        >>> reader = MessageReader("plays", key="session", time="time", columns=["state"])
        >>> events, rejected = reader.read([b'{"session": "a", "time": 5, "state": "play"}', b"", b"{oops"])
        >>> events.keys, events.tick.tolist(), events.position.tolist()
        (['a'], [5], [[0]])
        >>> [str(r) for r in rejected]
        ['plays:1: empty: ', 'plays:2: not JSON: {oops']
        """
        rows = np.arange(len(payloads))
        piece = _piece_of(payloads, rows)
        # Only what does not begin as an object does can be blank.
        odd = np.flatnonzero(np.frombuffer(piece.data, np.uint8)[piece.starts] != ord("{")).tolist()
        blank = [i for i in odd if not payloads[i].strip()]
        if blank:
            rows = np.delete(rows, blank)
            piece = _piece_of([payloads[i] for i in rows.tolist()], rows)
        parts = read_piece(piece, self._fast.read, lambda piece: read_exactly(self.wanted, piece))
        block = block_of(self.wanted, parts, len(payloads) - 1)
        rejected = [Rejected(self.wanted.path, i, "empty", "") for i in blank]
        events = block.events
        if latest is not None:
            events, ahead = self._without_ahead(events, latest, payloads)
            rejected += ahead
        return events, sorted([*rejected, *block.rejected], key=lambda r: r.line)

    def _without_ahead(self, events: Events, latest: I64, payloads: Sequence[bytes]) -> Part:
        rows = events.position[:, 0]
        ahead = events.tick > latest[rows]
        if not ahead.any():
            return events, []
        places = rows[ahead].tolist()
        texts = (payloads[i].decode("utf-8", "replace")[:TEXT_LIMIT] for i in places)
        rejected = [
            Rejected(self.wanted.path, i, REASONS[AHEAD], text) for i, text in zip(places, texts, strict=True)
        ]
        return events.take(np.flatnonzero(~ahead)).compact(), rejected


def _piece_of(payloads: Sequence[bytes], rows: I64) -> Piece:
    """Payloads as lines of those numbers."""
    data = b"\n".join([*payloads, b""])
    if data.count(b"\n") > len(payloads):
        # A newline in JSON is white space as \r is, and an error inside a string as \r is.
        data = b"\n".join([*(payload.replace(b"\n", b"\r") for payload in payloads), b""])
    lengths = np.fromiter(map(len, payloads), np.int64, len(payloads))
    ends = np.cumsum(lengths + 1) - 1
    return Piece(data, ends - lengths, ends, rows, int(rows[-1]) if len(rows) else -1)
