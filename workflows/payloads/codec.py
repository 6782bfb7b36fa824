"""How payloads look on the wire: JSON by orjson (numpy arrays included), zstd above a KiB, encrypted if
the environment names a key."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import orjson
import zstandard
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import (
    BinaryNullPayloadConverter,
    BinaryPlainPayloadConverter,
    CompositePayloadConverter,
    DataConverter,
    EncodingPayloadConverter,
    JSONPlainPayloadConverter,
    PayloadCodec,
)

from workflows.payloads import encryption

ENCODING = b"binary/zstd"
THRESHOLD = 1024
#: Kinds of arguments that are taken as they are: batches and patches are too large to look at each item.
UNCHECKED = (None, dict, list, str, int, bool, dict[str, Any], list[Any])


class OrjsonPayloadConverter(EncodingPayloadConverter):
    """``json/plain`` as Temporal's own, several times faster, and with numpy arrays as lists."""

    def __init__(self) -> None:
        self._typed = JSONPlainPayloadConverter()

    @property
    def encoding(self) -> str:
        return "json/plain"

    def to_payload(self, value: Any) -> Payload | None:
        try:
            data = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
        except TypeError:
            return self._typed.to_payload(value)
        return Payload(metadata={"encoding": b"json/plain"}, data=data)

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        if type_hint in UNCHECKED:
            return orjson.loads(payload.data)
        return self._typed.from_payload(payload, type_hint)


class TimelinePayloadConverter(CompositePayloadConverter):
    """Null, bytes, and JSON by `OrjsonPayloadConverter`."""

    def __init__(self) -> None:
        super().__init__(
            BinaryNullPayloadConverter(), BinaryPlainPayloadConverter(), OrjsonPayloadConverter()
        )


class TimelineCodec(PayloadCodec):
    """Compresses every payload above a KiB that gets smaller by it, then encrypts; reads any.

    Bytes are not compressed: only carried states are bytes, and those are compressed already. By
    this they are also known (`workflows.stores.opening`).
    """

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [_encoded(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [_decoded(payload) for payload in payloads]


def _encoded(payload: Payload) -> Payload:
    encoding = payload.metadata.get("encoding")
    if encoding == encryption.ENCODING:
        return payload  # by `prepared`
    if len(payload.data) >= THRESHOLD and encoding not in (ENCODING, encryption.STATE):
        data = zstandard.ZstdCompressor(level=1).compress(payload.SerializeToString())
        if len(data) < len(payload.data):
            payload = Payload(metadata={"encoding": ENCODING}, data=data)
    keys = encryption.keys()
    return payload if keys is None else keys.encrypt(payload)


def _decoded(payload: Payload) -> Payload:
    if payload.metadata.get("encoding") == encryption.ENCODING:
        payload = encryption.decrypt(payload)
    if payload.metadata.get("encoding") != ENCODING:
        return payload
    return Payload.FromString(zstandard.ZstdDecompressor().decompress(payload.data))


def prepared(value: Any) -> RawValue:
    """A value converted, compressed and encrypted once, to be sent to several workflows."""
    return RawValue(_encoded(TimelinePayloadConverter().to_payload(value)))


def is_state(payload: Payload) -> bool:
    """Whether an encoded payload is a carried state: only those are bytes."""
    return payload.metadata.get("encoding") == encryption.STATE or "state" in payload.metadata


#: What every client and worker of Timeline uses.
data_converter = dataclasses.replace(
    DataConverter.default,
    payload_converter_class=TimelinePayloadConverter,
    payload_codec=TimelineCodec(),
)
