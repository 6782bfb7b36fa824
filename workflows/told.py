"""What a workflow is told: every signal is looked at before anything comes of it.

A signal cannot be refused, and one that raises fails the workflow's task for ever. So what is not
understood is set aside: it is counted, the last ones are shown with the reason, and all else goes on.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import zstandard
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from workflows.inbox import Packed
from workflows.names import parent_may_be
from workflows.payloads.codec import ENCODING
from workflows.protocol.node import RENEW, IsOdd, Odd, SetAside
from workflows.renewal import is_due
from workflows.unread import Unread

with workflow.unsafe.imports_passed_through():
    import numpy as np

    from timeline.errors import TimelineError, WireError, shortened
    from timeline.tables.checking import checked_position

#: So many of the signals that were set aside are shown, the last ones.
MAX_SHOWN = 5
#: Characters of an id or a name, and inputs of one node.
MAX_NAME, MAX_INPUTS = 4_096, 100_000
#: Levels of a message.
DEEPEST = 8
#: What waits for its turn, and is kept as it came if it has more bytes.
PACKED, LARGE, MANY = ("events", "patch", "hand_over"), 256 << 10, 1_000
#: Bytes that a state may have at most, wherever it is kept.
MAX_BYTES = 1 << 30


class Told:
    """A workflow that is told things; its methods for them are bound by `Signal.handler`."""

    #: What was not understood, and whether any was since `run` last looked.
    odd: SetAside
    is_told = False
    unread: Unread
    #: Whether somebody wants a new run.
    renewing = False

    @workflow.signal(dynamic=True)
    def _told(self, name: str, args: Sequence[RawValue]) -> None:
        method = _methods(type(self)).get(name)
        try:
            self.unread.look(arg.payload for arg in args)
            if method is None:
                raise WireError("there is no such signal")
            values = _values(method, args)
            if (check := CHECKS.get(name)) is not None:
                check(*values)
            if name in PACKED and _is_large(args[0].payload, values[0]):
                values[0] = Packed(args[0].payload)
        except TimelineError as error:
            self.set_aside(name, error)
        else:
            method(self, *values)

    def begin_told(self) -> None:
        """Before anything was told."""
        self.odd = SetAside(count=0, last=[])
        self.unread = Unread()

    def what_is_odd(self) -> IsOdd:
        """The signals that were not understood, if there were any."""
        return IsOdd(odd=self.odd) if self.odd["count"] else IsOdd()

    def is_worn(self) -> bool:
        """Whether signals that are no work have made the history so long that it must be begun anew: the
        server takes 10 000 signals a run, and then none at all."""
        return self.is_told and is_due(self.renewing)

    @RENEW.handler
    def renew(self) -> None:
        """The run is to begin anew, by workers of the build that is current now."""
        self.is_told = self.renewing = True

    def set_aside(self, name: str, why: TimelineError) -> None:
        """Takes note of a signal that is not understood."""
        workflow.logger.warning("a signal %s is set aside: %s", shortened(name), why)
        odd = Odd(signal=shortened(name, 80), why=shortened(str(why), 300))
        last = [*self.odd["last"], odd][-MAX_SHOWN:]
        self.is_told = True
        self.odd = SetAside(count=self.odd["count"] + 1, last=last)


def _methods(kind: Any) -> dict[str, Callable[..., None]]:
    """The methods of a workflow by the signals that they take."""
    known: dict[str, Callable[..., None]] = _read(kind)
    return known


@lru_cache
def _read(kind: Any) -> dict[str, Callable[..., None]]:
    members = inspect.getmembers(kind, inspect.isfunction)
    return {method.signal: method for _, method in members if hasattr(method, "signal")}


def _values(method: Callable[..., None], args: Sequence[RawValue]) -> list[Any]:
    """The arguments of a signal.

    Raises:
        WireError: there are too few or too many, or one cannot be read.
    """
    _, *parameters = inspect.signature(method).parameters.values()
    least = sum(p.default is inspect.Parameter.empty for p in parameters)
    if not least <= len(args) <= len(parameters):
        wanted = str(least) if least == len(parameters) else f"{least} to {len(parameters)}"
        raise WireError(f"it has {wanted} arguments, got {len(args)}")
    values = []
    for arg in args:
        try:
            values.append(workflow.payload_converter().from_payload(arg.payload))
        except TimelineError:
            raise
        except Exception as error:
            raise WireError(f"an argument cannot be read: {type(error).__name__}: {error}") from None
    return values


def _batch(batch: Any, about: Any = None) -> None:
    _table(batch, "a batch")
    _carriable(batch, "kind", "release", "settled", "after", "inputs")
    if about is None:
        return
    _table(about, "what is said of a batch")
    if about.get("born") is not None:
        _text(about["born"], "the node's birth")
    if about.get("leader") is not None:
        _lead(about["leader"])
    for place in ("settled", "after"):
        if about.get(place) is not None:
            checked_position(about[place])


def _lead(leader: Any) -> None:
    _text(leader, "a lead")
    number, _, name = leader.partition("-")
    # Far more than partitions change their feeder; who came with more would keep all others out.
    if not (len(number) == 10 and number.isdecimal() and number < "1" and name):
        raise WireError(f"a lead is a number of ten digits and a name, got {shortened(leader, 80)!r}")


def _subscriber(subscriber: Any) -> None:
    _table(subscriber, "a subscriber")
    parent = subscriber.get("workflow")
    _text(parent, "a subscriber's workflow")
    if not parent_may_be(workflow.info().workflow_id, parent):
        raise WireError(f"{shortened(parent)!r} is no workflow of this stream that could be a parent")
    inputs = subscriber.get("inputs")
    good = isinstance(inputs, list) and 0 < len(inputs) <= MAX_INPUTS
    if not good or not all(type(i) is int and 0 <= i < MAX_INPUTS for i in inputs):
        raise WireError(f"a subscriber's inputs are whole numbers, got {shortened(str(inputs), 80)}")
    if subscriber.get("node") is not None:
        _text(subscriber["node"], "a subscriber's node")


def _limit(max_state: Any) -> None:
    if type(max_state) is not int or not 1 <= max_state <= MAX_BYTES:
        raise WireError(f"a state has 1 to {MAX_BYTES} bytes, got {shortened(repr(max_state), 80)}")


def _handed(handed: Any) -> None:
    _table(handed, "what is handed over")
    _shallow(handed, DEEPEST)


def _room(until: Any) -> None:
    if type(until) is not int:
        raise WireError(f"a time is a whole number of ms, got {shortened(repr(until), 80)}")


def _patch(patch: Any) -> None:
    _table(patch, "a patch")
    _carriable(patch, "kind", "release")


def _carriable(wire: dict[str, Any], *ours: str) -> None:
    """Looks whether the inbox can carry a message into the next run."""
    for name in ours:
        if name in wire:
            raise WireError(f"a message has a field {name!r}, by which the inbox tells messages apart")
    _shallow(wire, DEEPEST)


def _shallow(value: dict[str, Any] | list[Any], levels: int) -> None:
    if not levels:
        raise WireError(f"a message is nested more than {DEEPEST} levels deep")
    inner = {dict, list}  # of JSON there are no others; and a message may have a million numbers
    for part in value.values() if isinstance(value, dict) else value:
        if type(part) in inner:
            _shallow(part, levels - 1)


def _table(value: Any, what: str) -> None:
    if not isinstance(value, dict):
        raise WireError(f"{what} is a table, got {shortened(repr(value), 80)}")


def _text(value: Any, what: str) -> None:
    if type(value) is not str or len(value) > MAX_NAME:
        raise WireError(f"{what} is text, got {shortened(repr(value), 80)}")


def _is_large(payload: Payload, value: dict[str, Any]) -> bool:
    size = len(payload.data)
    if payload.metadata.get("encoding") == ENCODING:
        size = zstandard.frame_content_size(payload.data)
    return size + _bytes_of_columns(value, DEEPEST) > LARGE


def _bytes_of_columns(value: Any, levels: int) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    # Columns stand in tables, and in short lists of columns.
    return sum(_bytes_of_columns(part, levels - 1) for part in parts if levels and len(parts) < MANY)


#: What the arguments of a signal must be, as far as that can be said without the node's state.
CHECKS: Mapping[str, Callable[..., None]] = {
    "events": _batch,
    "lead": _lead,
    "patch": _patch,
    "subscribe": _subscriber,
    "unsubscribe": lambda workflow_id: _text(workflow_id, "a subscriber's workflow"),
    "hand_over": _handed,
    "room": _room,
    "limit": _limit,
    "release": lambda key: _text(key, "a key"),
}
