"""What a worker reads by: it is told things by anybody, and many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.converter import BinaryNullPayloadConverter, EncodingPayloadConverter

from timeline.errors import TimelineError, WireError
from timeline.tables.bounds import MAX_INNER, Budget
from workflows.payloads import encryption, unreadable
from workflows.payloads.codec import (
    ENCODING,
    MAX_READ,
    PIECE,
    ColumnsPayloadConverter,
    OrjsonPayloadConverter,
    OurConverter,
    StatePayloadConverter,
    TimelineCodec,
    decompressed,
    decrypted,
)
from workflows.payloads.reading import ReadingConverter

#: By what the SDK knows a payload that stands for one in the store: its encoding of before, and a mark.
CLAIM, MARKER = b"json/external-storage-reference", "__temporal_external_storage_reference"
#: Numbers in the columns of a payload.
MAX_NUMBERS = 1 << 22
#: Of JSON no more is read than so many times what came, and a spec's worth: a sender pays for what is to be
#: read.
READ_TIMES, READ_ROOM = 100, 1 << 20
#: The same of the lists and tables in it, each of which takes more time than many bytes.
INNER_TIMES, INNER_ROOM = 4, 20_000


class GuardedColumnsConverter(ColumnsPayloadConverter):
    """Text and columns, of what anybody may have sent."""

    def budget(self, size: int) -> Budget:
        most = Budget.of(size)
        return Budget(min(MAX_NUMBERS, most.numbers), most.items, min(MAX_READ, most.text))


class CompressedConverter(ReadingConverter):
    """Reads what `WorkerCodec` has left compressed: many signals come at once, and each takes its memory only
    while it is looked at."""

    reads = ENCODING

    def __init__(self) -> None:
        self._inner = GuardedConverter()

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        size = len(payload.data)
        most = min(MAX_READ, READ_ROOM + READ_TIMES * size)
        inner = min(MAX_INNER, INNER_ROOM + INNER_TIMES * size)
        plain = decompressed(payload, most, inner)
        [value] = self._inner.from_payloads([plain], None if type_hint is None else [type_hint])
        return value


class GuardedConverter(OurConverter):
    """What is not compressed, of what anybody may have sent."""

    def __init__(self, *more: EncodingPayloadConverter) -> None:
        super().__init__(
            BinaryNullPayloadConverter(),
            StatePayloadConverter(),
            OrjsonPayloadConverter(),
            GuardedColumnsConverter(),
            *more,
        )


class WorkerPayloadConverter(GuardedConverter):
    """What a worker reads by."""

    def __init__(self) -> None:
        super().__init__(CompressedConverter(), unreadable.UnreadableConverter())


class WorkerCodec(TimelineCodec):
    """What a worker reads by: it is told things by anybody.

    A payload that is none must not fail the whole task that it came with. So it becomes one that says why,
    and whoever asks for its value is told; and none becomes more than `MAX_READ` bytes. What is compressed
    stays so until then (`CompressedConverter`).
    """

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [_readable_or_not(payload, self.place) for payload in payloads]


def without_claims(activation: WorkflowActivation) -> WorkflowActivation:
    """A task in which no signal, update or query says that it is in the store: only states are, with which a
    workflow is started. What is not there, or where there is no store, would fail the task for ever."""
    for job in activation.jobs:
        for payload in (*job.signal_workflow.input, *job.do_update.input, *job.query_workflow.arguments):
            metadata = payload.metadata
            named = metadata.get("messageType", b"").endswith(b".ExternalStorageReference")
            if MARKER in metadata or named or metadata.get("encoding") == CLAIM:
                payload.CopyFrom(Payload(metadata={"encoding": CLAIM + b"-that-is-none"}))
    return activation


def _readable_or_not(payload: Payload, place: str | None) -> Payload:
    try:
        found = decrypted(payload, place)
        if found.metadata.get("encoding") == unreadable.ENCODING:
            raise WireError("a payload says that it could not be read, and it is for a worker to say that")
    except TimelineError as error:
        return unreadable.unreadable(payload, error)
    # The rest of what it says of itself is for workers to say: which key it had, that others may read it.
    said = {name: found.metadata[name] for name in ("encoding", PIECE) if name in found.metadata}
    read = Payload(metadata=said, data=found.data)
    is_encrypted = payload.metadata.get("encoding") == encryption.ENCODING
    return unreadable.with_key(payload, read) if is_encrypted else read
