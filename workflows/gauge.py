"""How large a node's state is, and when it is too large: decided once, and alike in every replay."""

from __future__ import annotations

from collections.abc import Iterable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from timeline.engine.patch import Patch
    from timeline.tables.bounds import least_bytes

#: Bytes. A carried state must stay well below the 2 MiB at which a workflow is stuck for ever; with what
#: waits in the inbox it may come near them, but is not carried above `MAX_INLINE`.
MAX_STATE = 1 << 20
MAX_INLINE = (2 << 20) - (64 << 10)
#: Bytes that a state may have where workers keep large ones in a store. It is not the store that sets
#: the limit: the SDK fails a task that does not yield for 2 s, and a node reads its state in its first.
#: Measured on two cores: 9 MiB (a million rows) are read in 0.25 s, and in 0.9 s beside three others;
#: four nodes of 8 MiB restart in 3 s, four of 15 MiB on a busy machine failed again and again.
MAX_STORED_STATE = 8 << 20
#: No row and no key takes more bytes, apart from text: four numbers of 64 bits.
MOST_BYTES = 32
#: In a store: so many times what those take that were measured. A node measures its state anew at the latest
#: when it continues as new, after 4 MiB of history, so that it does not get far above its limit by that.
WIDER = 2
#: What one takes that was not measured yet, about, and a character of text at most.
SOME_BYTES, TEXT_BYTES = 8, 4


class Gauge:
    """Of one run of a node. ``limit`` is in bytes. A state is only encoded to be measured when it may have
    reached the limit; until then it is known that it has not by what came since it was measured."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        #: What the state had when it was measured, in bytes and rows, and the text that has come since.
        self._measured = self._measured_rows = self._unmeasured_text = 0
        self._rows = 0
        self._new_text = 0
        self._now = 0
        self._decisions = 0

    def measured(self, size: int, rows: int) -> None:
        """Takes note of how many bytes the state has, with so many rows."""
        self._measured, self._measured_rows, self._unmeasured_text = size, rows, 0
        self._now = rows

    @property
    def about(self) -> int:
        """About how many bytes the state has."""
        return self._with(self._bytes_a_row if self._measured_rows else SOME_BYTES)

    @property
    def may_be_full(self) -> bool:
        """Whether the state may have more bytes than it may."""
        known = self.stored and self._measured_rows > 0
        guessed = self._with(min(WIDER * self._bytes_a_row, MOST_BYTES) if known else MOST_BYTES)
        # However well they are compressed: rows that are too many have the bytes of many.
        return max(guessed, least_bytes(self._now * MOST_BYTES // 8)) > self.limit

    @property
    def _bytes_a_row(self) -> float:
        return self._measured / max(1, self._measured_rows)

    def _with(self, bytes_a_row: float) -> int:
        more = max(0, self._now - self._measured_rows)
        return self._measured + int(bytes_a_row * more) + TEXT_BYTES * self._unmeasured_text

    def grown(self, rows: int, patches: Iterable[Patch]) -> bool:
        """Whether the state may have grown by a quarter since it was last asked, by rows or by text."""
        new_text = 0
        for patch in patches:
            texts = [*patch.names, *(value for value in patch.values if isinstance(value, str))]
            new_text += sum(map(len, texts))
        self._now = rows
        self._unmeasured_text += new_text
        self._new_text += new_text
        if rows * 4 < self._rows * 5 + 40_000 and self._new_text < self.limit // 4:
            return False
        self._rows, self._new_text = rows, 0
        return True

    @property
    def stored(self) -> bool:
        """Whether workers keep large states in a store."""
        return self.limit > MAX_STATE

    def full(self, keys: int) -> str | None:
        """Why no more events can be taken, if that is so with the state as it was measured."""
        size = self._measured
        if not self._decide(size > self.limit):
            return None
        store = "" if self.stored else "Give the workers a store (--store or TIMELINE_STORE), or register"
        return (
            f"the state of {workflow.info().workflow_id} has reached {size} bytes "
            f"for {keys} keys (limit {self.limit}); no more events are taken. "
            f"{store or 'Register'} the timeline under another name with more limits.shards, or with "
            "less limits.retention or limits.allowed_lateness"
        )

    def fits(self, state: bytes) -> bool:
        """Whether a state, with what waits in the inbox, can be carried on. Not to be asked in a replay."""
        return self.stored or len(state) <= MAX_INLINE

    def _decide(self, size_says_yes: bool) -> bool:
        """A decision by the size of an encoded state, recorded so that a replay decides alike.

        Another version of zstd or of the encoding may find another size, and a node that is replayed
        as full where it was not, or the other way round, would be stuck.
        """
        self._decisions += 1
        if not size_says_yes and not workflow.unsafe.is_replaying():
            return False
        return workflow.patched(f"size-{self._decisions}")
