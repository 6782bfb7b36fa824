"""What waits in the inbox of a node or a sink, and goes along when it continues as new."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from temporalio import workflow
from temporalio.api.common.v1 import Payload

from timeline.errors import TimelineError
from timeline.tables.wire import Wire
from workflows.protocol.node import Place


@dataclass(frozen=True, slots=True)
class Packed:
    """A large message as it came, which is read again when its turn comes: many may wait, and what they say
    takes many times the memory."""

    payload: Payload

    def read(self) -> Wire:
        """What it says."""
        wire: Wire = workflow.payload_converter().from_payload(self.payload)
        return wire


def read(message: Wire | Packed) -> Wire:
    """What a message says."""
    return message.read() if isinstance(message, Packed) else message


@dataclass(frozen=True, slots=True)
class Batch:
    """Events for a leaf (`timeline.tables.wire.to_events`), with up to where refused ones are settled, and
    the place that they go on ``after``."""

    wire: Wire | Packed
    settled: Place = None
    after: Place = None


@dataclass(frozen=True, slots=True)
class ChildPatch:
    """A patch of a child (`timeline.engine.wire.to_patch`) with the ``inputs`` that it is for."""

    wire: Wire | Packed


@dataclass(frozen=True, slots=True)
class Release:
    """A quarantined key that is to be tried again."""

    key: str


Entry: TypeAlias = Batch | ChildPatch | Release


def to_carried(inbox: Iterable[Entry]) -> list[Wire]:
    """An inbox as a carried state has it: what was signalled, with its ``kind``."""
    return [_to_wire(entry) for entry in inbox]


def from_carried(carried: Iterable[Wire]) -> list[Entry]:
    """The inverse of `to_carried`. States of before 0.3 say no kind: there the keys tell.

    >>> from_carried([{"kind": "release", "release": "k"}, {"release": "k"}, {"inputs": [0]}])
    [Release(key='k'), Release(key='k'), ChildPatch(wire={'inputs': [0]})]
    >>> from_carried(to_carried([Batch({"last": [1]}, [0]), Batch({"last": [2]}, None, [1])]))
    [Batch(wire={'last': [1]}, settled=[0], after=None), Batch(wire={'last': [2]}, settled=None, after=[1])]

    Raises:
        TimelineError: an entry of a kind that this version does not know.
    """
    return [_from_wire(wire) for wire in carried]


def _to_wire(entry: Entry) -> Wire:
    # What a worker of before 0.3 looks at is where it was, so that it reads these too.
    match entry:
        case Batch(wire, settled, after):
            carried = {"kind": "events", **read(wire)} | ({"settled": settled} if settled else {})
            return carried | ({"after": after} if after else {})
        case ChildPatch(wire):
            return {"kind": "patch", **read(wire)}
        case Release(key):
            return {"kind": "release", "release": key}


def _from_wire(wire: Wire) -> Entry:
    rest = dict(wire)
    kind = rest.pop("kind", None) or _kind_of(wire)
    match kind:
        case "events":
            settled, after = rest.pop("settled", None), rest.pop("after", None)
            return Batch(rest, settled, after)
        case "patch":
            return ChildPatch(rest)
        case "release":
            return Release(wire["release"])
    raise TimelineError(
        f"a carried inbox has an entry of kind {kind!r}, this worker reads events, patch and release; "
        "run a worker of the version that wrote it, or a later one"
    )


def _kind_of(wire: Wire) -> str:
    if "release" in wire:
        return "release"
    return "patch" if "inputs" in wire else "events"
