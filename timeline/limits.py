"""What bounds a node: how late events may be, how far back it can be asked, when a key is over."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """``allowed_lateness``, ``retention`` and ``key_ttl`` in ms; ``None`` means without end.

    An event is late by the newest event of its key, or with ``by_stream`` by the stream's time: that of the
    newest event of all keys, or of a mark.

    With ``key_ttl`` a key has lives: the runs of its events whose gaps are shorter. A life is closed once the
    stream's time is ``closed_after`` ms behind its newest event, and can be asked for until ``retention`` has
    passed too; then it is forgotten.
    """

    allowed_lateness: int | None = None
    retention: int | None = None
    key_ttl: int | None = None
    by_stream: bool = False

    @property
    def closed_after(self) -> int | None:
        """How much newer (ms) the stream is than a life that no acceptable event can reach any more."""
        if self.key_ttl is None or self.allowed_lateness is None:
            return None
        return self.key_ttl + self.allowed_lateness

    @property
    def forgotten_after(self) -> int | None:
        """How much newer (ms) the stream is than a life that is no longer known. At least so much that what
        is closed by it lies further back than an event that is taken."""
        if self.key_ttl is None or self.closed_after is None or self.retention is None:
            return None
        return self.closed_after + max(self.retention, self.key_ttl)

    @property
    def heeds_stream(self) -> bool:
        """Whether anything depends on the stream's time."""
        return self.allowed_lateness is not None and (self.by_stream or self.key_ttl is not None)
