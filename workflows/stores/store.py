"""What a store of carried states is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from temporalio.api.common.v1 import Payload
from temporalio.converter import ExternalStorage, StorageDriver, StorageDriverSelectContext

from workflows.payloads.codec import is_piece, is_state

#: Bytes from which on a state goes out: a quarter of what a node may carry inline, so that the store
#: is in use, and known to work, long before a node depends on it.
THRESHOLD = 256 << 10


@dataclass(frozen=True, slots=True)
class Stored:
    """One state in a store: where, whose, by which run it was put there, when (s since the epoch), and how
    many bytes it has."""

    place: str
    workflow_id: str
    run_id: str
    modified: float
    size: int


@dataclass(frozen=True, slots=True)
class Store:
    """Drivers of states and of their frozen pieces, and what the sweep needs: which field of a claim is the
    place, how to list and delete."""

    url: str
    driver: StorageDriver
    pieces: StorageDriver
    place: str
    stored: Callable[[], AsyncIterator[Stored]]
    delete: Callable[[str], Awaitable[None]]

    def external_storage(self) -> ExternalStorage:
        """What the SDK's data converter wants to have."""
        return ExternalStorage(
            drivers=[self.driver, self.pieces], driver_selector=self._select, payload_size_threshold=0
        )

    def _select(self, context: StorageDriverSelectContext, payload: Payload) -> StorageDriver | None:
        # Bytes are carried states and nothing else is (`is_state`). A signal or an answer that
        # went out could not be read by a client, and the sweep would have to read whole histories.
        if is_piece(payload):
            return self.pieces
        return self.driver if is_state(payload) and payload.ByteSize() >= THRESHOLD else None
