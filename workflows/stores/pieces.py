"""The driver that keeps frozen pieces (`timeline.engine.frozen`): each is stored once, and referred to by
every run that goes on from it.

A piece is named by the run that froze it, by its content before encryption, and by the key that encrypts it,
so that it is found again however often it is carried on. What is stored begins with the SHA-256 of the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from timeline.errors import StoreError
from workflows.payloads.encryption import PIECE

#: In every claim that was ever written: it must not change.
NAME = "timeline.pieces"
_DIGEST = hashlib.sha256().digest_size


class Objects(Protocol):
    """What can be put under a name, once and for all. All raise what their store raises."""

    async def exists(self, name: str) -> bool: ...
    async def put(self, name: str, data: bytes) -> None: ...
    async def get(self, name: str) -> bytes: ...


class PieceDriver(StorageDriver):
    """``place`` makes a name of a workflow id, a run id and a SHA-256 in hex; ``field`` is where claims
    have it; ``url`` is the store, for messages."""

    def __init__(self, objects: Objects, place: Callable[[str, str, str], str], field: str, url: str) -> None:
        self._objects = objects
        self._place = place
        self._field = field
        self._url = url

    def name(self) -> str:
        return NAME

    def type(self) -> str:
        return NAME

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Stores those of some pieces that are not there yet.

        Raises:
            StoreError: the store cannot be written to.
        """
        target = context.target
        if not isinstance(target, StorageDriverWorkflowInfo) or not target.id:
            raise StoreError(f"only pieces of states go to {self._url}, got one for {target}")
        return [await self._store(target.id, payload) for payload in payloads]

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Reads pieces.

        Raises:
            StoreError: one is missing, cannot be read, or is not what was written.
        """
        return [await self._retrieve(claim.claim_data.get(self._field, "")) for claim in claims]

    async def _store(self, workflow_id: str, payload: Payload) -> StorageDriverClaim:
        run_id, digest = payload.metadata[PIECE].decode().split(".")
        if (key := payload.metadata.get("key-id")) is not None:
            # After a new key has come, it is stored anew: some day the old one goes.
            digest = hashlib.sha256(digest.encode() + key).hexdigest()
        place = self._place(workflow_id, run_id, digest)
        if not await self._objects.exists(place):
            data = payload.SerializeToString()
            await self._objects.put(place, hashlib.sha256(data).digest() + data)
        return StorageDriverClaim({self._field: place})

    async def _retrieve(self, place: str) -> Payload:
        stored = await self._objects.get(place)
        digest, data = stored[:_DIGEST], stored[_DIGEST:]
        if hashlib.sha256(data).digest() != digest:
            raise StoreError(
                f"the piece of a state at {place} in {self._url} is damaged ({len(data)} bytes, another "
                "SHA-256 than it says); bring it back, the node waits until then"
            )
        return Payload.FromString(data)
