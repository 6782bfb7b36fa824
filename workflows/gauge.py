"""How large a node's state is, and when it is too large: decided once, and alike in every replay."""

from __future__ import annotations

from collections.abc import Iterable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from timeline.engine.patch import Patch

#: Bytes. A carried state must stay well below the 2 MiB at which a workflow is stuck for ever; with what
#: waits in the inbox it may come near them, but is not carried above `MAX_INLINE`.
MAX_STATE = 1 << 20
MAX_INLINE = (2 << 20) - (64 << 10)
#: Bytes that a state may have where workers keep large ones in a store. It is not the store that sets
#: the limit: the SDK fails a task that does not yield for 2 s, and a node reads its state in its first.
#: Measured on two cores: 9 MiB (a million rows) are read in 0.25 s, and in 0.9 s beside three others;
#: four nodes of 8 MiB restart in 3 s, four of 15 MiB on a busy machine failed again and again.
MAX_STORED_STATE = 8 << 20


class Gauge:
    """Of one run of a node. ``limit`` is in bytes; ``measured`` is what the state had last time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.measured = 0
        self._rows = 0
        self._new_text = 0
        self._decisions = 0

    def grown(self, rows: int, patches: Iterable[Patch]) -> bool:
        """Whether the state may have grown by a quarter since it was last measured, by rows or by text."""
        for patch in patches:
            texts = [*patch.names, *(value for value in patch.values if isinstance(value, str))]
            self._new_text += sum(map(len, texts))
        if rows * 4 < self._rows * 5 + 40_000 and self._new_text < self.limit // 4:
            return False
        self._rows, self._new_text = rows, 0
        return True

    @property
    def stored(self) -> bool:
        """Whether workers keep large states in a store."""
        return self.limit > MAX_STATE

    def full(self, size: int, keys: int) -> str | None:
        """Why no more events can be taken, if that is so with a state of ``size`` bytes."""
        self.measured = size
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
        """Whether a state, with what waits in the inbox, can be carried on."""
        return self.stored or not self._decide(len(state) > MAX_INLINE)

    def _decide(self, size_says_yes: bool) -> bool:
        """A decision by the size of an encoded state, recorded so that a replay decides alike.

        Another version of zstd or of the encoding may find another size, and a node that is replayed
        as full where it was not, or the other way round, would be stuck.
        """
        self._decisions += 1
        if not size_says_yes and not workflow.unsafe.is_replaying():
            return False
        return workflow.patched(f"size-{self._decisions}")
