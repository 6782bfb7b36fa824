"""What bounds a node: how late events may be, how far back it can be asked, when a key is over."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """``allowed_lateness``, ``retention`` and ``key_ttl`` in ms; ``None`` means without end.

    A key that has been idle for ``key_ttl``, by the newest event of its stream, is closed; its last
    values can be asked for until ``retention`` has passed too, then it is forgotten.
    """

    allowed_lateness: int | None = None
    retention: int | None = None
    key_ttl: int | None = None

    @property
    def forgotten_after(self) -> int | None:
        """For how long (ms) a key may have been idle and is still known."""
        if self.key_ttl is None or self.retention is None:
            return None
        return self.key_ttl + self.retention
