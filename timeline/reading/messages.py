"""Messages as events: one JSON object each, read by the same readers as the lines of files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from timeline.reading.jsonl_exact import read_exactly
from timeline.reading.jsonl_fast import Fast
from timeline.reading.judging import block_of
from timeline.reading.model import Part, Rejected, TimeUnit, Wanted
from timeline.reading.records import Piece, read_piece


class MessageReader:
    """Reads messages of one topic; remembers the types that its columns had so far.

    Only ``key``, ``time`` (numbers are in ``unit``) and ``columns`` are read.
    """

    def __init__(
        self, topic: str, *, key: str, time: str, columns: Sequence[str], unit: TimeUnit = "ms"
    ) -> None:
        self.wanted = Wanted(topic, key, time, tuple(dict.fromkeys(columns)), unit)
        self._fast = Fast(self.wanted)

    def read(self, payloads: Sequence[bytes]) -> Part:
        """The events of messages, and those that are none; ``events.position`` is (n, 1), the index of
        each in ``payloads``, as is ``Rejected.line``.

        >>> reader = MessageReader("plays", key="session", time="time", columns=["state"])
        >>> events, rejected = reader.read([b'{"session": "a", "time": 5, "state": "play"}', b"", b"{oops"])
        >>> events.keys, events.tick.tolist(), events.position.tolist()
        (['a'], [5], [[0]])
        >>> [str(r) for r in rejected]
        ['plays:1: empty: ', 'plays:2: not JSON: {oops']
        """
        blank = [i for i, payload in enumerate(payloads) if not payload.strip()]
        rejected = [Rejected(self.wanted.path, i, "empty", "") for i in blank]
        rows = np.delete(np.arange(len(payloads)), blank)
        # A newline in JSON is white space as \r is, and an error inside a string as \r is.
        lines = [payloads[i].replace(b"\n", b"\r") for i in rows.tolist()]
        lengths = np.fromiter(map(len, lines), np.int64, len(lines))
        ends = np.cumsum(lengths + 1) - 1
        piece = Piece(b"\n".join([*lines, b""]), ends - lengths, ends, rows, len(payloads) - 1)
        parts = read_piece(piece, self._fast.read, lambda piece: read_exactly(self.wanted, piece))
        block = block_of(self.wanted, parts, piece.last)
        return block.events, sorted([*rejected, *block.rejected], key=lambda r: r.line)
