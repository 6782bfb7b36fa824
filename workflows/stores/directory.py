"""The driver that keeps carried states as files of a directory, for the embedded server."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote, unquote

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from timeline.errors import StoreError
from workflows.backoff import retry
from workflows.disk import private_folder, sync_folder

#: In every claim that was ever written: it must not change.
NAME = "timeline.directory"
#: In the place of the run for a state with which a client starts a workflow: there is no run yet.
NO_RUN = "0"
#: Seconds after which a file that is still being written is one that nobody writes any more.
LEFT_OVER = 86_400.0
#: ``namespace id/workflow id/run id.sha256``; a workflow id is quoted, so that it is one name.
_PLACE = re.compile(r"(?!\.)[^/]+/(?!\.)([^/]+)/([0-9a-f-]+)\.([0-9a-f]{64})")


class DirectoryDriver(StorageDriver):
    """Keeps payloads in files below ``root/folder``, named by owner and SHA-256 of the content.

    A file appears under its name only when all of it is on the disk, and never changes. Claims are
    relative to ``root``: the directory may be moved as a whole.
    """

    def __init__(self, root: Path, folder: str) -> None:
        self.root = root
        self.folder = folder

    def name(self) -> str:
        return NAME

    def type(self) -> str:
        return NAME

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Writes payloads.

        Raises:
            StoreError: the disk is full, or the directory may not be written to.
        """
        target = context.target
        if not isinstance(target, StorageDriverWorkflowInfo) or not target.id:
            raise StoreError(f"only carried states go to {self.root}, got a payload for {target}")
        claims = []
        for payload in payloads:
            data = payload.SerializeToString()
            place = self.place(target.id, target.run_id or NO_RUN, hashlib.sha256(data).hexdigest())
            await self.put(place, data)
            claims.append(StorageDriverClaim({"path": place}))
        return claims

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Reads payloads.

        Raises:
            StoreError: a file is missing, cannot be read, or is not what was written.
        """
        return [await self._state(claim.claim_data.get("path", "")) for claim in claims]

    def make(self) -> None:
        """Makes the directory, if it is not there.

        Raises:
            StoreError: it cannot be made or written to.
        """
        try:
            private_folder(self.root / self.folder)
            with tempfile.TemporaryFile(dir=self.root / self.folder):
                pass
        except OSError as error:
            raise StoreError(
                f"the store {self.root} cannot be written to: {error.strerror}; "
                "correct --store or TIMELINE_STORE, or the rights of the directory"
            ) from None

    def list(self) -> Iterator[tuple[str, str, str, float, int]]:
        """Of every state its path from ``root``, workflow id, run id, time of writing (s since the epoch) and
        size (bytes).

        What a killed worker left half written is deleted on the way.
        """
        for path in (self.root / self.folder).glob("*/*"):
            place = path.relative_to(self.root).as_posix()
            named = _PLACE.fullmatch(place)
            try:
                about = path.stat()
            except FileNotFoundError:
                continue  # another worker's sweep was faster
            if named is not None:
                yield place, unquote(named[1]), named[2], about.st_mtime, about.st_size
            elif path.name.startswith(".") and time.time() - about.st_mtime > LEFT_OVER:
                self.delete(place)

    def delete(self, place: str) -> None:
        """Deletes a file, and its folder if that is the last of it."""
        path = self.root / place
        path.unlink(missing_ok=True)
        try:
            path.parent.rmdir()
        except OSError:
            return  # not empty

    def place(self, workflow_id: str, run_id: str, digest: str) -> str:
        """Where what a run of a workflow stores is."""
        owner = quote(workflow_id, safe="")
        owner = owner.replace(".", "%2E", 1) if workflow_id.startswith(".") else owner
        return f"{self.folder}/{owner}/{run_id}.{digest}"

    async def exists(self, place: str) -> bool:
        return await asyncio.to_thread((self.root / place).exists)

    async def put(self, place: str, data: bytes) -> None:
        """Writes a file, unless it is there.

        Raises:
            StoreError: the disk is full, or the directory may not be written to.
        """
        await asyncio.to_thread(self._write, place, data)

    async def get(self, place: str) -> bytes:
        """Reads a file.

        Raises:
            StoreError: it is missing, or cannot be read.
        """
        return await asyncio.to_thread(self._read, place)

    def _write(self, place: str, data: bytes) -> None:
        path = self.root / place
        try:
            if not path.exists():
                _write_whole(path, data)
        except OSError as error:
            raise StoreError(
                f"the state of {_owner(place)} ({len(data)} bytes) cannot be written to {path}: "
                f"{error.strerror}; make room or mend the rights, the node tries again by itself"
            ) from None

    def _read(self, place: str) -> bytes:
        if _PLACE.fullmatch(place) is None:
            raise StoreError(f"a claim names no state of {self.root}, got {place!r}")
        path = self.root / place
        try:
            return path.read_bytes()
        except OSError as error:
            raise StoreError(
                f"the state of {_owner(place)} cannot be read from {path}: {error.strerror}; bring the "
                "file back, or run the worker with the --store that holds it; the node waits until then"
            ) from None

    async def _state(self, place: str) -> Payload:
        data = await self.get(place)
        if hashlib.sha256(data).hexdigest() != place.rpartition(".")[2]:
            raise StoreError(
                f"the state of {_owner(place)} at {self.root / place} is damaged ({len(data)} bytes, another "
                "SHA-256 than its name says); bring the file back, the node waits until then"
            )
        return Payload.FromString(data)


def _owner(place: str) -> str:
    named = _PLACE.fullmatch(place)
    return unquote(named[1]) if named else place


# A sweep may remove a folder that was empty for a moment.
@retry(on=FileNotFoundError, attempts=3, wait_initial=0.0, wait_jitter=0.05)
def _write_whole(path: Path, data: bytes) -> None:
    """Writes a file so that it is on the disk in whole, or not there."""
    private_folder(path.parent)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    for folder in (path.parent, path.parent.parent):
        sync_folder(folder)
