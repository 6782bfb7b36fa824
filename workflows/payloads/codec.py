"""How payloads look on the wire: JSON by orjson, zstd above a KiB, and batches and patches as text and
columns (`timeline.tables.columnar`); encrypted if the environment names a key."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

import orjson
import zstandard
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.common import RawValue
from temporalio.converter import (
    BinaryNullPayloadConverter,
    BinaryPlainPayloadConverter,
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverter,
    EncodingPayloadConverter,
    JSONPlainPayloadConverter,
    PayloadCodec,
    PayloadConverter,
    SerializationContext,
    WithSerializationContext,
    value_to_type,
)

from timeline.errors import TimelineError, WireError
from timeline.tables import bounds, columnar
from timeline.tables.bounds import Budget
from workflows.payloads import encryption
from workflows.payloads.reading import ReadingConverter
from workflows.payloads.unreadable import UnreadableConverter

ENCODING = b"binary/zstd"
#: Text and columns, between converter and codec. They travel as `ENCODING`: a worker of before, whose codec
#: then fails, leaves the task to one that can read them; an encoding that only its converter did not know
#: would make the SDK drop the signal.
COLUMNS = b"binary/timeline-columns"
THRESHOLD = 1024
#: Bytes that a worker has of a payload that was compressed. What it is sent as one is at most 2 MiB, and
#: made of JSON values Python takes up to 12 times as much.
MAX_READ = 8 << 20
#: Where a payload has the name of a frozen piece.
PIECE = encryption.PIECE
#: Kinds of arguments that are taken as they are: batches and patches are too large to look at each item.
UNCHECKED = (None, dict, list, str, int, bool, dict[str, Any], list[Any])


@dataclasses.dataclass(frozen=True, slots=True)
class NamedPiece:
    """A frozen piece of a carried state: the id of the run that froze it and the SHA-256 of its bytes (hex),
    with a dot between; and its bytes."""

    name: str
    data: bytes


class OrjsonPayloadConverter(EncodingPayloadConverter):
    """``json/plain`` as Temporal's own, several times faster.

    What holds numpy arrays becomes text and columns; short arrays become lists, which are read alike.
    """

    def __init__(self) -> None:
        self._typed = JSONPlainPayloadConverter()

    @property
    def encoding(self) -> str:
        return "json/plain"

    def to_payload(self, value: Any) -> Payload | None:
        try:
            return _json(orjson.dumps(value))
        except TypeError:
            if columnar.has_columns(value):
                return Payload(metadata={"encoding": COLUMNS}, data=columnar.to_bytes(value))
        try:
            return _json(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))
        except TypeError:
            return self._typed.to_payload(value)

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        # Not by Python's own reader: it takes text that could never be written again (half a character).
        try:
            value = orjson.loads(payload.data)
        except orjson.JSONDecodeError as error:
            raise WireError(f"{len(payload.data)} bytes are no JSON: {error}") from None
        return value if type_hint in UNCHECKED or type_hint is None else value_to_type(type_hint, value)


class TimelineFailureConverter(DefaultFailureConverter):
    """Failures as payloads, messages and all, where payloads are encrypted; else they stay readable, as do
    those that are ``is_open``, and what says that arguments could not be read."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        unread = isinstance(exception, RuntimeError) and isinstance(exception.__cause__, TimelineError)
        if unread:
            exception = RuntimeError(f"{exception}: {exception.__cause__}")
        is_open = unread or getattr(exception, "is_open", False)
        self._encode_common_attributes = encryption.keys() is not None and not is_open
        super().to_failure(exception, payload_converter, failure)


class StatePayloadConverter(BinaryPlainPayloadConverter):
    """Bytes, which only carried states are; a frozen piece of one says its name beside."""

    def to_payload(self, value: Any) -> Payload | None:
        if isinstance(value, NamedPiece):
            metadata = {"encoding": self.encoding.encode(), PIECE: value.name.encode()}
            return Payload(metadata=metadata, data=value.data)
        return super().to_payload(value)


class ColumnsPayloadConverter(ReadingConverter):
    """Reads what `OrjsonPayloadConverter` wrote as text and columns; the columns are arrays."""

    reads = COLUMNS

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        return columnar.from_bytes(payload.data, self.budget(len(payload.data)))

    def budget(self, size: int) -> Budget:
        """What so many bytes may hold."""
        return Budget.of(size)


class OurConverter(CompositePayloadConverter):
    """What is of an encoding that nobody knows is no message."""

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        try:
            return super().from_payloads(payloads, type_hints)
        except (KeyError, RuntimeError, UnicodeDecodeError) as error:
            if isinstance(error.__cause__, TimelineError):
                raise error.__cause__ from None
            raise WireError(f"a payload cannot be read: {error}") from None


class TimelinePayloadConverter(OurConverter):
    """Null, bytes, and JSON by `OrjsonPayloadConverter`, with columns or without."""

    def __init__(self) -> None:
        super().__init__(
            BinaryNullPayloadConverter(),
            StatePayloadConverter(),
            OrjsonPayloadConverter(),
            ColumnsPayloadConverter(),
            UnreadableConverter(),
        )


class TimelineCodec(PayloadCodec, WithSerializationContext):
    """Compresses every payload above a KiB that gets smaller by it, then encrypts it for its workflow; reads
    any that are for that workflow.

    Columns and bytes are not compressed: they are already, for only carried states are bytes. By this
    those are also known (`workflows.stores.opening`).
    """

    def __init__(self, place: str | None = None) -> None:
        #: The id of the workflow that payloads are for; ``None`` for none, as the codec endpoint has it.
        self.place = place

    def with_context(self, context: SerializationContext) -> Self:
        return type(self)(getattr(context, "workflow_id", None))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [_encrypted(_compressed(payload), self.place) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [_decoded(payload, self.place) for payload in payloads]


def _compressed(payload: Payload) -> Payload:
    encoding = payload.metadata.get("encoding")
    if encoding == COLUMNS:
        return Payload(metadata={"encoding": ENCODING}, data=payload.data)
    if len(payload.data) >= THRESHOLD and encoding not in (ENCODING, encryption.STATE):
        data = zstandard.ZstdCompressor(level=1).compress(payload.SerializeToString())
        if len(data) < len(payload.data):
            return Payload(metadata={"encoding": ENCODING}, data=data)
    return payload


def _encrypted(payload: Payload, place: str | None) -> Payload:
    keys = encryption.keys()
    return payload if keys is None else keys.encrypt(payload, place)


def _decoded(
    payload: Payload, place: str | None, most: int = bounds.MAX_TEXT, *, plain: bool = False
) -> Payload:
    payload = decrypted(payload, place, plain=plain)
    return payload if payload.metadata.get("encoding") != ENCODING else decompressed(payload, most)


def decrypted(payload: Payload, place: str | None, *, plain: bool = False) -> Payload:
    """A payload that is not encrypted; it may be compressed."""
    if payload.metadata.get("encoding") == encryption.ENCODING:
        payload = encryption.decrypt(payload, place)
    elif not plain:
        encryption.may_be_plain()
    if payload.metadata.get("encoding") == ENCODING and columnar.is_ours(payload.data):
        return Payload(metadata={"encoding": COLUMNS}, data=payload.data)
    return payload


def decompressed(payload: Payload, most: int, inner: int = bounds.MAX_INNER) -> Payload:
    """A payload as it was before it was compressed, of so many bytes, and lists and tables in it, at most."""
    data = columnar.decompress(payload.data, most)
    if (count := data.count(b"[") + data.count(b"{")) > inner and most < bounds.MAX_TEXT:
        raise WireError(f"a payload has {count} lists and tables in it, at most {inner} are read")
    try:
        return Payload.FromString(data)
    except DecodeError as error:
        raise WireError(f"{len(data)} bytes that were compressed as a payload are none: {error}") from None


def readable(payload: Payload, numbers: int = bounds.MAX_NUMBERS) -> Payload:
    """A payload as a person reads it: columns are lists in JSON again, if they have no more numbers.

    Raises:
        TimelineError: it has more, is none, or its key is not here.
    """
    payload = _decoded(payload, None, MAX_READ, plain=True)
    if payload.metadata.get("encoding") != COLUMNS:
        return payload
    value = columnar.from_bytes(payload.data, Budget(numbers, MAX_READ, MAX_READ))
    return _json(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))


def told(text: str) -> Payload:
    """A text as a payload that a person reads."""
    return _json(orjson.dumps(text))


def _json(data: bytes) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=data)


def prepared(value: Any) -> RawValue:
    """A value converted and compressed once, to be sent to several workflows."""
    return RawValue(_compressed(TimelinePayloadConverter().to_payload(value)))


def is_piece(payload: Payload) -> bool:
    """Whether an encoded payload is a frozen piece of a carried state."""
    return PIECE in payload.metadata


def is_state(payload: Payload) -> bool:
    """Whether an encoded payload is a carried state: only those are bytes."""
    return payload.metadata.get("encoding") == encryption.STATE or "state" in payload.metadata


#: What every client and worker of Timeline uses.
data_converter = dataclasses.replace(
    DataConverter.default,
    payload_converter_class=TimelinePayloadConverter,
    payload_codec=TimelineCodec(),
    failure_converter_class=TimelineFailureConverter,
)
