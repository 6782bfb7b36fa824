"""What the registry looks at before it accepts an update, and why it refuses.

Nothing here changes anything: it is run by validators, and again by handlers once it is their turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import orjson
from temporalio.exceptions import ApplicationError

from timeline.errors import LimitError, NotFoundError, TimelineError
from timeline.spec.spec import Spec
from timeline.tables.checking import MAX_WIDTH
from timeline.tables.wire import Wire
from timeline.values.ticks import MAX_TICK
from workflows import life
from workflows.bounds import SPEC_BYTES, within_bounds
from workflows.carrying import Carried
from workflows.gauge import MAX_STATE
from workflows.names import MAX_ID, MAX_ID_BYTES, fragment_id, id_may_be, sink_id
from workflows.protocol import Gap, Segment, Topic
from workflows.protocol.registry import Places

#: The most pieces of files that one source remembers; each is about 150 bytes of state.
MAX_SEGMENTS = 2_000
#: Characters of a path, a digest or an id; lines of a file; partitions of a topic.
MAX_NAME, MAX_LINES, MAX_PARTITIONS = 4_096, 1 << 53, 10_000


def registrable(
    carried: Carried, wires: Sequence[Wire], replaces: Mapping[str, int]
) -> tuple[list[Spec], dict[str, Wire]]:
    """The specs, once they may all be registered; and by name those that they replace.

    Raises:
        TimelineError: one of them is none, is too large, or conflicts with what is registered.
    """
    sizes = [len(orjson.dumps(wire)) for wire in wires]
    if (size := max(sizes, default=0)) > SPEC_BYTES:
        raise LimitError(f"a spec has at most {SPEC_BYTES} bytes as JSON, got {size}")
    specs = [Spec.from_wire(wire) for wire in wires]
    twice = [name for name, count in Counter(spec.name for spec in specs).items() if count > 1]
    if twice:
        raise TimelineError(f"two specs are called {twice[0]!r}; give each timeline a name of its own")
    befores: dict[str, Wire] = {}
    for spec, wire in zip(specs, wires, strict=True):
        known = carried.state["timelines"].get(spec.name)
        if known == wire:
            continue
        within_bounds(spec, len(carried.streams(spec)))
        _nameable(spec)
        if known is not None:
            version = life.standing(carried.life(spec.name), known)["version"]
            if replaces.get(spec.name) != version:
                raise _conflict(spec.name, version, replaces.get(spec.name))
            if known.get("sink"):
                raise _has_sink(spec.name)
            carried.spec(spec.name)  # complains if it is not understood
            befores[spec.name] = known
    carried.has_room([_to_carry(carried, s, wire) for s, wire in zip(specs, wires, strict=True)])
    return specs, befores


def _to_carry(carried: Carried, spec: Spec, wire: Wire) -> object:
    """What is carried once a spec is registered, and is not yet: itself, as a version too, and its nodes."""
    if carried.state["timelines"].get(spec.name) == wire:
        return None
    streams = carried.streams(spec)
    ids = [fragment_id(spec, fragment, stream) for stream in streams for fragment in spec.fragments]
    return {"spec": wire, "version": wire, "users": {one: [spec.name] for one in ids}}


def _nameable(spec: Spec) -> None:
    # Of streams and sinks it has far fewer than that: what is too long is what somebody has named.
    last = MAX_PARTITIONS * spec.limits.shards - 1
    ids = [fragment_id(spec, fragment, last) for fragment in spec.fragments]
    ids += [sink_id(spec, sink, last) for sink in spec.sinks]
    longest = max(ids, key=len)
    if not all(map(id_may_be, ids)):
        raise LimitError(
            f"timeline {spec.name!r} would have workflows with ids of {len(longest)} characters, at most "
            f"{MAX_ID} are taken (and {MAX_ID_BYTES} bytes); give its topic, or its sink, a shorter name"
        )


def on_places(places: Places | None) -> None:
    """Looks at how far sources stand.

    Raises:
        TimelineError: these are no positions.
    """
    for source, streams in (places or {}).items():
        for place in streams:
            if place is not None and not (len(place) <= MAX_WIDTH and all(map(_whole, place))):
                raise TimelineError(f"places of {source[:MAX_NAME]} are no positions: {str(place)[:200]}")


def extendable(carried: Carried, source: str, files: Sequence[Segment]) -> None:
    """Looks whether files can be added to a source's log.

    Raises:
        ApplicationError: the source is fed from a topic.
        TimelineError: they are no pieces of files, or too many.
    """
    if files and source in carried.state.get("topics", {}):
        raise ApplicationError(
            f"source {source} is fed from its topic; a timeline that is to have files "
            "needs a source of its own: register it without source.topic",
            type="Conflict",
            non_retryable=True,
        )
    _short(source, "a source")
    for file in files:
        if not {"path", "fingerprint", "after", "last"} <= file.keys():
            raise TimelineError(
                f"a piece of a file has no path, fingerprint, after and last: {str(file)[:200]}"
            )
        for name in ("path", "fingerprint", "head", "content"):
            _short(file.get(name, ""), name)
        if not 0 <= file["after"] <= file["last"] <= MAX_LINES:
            raise TimelineError(
                f"a piece of {file['path']} is said to be lines {file['after'] + 1} to {file['last']}"
            )
        if not (0 <= file.get("now", 0) <= MAX_TICK and 0 <= file.get("mark", 0) <= MAX_TICK):
            raise TimelineError(f"a time of a piece of {file['path']} is none: {str(file)[:200]}")
    if len(carried.state["logs"].get(source, [])) + len(files) > 2 * MAX_SEGMENTS:
        raise too_many_files(source)


def loggable(carried: Carried, source: str, files: Sequence[Segment]) -> None:
    """`extendable`, and whether anybody wants the files, and there is room for them: looked at only before.

    Raises:
        ApplicationError: the source is fed from a topic.
        TimelineError: they are none, or too many; no timeline is on the source.
    """
    extendable(carried, source, files)
    specs = carried.specs()
    # Which source those have that are not understood, nobody knows.
    every = len(specs) == len(carried.state["timelines"])
    if files and every and all(spec.source_id != source for spec in specs.values()):
        raise NotFoundError(f"no timeline is registered on source {source}")
    carried.has_room(files)


def too_many_files(source: str) -> LimitError:
    """The log of a source is full."""
    return LimitError(
        f"source {source} has had {MAX_SEGMENTS} files or pieces of files, the most "
        "that are remembered; put the files together, or register a timeline anew"
    )


def openable(carried: Carried, source: str, topic: Topic) -> list[Spec]:
    """The timelines on a source, whose topic can be opened.

    Raises:
        ApplicationError: it was fed from files.
        TimelineError: no timeline is on it, or it has too many partitions.
    """
    if carried.state["logs"].get(source):
        raise ApplicationError(
            f"source {source} was fed from files, so that its topic cannot be read; "
            "register the timeline anew (timeline remove, then register), or under another name",
            type="Conflict",
            non_retryable=True,
        )
    partitions, starts = topic["partitions"], topic["starts"]
    if not 0 < partitions <= MAX_PARTITIONS:
        raise TimelineError(f"a topic has 1 to {MAX_PARTITIONS} partitions, got {partitions}")
    if len(starts) != partitions:
        raise TimelineError(f"a topic was told with {partitions} partitions and {len(starts)} starts")
    on_places({source: starts})
    specs = [spec for spec in carried.specs().values() if spec.source_id == source]
    if not specs:
        raise NotFoundError(f"no timeline is registered on source {source}")
    if source not in carried.state.get("topics", {}):
        for spec in specs:
            within_bounds(spec, spec.limits.shards * partitions)
    return specs


def rememberable(carried: Carried, source: str, topic: Topic) -> None:
    """`openable`, and whether there is room for what is to be remembered: looked at only before.

    Raises:
        ApplicationError: it was fed from files.
        TimelineError: no timeline is on it, or it has too many partitions.
    """
    openable(carried, source, topic)
    carried.has_room(topic)


def notable(carried: Carried, source: str, gap: Gap) -> None:
    """Looks whether a gap in a topic can be remembered.

    Raises:
        TimelineError: it is none, or there is no room.
    """
    _short(source, "a source")
    if (size := len(orjson.dumps(gap))) > MAX_NAME:
        raise TimelineError(f"a gap has at most {MAX_NAME} bytes as JSON, got {size}")
    carried.has_room(gap)


def warnable(
    carried: Carried, name: str, warnings: Sequence[life.Warned], partitions: Sequence[int] | None
) -> None:
    """Looks whether what events show of a timeline can be remembered.

    Raises:
        TimelineError: it is none of that, or there is no room.
    """
    carried.spec(name)
    if (size := len(orjson.dumps(warnings))) > MAX_NAME:
        raise TimelineError(f"warnings have at most {MAX_NAME} bytes as JSON together, got {size}")
    for one in warnings:
        if not isinstance(one, dict):
            raise TimelineError(f"a warning is a table, got {str(one)[:200]}")
        texts = [one.get(part) for part in ("kind", "place", "text")]
        if not all(isinstance(text, str) for text in [*texts, one.get("suggestion") or ""]):
            raise TimelineError(f"a warning has no kind, place, text and suggestion: {str(one)[:200]}")
    if partitions is not None and not (
        0 < len(partitions) <= MAX_PARTITIONS and all(0 <= n < MAX_PARTITIONS for n in partitions)
    ):
        raise TimelineError(f"partitions are numbers from 0 to {MAX_PARTITIONS - 1}, got {len(partitions)}")
    carried.has_room([warnings, partitions])


def storable(store: str, max_state: int) -> None:
    """Looks at what workers say of their store.

    Raises:
        TimelineError: no store can be so.
    """
    _short(store, "a store")
    if not MAX_STATE <= max_state <= 1 << 30:
        raise TimelineError(f"max_state must be {MAX_STATE} to {1 << 30} bytes, got {max_state}")


def _whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and -(1 << 63) <= number < 1 << 63


def _short(text: object, what: str) -> None:
    if not isinstance(text, str) or len(text) > MAX_NAME:
        raise TimelineError(f"{what} must be text of at most {MAX_NAME} characters")


def _conflict(name: str, version: int, seen: int | None) -> ApplicationError:
    """Another spec than the one that is registered, which nobody asked to replace, or not any more."""
    if seen is None:
        hint = f"`timeline register` with --yes changes it, `timeline remove {name}` makes room"
        what = f"a timeline {name!r} is registered with another spec (v{version}); {hint}"
    else:
        what = f"timeline {name!r} was v{seen} when you looked and is v{version} now; look again"
    return ApplicationError(what, type="Conflict", non_retryable=True)


def _has_sink(name: str) -> ApplicationError:
    """Rows of two specs would share their ids."""
    what = (
        f"timeline {name!r} has a [sink] and cannot be changed: rows of both specs would have the same ids; "
        "register the changed one under another name, with a place of its own, or remove this one first"
    )
    return ApplicationError(what, type="Conflict", non_retryable=True)
