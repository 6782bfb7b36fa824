"""Payloads: batches and patches as columns, all else as JSON, and the endpoint that shows both as JSON."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from unittest import mock
from urllib.request import Request, urlopen

import numpy as np
import orjson
import pytest
import zstandard
from temporalio.api.common.v1 import Payload

from timeline.errors import WireError
from timeline.tables import columnar
from timeline.tables.events import from_rows
from timeline.tables.wire import from_events, to_events
from workflows.payloads.codec import ENCODING, TimelineCodec, data_converter, is_state, prepared
from workflows.payloads.encryption import new_key
from workflows.payloads.guarded import WorkerCodec, WorkerPayloadConverter
from workflows.payloads.server import CodecServer
from workflows.payloads.unreadable import key_of, wanting

DRAWN = np.random.default_rng(1).integers(0, 10**6, (3_000, 2)).tolist()
LONG = from_rows([(f"key {a % 99}", a, {"a": f"value {b % 5}", "b": b % 7}) for a, b in DRAWN])
SHORT = LONG.take(slice(0, 3)).compact()
PLAIN = b"json/plain"


def packed(payload: Payload) -> Payload:
    return Payload(metadata={"encoding": ENCODING}, data=zstandard.compress(payload.SerializeToString()))


def through(value: Any) -> tuple[Payload, Any]:
    """How a value travels, and what arrives."""
    [sent] = asyncio.run(data_converter.encode([value]))
    [got] = asyncio.run(data_converter.decode([sent], [dict[str, Any]]))
    return sent, got


def as_json(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))


def test_a_batch_travels_as_columns() -> None:
    wire = to_events(LONG, (9_000,))
    sent, got = through(wire)
    assert sent.metadata["encoding"] == ENCODING
    assert isinstance(got["key"], np.ndarray)
    assert as_json(got) == as_json(wire)
    assert from_events(got)[0].tick.tolist() == LONG.tick.tolist()
    with mock.patch.object(columnar, "FORM", 1):
        before, lists = through(wire)
    assert before.metadata["encoding"] == ENCODING
    assert lists == as_json(wire)
    assert len(sent.data) < 0.8 * len(before.data)
    assert prepared(wire).payload == sent


def test_a_worker_of_another_version_leaves_the_task_to_others() -> None:
    """Where its codec fails, the task fails and is tried elsewhere; the SDK drops a signal for less."""
    sent, _ = through(to_events(LONG, (9_000,)))
    with pytest.raises(zstandard.ZstdError):
        zstandard.ZstdDecompressor().decompress(sent.data)
    later = Payload(metadata=sent.metadata, data=sent.data[:3] + b"\x03" + sent.data[4:])
    with pytest.raises(WireError, match="a value is of form 03, this version reads 1 and 2"):
        asyncio.run(TimelineCodec().decode([later]))


def test_a_small_batch_is_json_that_anyone_can_read() -> None:
    wire = to_events(SHORT, (3,))
    sent, got = through(wire)
    assert sent.metadata["encoding"] == PLAIN
    assert json.loads(sent.data) == as_json(wire) == got


@pytest.mark.parametrize("value", [None, {"a": [1, "x", None]}, [["k", 1]], "text", 2**63, {"a": 2**64 - 1}])
def test_all_else_is_as_it_was(value: Any) -> None:
    sent, got = through(value)
    assert sent.metadata["encoding"] in (PLAIN, b"binary/null")
    assert got == value


def test_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMELINE_ENCRYPTION_KEY", new_key("one"))
    wire = to_events(LONG, (9_000,))
    sent, got = through(wire)
    assert sent.metadata["encoding"] == b"binary/encrypted"
    assert b"value 3" not in sent.data
    assert not is_state(sent)
    assert as_json(got) == as_json(wire)


def test_what_does_not_arrive_whole_is_refused() -> None:
    sent, _ = through(to_events(LONG, (9_000,)))
    for payload in (
        Payload(metadata=sent.metadata, data=sent.data[:-1]),
        Payload(metadata={"encoding": ENCODING}, data=b"no zstd"),
        Payload(metadata={"encoding": ENCODING}, data=zstandard.compress(b"\xff" * 99)),
    ):
        with pytest.raises(WireError):
            asyncio.run(data_converter.decode([payload], [dict]))


def asked(url: str, action: str, payload: Payload) -> Any:
    shown = {name: base64.b64encode(value).decode() for name, value in payload.metadata.items()}
    body = {"payloads": [{"metadata": shown, "data": base64.b64encode(payload.data).decode()}]}
    with urlopen(Request(f"{url}/{action}", json.dumps(body).encode()), timeout=60) as answer:
        [got] = json.load(answer)["payloads"]
    return base64.b64decode(got["metadata"]["encoding"]), base64.b64decode(got["data"])


@pytest.mark.parametrize("form", [1, 2])
@pytest.mark.parametrize("encrypted", [False, True])
def test_the_endpoint_shows_json(form: int, encrypted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if encrypted:
        monkeypatch.setenv("TIMELINE_ENCRYPTION_KEY", new_key("one"))
    wire = to_events(LONG, (9_000,))
    monkeypatch.setattr(columnar, "FORM", form)
    sent, _ = through(wire)
    state = Payload(metadata={"encoding": b"binary/plain"}, data=b"state")
    with CodecServer() as server:
        encoding, data = asked(server.url, "decode", sent)
        assert (encoding, json.loads(data)) == (PLAIN, as_json(wire))
        # What is sent by a person is JSON, and is understood.
        person = Payload(metadata={"encoding": PLAIN}, data=data)
        encoding, data = asked(server.url, "encode", person)
        again = Payload(metadata={"encoding": encoding}, data=data)
        if not encrypted:
            assert asyncio.run(data_converter.decode([again], [dict])) == [as_json(wire)]
        [kept] = asyncio.run(TimelineCodec().encode([state]))
        assert asked(server.url, "decode", kept) == (b"binary/plain", b"state")
        encoding, data = asked(
            server.url, "decode", Payload(metadata={"encoding": ENCODING}, data=b"damaged")
        )
        assert "7 bytes that cannot be shown: 7 bytes cannot be decompressed" in json.loads(data)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (Payload(metadata={"encoding": b"binary/timeline-unreadable"}, data=b"\xff"), "for a worker to say"),
        (packed(packed(Payload(metadata={"encoding": PLAIN}, data=b"1"))), "binary/zstd"),
        (packed(Payload(metadata={"encoding": PLAIN}, data=b"[" + b"0," * 600_000 + b"0]")), "at most"),
        (packed(Payload(metadata={"encoding": PLAIN}, data=b"[" + b"[]," * 30_000 + b"0]")), "lists and"),
    ],
)
def test_a_worker_does_not_read_what_nobody_of_ours_sends(payload: Payload, why: str) -> None:
    [decoded] = asyncio.run(WorkerCodec().decode([payload]))
    assert wanting(decoded) is None
    with pytest.raises(WireError, match=why):
        WorkerPayloadConverter().from_payload(decoded)


def test_what_a_worker_says_of_a_payload_no_sender_says() -> None:
    """That others may read it, by which a task fails until one of them has it; or which key it had."""
    said = {"encoding": PLAIN, "for-want": b"others", "key-id": b"2026-10", "others": b"1"}
    [decoded] = asyncio.run(WorkerCodec().decode([Payload(metadata=said, data=b"1")]))
    assert (wanting(decoded), key_of(decoded)) == (None, None)
    assert WorkerPayloadConverter().from_payload(decoded) == 1
