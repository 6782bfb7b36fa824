"""Whether a patch is missing: each says its number on the edge from its sender to who is told.

A patch that could not be understood was set aside, and perhaps it was one that counts: its sender has other
keys, say. What follows it would then give wrong answers. So it is set aside too: the node stays where it is,
with the answers of that position.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from temporalio import workflow

from workflows.protocol import Subscriber
from workflows.protocol.node import IsMissing

with workflow.unsafe.imports_passed_through():
    from timeline.errors import WireError, shortened
    from timeline.tables.wire import Wire

#: Characters of the name of a line.
MAX_LINE = 64


def begun(subscriber: Subscriber) -> Subscriber:
    """A subscriber to whom nothing was told yet: what it is told from now on is a line of its own."""
    fresh = Subscriber(workflow=subscriber["workflow"], inputs=subscriber["inputs"])
    if "node" in subscriber:
        fresh["node"] = subscriber["node"]
    return fresh


def addressed(subscriber: Subscriber, message: Wire) -> Wire:
    """The next patch for a subscriber, with its number on the line."""
    if "line" not in subscriber:
        subscriber["line"] = workflow.uuid4().hex[:16]
    subscriber["told"] = subscriber.get("told", 0) + 1
    about = {"inputs": subscriber["inputs"], "line": subscriber["line"], "number": subscriber["told"]}
    return message | about


class Order:
    """Of what is told by the children that fill the slots of a node, or the inputs of a sink."""

    def __init__(self) -> None:
        #: By slot: the line of its child, and how many patches of it were taken.
        self._taken: dict[int, tuple[str, int]] = {}
        self._missing: dict[int, str] = {}

    def check(self, wire: Wire, has_begun: Callable[[int], bool]) -> None:
        """Looks whether a patch is the next one of its line, or was here before; ``has_begun`` says of a slot
        whether its child has told something already.

        Raises:
            WireError: one before it is missing, or it says of itself what cannot be.
        """
        if (place := _place(wire)) is None:
            return  # of a version that did not count
        line, number = place
        for slot in wire["inputs"]:
            known, taken = self._taken.get(slot, (line, 0))
            # Who begins a line tells all that there is. Of a child whose patches nobody has counted yet it is
            # not known how many there were.
            uncounted = slot not in self._taken and has_begun(slot)
            if number == 1 or uncounted or (known == line and number <= taken + 1):
                continue
            if known != line:
                raise WireError(f"a patch for input {slot} is of line {line}, here that of {known} is taken")
            self._missing[slot] = (
                f"a patch for input {slot} is missing: number {number} came after {taken}; what was between "
                "was set aside, or lost"
            )
            raise WireError(self._missing[slot])

    def take(self, wire: Wire) -> None:
        """Takes note of a patch that was good."""
        if (place := _place(wire)) is None:
            return
        line, number = place
        for slot in wire["inputs"]:
            known, taken = self._taken.get(slot, (line, 0))
            # One that comes once more, because a child was set back, does not set this back.
            self._taken[slot] = line, max(number, taken) if known == line else number
            self._missing.pop(slot, None)

    def what_is_missing(self) -> IsMissing:
        """Why it cannot go on, if a patch is missing."""
        why = next(iter(self._missing.values()), None)
        return IsMissing() if why is None else IsMissing(missing=why)

    def carried(self) -> dict[str, Any]:
        """What the next run must know."""
        taken = [[slot, *place] for slot, place in self._taken.items()]
        missing = {"missing": list(self._missing.items())} if self._missing else {}
        return {"order": {"taken": taken, **missing}} if taken or missing else {}

    def restore(self, rest: dict[str, Any]) -> None:
        """The inverse of `carried`."""
        carried = rest.get("order", {})
        self._taken = {slot: (line, number) for slot, line, number in carried.get("taken", ())}
        self._missing = dict(carried.get("missing", ()))


def _place(wire: Wire) -> tuple[str, int] | None:
    line, number = wire.get("line"), wire.get("number")
    if line is None and number is None:
        return None
    if type(line) is not str or len(line) > MAX_LINE or type(number) is not int or number < 1:
        what = shortened(f"{line!r} and {number!r}", 80)
        raise WireError(f"a patch says its line by text and its number by a whole number, got {what}")
    return line, number
