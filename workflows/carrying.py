"""What the registry carries from run to run, as far as this version understands it.

The rest (a later version wrote it, or something is missing) is carried on as it is.
"""

from __future__ import annotations

from typing import Any, cast

import orjson
import zstandard

from timeline.errors import LimitError, NotFoundError, SpecError, TimelineError
from timeline.spec.spec import Spec
from timeline.tables.bounds import Budget
from timeline.tables.columnar import decompress
from timeline.tables.wire import Wire
from workflows import life
from workflows.gauge import MAX_INLINE, MAX_STATE, MAX_STORED_STATE
from workflows.protocol.registry import RegistryState, streams_of_source

#: Bytes of JSON, and items in it, that are carried at most.
MAX_TEXT, MAX_ITEMS = 24 << 20, 1 << 20


class Carried:
    """The registry's ``state``, and how it is read."""

    def __init__(self, state: RegistryState | bytes | None) -> None:
        # Carried as bytes, as nodes do, because only bytes go out to a store; once it was JSON.
        carried = _opened(state) if isinstance(state, bytes) else state or {}
        empty: dict[str, Any] = {"timelines": {}, "users": {}, "logs": {}}
        self.state = cast(RegistryState, empty | carried)

    def to_bytes(self) -> bytes:
        """The state as the next run gets it."""
        return _packed(orjson.dumps(self.state))

    def specs(self) -> dict[str, Spec]:
        """The timelines that are understood."""
        read: dict[str, Spec] = {}
        for name, wire in self.state["timelines"].items():
            try:
                read[name] = Spec.from_wire(wire)
            except SpecError:
                continue
        return read

    def spec(self, name: str) -> Spec:
        """A timeline that is registered, or whose registration has begun.

        Raises:
            NotFoundError: there is none.
            TimelineError: it is not understood here.
        """
        return understood(name, self.wire(name))

    def wire(self, name: str) -> Wire:
        """The same as it came.

        Raises:
            NotFoundError: there is none.
        """
        wire = self.state["timelines"].get(name) or self.state.get("begun", {}).get(name)
        if wire is None:
            raise NotFoundError(f"no timeline {name[:80]!r} is registered")
        return wire

    def life(self, name: str) -> life.Life | None:
        """The versions of a timeline, and whether it is paused, if that is remembered."""
        return self.state.get("lives", {}).get(name)

    def streams(self, spec: Spec) -> range:
        """The streams of a timeline's source, as far as its topic is known."""
        return streams_of_source(spec, self.state.get("topics", {}))

    def has_room(self, more: Any) -> None:
        """Looks whether this (what JSON has) can be carried too.

        Raises:
            LimitError: it cannot.
        """
        most = MAX_STORED_STATE if self.state.get("max_state", MAX_STATE) > MAX_STATE else MAX_INLINE
        text, new = orjson.dumps(self.state), orjson.dumps(more)
        size, items = len(text) + len(new), text.count(b",") + new.count(b",")
        fits = size <= MAX_TEXT // 2 and items <= MAX_ITEMS // 2
        if not fits or (size > most and len(_packed(text)) + len(_packed(new)) > most):
            raise LimitError(
                "the registry is full: what it carries has reached the size of a message; remove timelines"
            )

    def forget_sources(self) -> None:
        """Drops the files and topics of sources that no timeline is on. Which are those of a timeline that
        is not understood, nobody knows: then all stay."""
        specs = self.specs()
        if len(specs) < len(self.state["timelines"]):
            return
        sources = {spec.source_id for spec in specs.values()}
        self.state["logs"] = {s: log for s, log in self.state["logs"].items() if s in sources}
        topics = self.state.get("topics", {})
        for source in [source for source in topics if source not in sources]:
            del topics[source]


def _opened(state: bytes) -> Any:
    text = decompress(state, MAX_TEXT)
    Budget(0, MAX_ITEMS, MAX_TEXT).take_text(text)
    return orjson.loads(text)


def understood(name: str, wire: Wire) -> Spec:
    """The spec of a timeline as the registry carries it.

    Raises:
        TimelineError: another version wrote it.
    """
    try:
        return Spec.from_wire(wire)
    except SpecError as error:
        raise TimelineError(
            f"timeline {name!r} is registered, but not understood here: {error}\n"
            "use the version that registered it, or a later one"
        ) from None


def _packed(text: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(text)
