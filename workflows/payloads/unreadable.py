"""Payloads that a worker cannot read: each becomes one that says why, and which key it names."""

from __future__ import annotations

from typing import Any

from temporalio.api.common.v1 import Payload

from timeline.errors import (
    EncryptionError,
    LaterFormError,
    TimelineError,
    UnboundError,
    UnknownKeyError,
    WireError,
)
from workflows.payloads import encryption
from workflows.payloads.reading import ReadingConverter

ENCODING = b"binary/timeline-unreadable"
#: Why a payload could not be read that another worker may read: one has the key, or is of the version, for it
#: (`OTHERS`); perhaps one has the key (`PERHAPS`); here it is refused, or the key is lost (`REFUSED`).
FOR_WANT, OTHERS, PERHAPS, REFUSED = "for-want", b"others", b"perhaps", b"refused"


def with_key(payload: Payload, read: Payload) -> Payload:
    """What was read of a payload, with the name of the key that this was encrypted with, if it was."""
    key = payload.metadata.get(encryption.KEY)
    return read if key is None else Payload(metadata={**read.metadata, encryption.KEY: key}, data=read.data)


def unreadable(payload: Payload, error: TimelineError) -> Payload:
    """What a payload becomes that could not be read."""
    want = _want(error)
    metadata = {"encoding": ENCODING} | ({} if want is None else {FOR_WANT: want})
    return with_key(payload, Payload(metadata=metadata, data=str(error).encode()))


def wanting(payload: Payload) -> bytes | None:
    """Why a payload could not be read that another worker may read: `OTHERS`, `PERHAPS` or `REFUSED`;
    ``None`` for all others."""
    return payload.metadata.get(FOR_WANT)


def key_of(payload: Payload) -> bytes | None:
    """The name of the key that a payload was encrypted with, as a worker has it; ``None``: it was not."""
    return payload.metadata.get(encryption.KEY)


def _want(error: TimelineError) -> bytes | None:
    match error:
        case LaterFormError() | UnboundError():
            return OTHERS
        case UnknownKeyError():
            if error.key in encryption.lost_keys():
                return REFUSED
            return OTHERS if error.genuine else PERHAPS
        case EncryptionError():
            return REFUSED
    return None


class UnreadableConverter(ReadingConverter):
    """Tells, when it is asked for the value, why a payload was none (`WorkerCodec`)."""

    reads = ENCODING

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        raise WireError(payload.data.decode())
