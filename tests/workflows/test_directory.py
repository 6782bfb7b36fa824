"""The directory of states by itself, and how what is in it looks in Temporal's UI."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.sdk.v1.external_storage_pb2 import ExternalStorageReference
from temporalio.converter import (
    JSONProtoPayloadConverter,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from timeline.errors import StoreError
from workflows.payloads.codec import TimelineCodec
from workflows.stores import buckets
from workflows.stores.directory import DirectoryDriver
from workflows.stores.pieces import PieceDriver
from workflows.stores.sweep import places

OWNER = StorageDriverWorkflowInfo(namespace="default", id="a/..b", run_id="0-1", type="and")


def test_directory(tmp_path: Path) -> None:
    """What was put there comes back; what is damaged, gone or elsewhere is said, not returned."""
    driver = DirectoryDriver(tmp_path, "ns")
    context = StorageDriverStoreContext(target=OWNER)
    payloads = [Payload(metadata={"encoding": b"binary/plain"}, data=bytes([i]) * 999) for i in (1, 2)]
    claims = asyncio.run(driver.store(context, payloads))
    assert asyncio.run(driver.store(context, payloads)) == claims
    moved = DirectoryDriver(tmp_path.rename(tmp_path.with_name("moved")), "ns")
    assert asyncio.run(moved.retrieve(StorageDriverRetrieveContext(), claims)) == payloads
    assert {(w, r) for _, w, r, _, _ in moved.list()} == {("a/..b", "0-1")}
    half = moved.root / claims[0].claim_data["path"]
    half.write_bytes(half.read_bytes()[:500])
    with pytest.raises(StoreError, match=r"the state of a/\.\.b at .* is damaged \(500 bytes"):
        asyncio.run(moved.retrieve(StorageDriverRetrieveContext(), claims[:1]))
    for elsewhere in ("../secret", f"ns/../{half.name}", str(half)):
        with pytest.raises(StoreError, match="names no state of"):
            asyncio.run(
                moved.retrieve(StorageDriverRetrieveContext(), [StorageDriverClaim({"path": elsewhere})])
            )
    left = half.with_name(".left-by-a-killed-worker")
    left.touch()
    assert len(list(moved.list())) == 2
    assert left.exists()
    os.utime(left, (0, 0))
    assert len(list(moved.list())) == 2
    assert not left.exists()
    for claim in claims:
        moved.delete(claim.claim_data["path"])
    assert list(moved.root.glob("ns/*")) == []


def test_codec_endpoint_shows_where_a_state_is() -> None:
    """A claim is JSON that the UI can show as it is; what it stands for is of no use to a person."""
    reference = ExternalStorageReference(driver_name="timeline.directory", claim_data={"path": "ns/a/b"})
    payload = JSONProtoPayloadConverter().to_payload(reference)
    assert payload is not None
    [decoded] = asyncio.run(TimelineCodec().decode([payload]))
    assert decoded == payload
    assert places([decoded], "path") == {"ns/a/b"}


def test_pieces(tmp_path: Path) -> None:
    """A piece is stored once whatever it looks like then; one that is damaged is said, not returned."""
    directory = DirectoryDriver(tmp_path, "ns")
    driver = PieceDriver(directory, directory.place, "path", "file:here")
    first, again = (
        Payload(metadata={"encoding": b"binary/encrypted", "piece": b"0-1." + b"a" * 64}, data=data)
        for data in (b"one nonce", b"another nonce")
    )
    context = StorageDriverStoreContext(target=OWNER)
    [claim] = asyncio.run(driver.store(context, [first]))
    assert asyncio.run(driver.store(context, [again])) == [claim]
    assert [(w, r) for _, w, r, _, _ in directory.list()] == [("a/..b", "0-1")]
    assert asyncio.run(driver.retrieve(StorageDriverRetrieveContext(), [claim])) == [first]
    path = tmp_path / claim.claim_data["path"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"the piece of a state at ns/.* in file:here is damaged"):
        asyncio.run(driver.retrieve(StorageDriverRetrieveContext(), [claim]))
    path.unlink()
    with pytest.raises(StoreError, match=r"the state of a/\.\.b cannot be read"):
        asyncio.run(driver.retrieve(StorageDriverRetrieveContext(), [claim]))


def test_pieces_in_a_bucket_are_found_by_the_sweep() -> None:
    stored = buckets._stored(buckets._place("a/..b", "0-1", "a" * 64), datetime.fromtimestamp(8, UTC), 7)
    assert stored is not None
    assert (stored.workflow_id, stored.run_id, stored.modified, stored.size) == ("a/..b", "0-1", 8.0, 7)
