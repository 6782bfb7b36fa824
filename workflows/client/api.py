"""The client API: what the command line can do with timelines on a Temporal server, for programs.

Everything is typed, and what has rows becomes an Arrow table. `docs/client.md` shows it in use.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from timeline.aggregate import Result
from timeline.errors import DurationError, RequestError
from timeline.language.output_names import VALUE
from timeline.plan import PlanNode
from timeline.spec.loading import load_spec
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from timeline.values.kinds import Kind
from timeline.values.scalars import Value
from timeline.values.ticks import parse_duration, parse_time
from workflows.client.timelines import Answer, Registered, Timelines
from workflows.life import Standing

if TYPE_CHECKING:
    import pyarrow

__all__ = ["Answer", "Client", "Look", "Recent", "Registered", "Timeline", "Values", "Version"]

#: A time: ms, what the command line takes (``"8s"``, RFC 3339), or a datetime with a zone.
Time: TypeAlias = int | str | datetime
#: A duration: ms, text such as ``"5m"``, or a timedelta.
Duration: TypeAlias = int | str | timedelta


@dataclass(frozen=True, slots=True)
class Timeline:
    """A registered timeline: the kinds of its ``outputs`` by name, how many ``streams`` it has, which
    ``version`` of its spec it is, and whether it is ``paused``.

    A timeline with one expression has one output, called ``value``.
    """

    spec: Spec
    streams: int
    version: int
    paused: bool

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def outputs(self) -> dict[str, Kind]:
        return {name: node.kind for name, node in self.spec.plan.outputs.items()}


@dataclass(frozen=True, slots=True)
class Version:
    """A spec that a timeline has had: its number, counted from 1, and when it came (ms since the epoch;
    null: before versions were kept)."""

    number: int
    at: int | None
    spec: Spec


@dataclass(frozen=True, slots=True)
class Values(Sequence[Answer]):
    """Values of keys, in the order in which they were asked for."""

    answers: tuple[Answer, ...]
    kinds: dict[str, Kind]

    @overload
    def __getitem__(self, index: int) -> Answer: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Answer]: ...
    def __getitem__(self, index: int | slice) -> Answer | Sequence[Answer]:
        return self.answers[index]

    def __len__(self) -> int:
        return len(self.answers)

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.answers)

    def to_arrow(self) -> pyarrow.Table:
        """A row for each: ``key``, ``at`` (ms), the outputs, ``final``, ``position`` and ``error``; types
        as `timeline.aggregate.arrow.to_arrow` says."""
        import pyarrow as pa

        from timeline.aggregate.arrow import column

        def of(answer: Answer, name: str) -> Any:
            return answer.value.get(name) if isinstance(answer.value, dict) else answer.value

        columns: dict[str, Any] = {
            "key": pa.array([a.key for a in self.answers], pa.string()),
            "at": pa.array([a.at for a in self.answers], pa.int64()),
        }
        for name, kind in self.kinds.items():
            columns[name] = column([of(a, name) for a in self.answers], kind)
        columns["final"] = pa.array([a.final for a in self.answers], pa.bool_())
        positions = [None if a.position is None else list(a.position) for a in self.answers]
        columns["position"] = pa.array(positions, pa.list_(pa.int64()))
        columns["error"] = pa.array([a.error for a in self.answers], pa.string())
        return pa.table(columns)


@dataclass(frozen=True, slots=True)
class Recent:
    """A key with its value at its newest event, ``at`` (ms); ``error`` says why it has none."""

    key: str
    at: int | None
    value: Value
    stream: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """A timeline at one moment: the keys with the newest events, newest first, how many keys there are,
    how many events were accepted and refused, and the position of each stream."""

    keys: tuple[Recent, ...]
    count: int
    accepted: int
    refused: int
    positions: tuple[Position | None, ...]


class Client:
    """Timelines on a Temporal server.

    Every method raises `timeline.errors.ServiceError` if the server or a worker does not answer, and
    `timeline.errors.NotFoundError` for a name that is not registered.
    """

    def __init__(self, workflows: Timelines) -> None:
        #: What the API stands on, for what it leaves out: nodes, refused events, quarantined keys.
        self.workflows = workflows

    @classmethod
    async def connect(cls) -> Client:
        """Connects as Temporal's environment configuration says (``TEMPORAL_ADDRESS`` and its kin)."""
        return cls(await Timelines.connect())

    # --- timelines -------------------------------------------------------------------------------

    async def register(self, spec: Spec | str | PathLike[str], *, replace: bool = False) -> Timeline:
        """Starts what a timeline needs, given its spec or the path of one; again, it changes nothing.

        With ``replace``, a timeline that is registered with another spec is changed: nodes that stay go on,
        new ones begin, and what nobody uses any more stops.

        Raises:
            SpecError: all that is wrong with the file.
            TimelineError: a timeline of that name has another spec.
        """
        [registered] = await self.register_all([spec], replace=replace)
        return await self.timeline(registered.spec.name)

    async def register_all(
        self, specs: Iterable[Spec | str | PathLike[str]], *, replace: bool = False
    ) -> list[Registered]:
        """The same for many timelines at once, which takes seconds for a hundred; says what became of each.

        Raises:
            SpecError: all that is wrong with a file.
            TimelineError: a timeline has another spec, or two have one name; none is registered then.
        """
        loaded = [s if isinstance(s, Spec) else await asyncio.to_thread(load_spec, fspath(s)) for s in specs]
        versions: dict[str, int] = {}
        if replace:
            standings = await self.workflows.standings()
            versions = {name: standing["version"] for name, standing in standings.items()}
        return await self.workflows.register_all(loaded, versions)

    async def pause(self, name: str) -> bool:
        """Has the nodes that only this timeline uses get no more events; false if it was so already."""
        return await self.workflows.pause(name)

    async def resume(self, name: str) -> bool:
        """Has a paused timeline go on from where it stands; false if it was not paused."""
        return await self.workflows.resume(name)

    async def versions(self, name: str) -> list[Version]:
        """The last versions of a timeline's spec (20 are kept), oldest first."""
        return [
            Version(v["number"], v["at"], Spec.from_wire(v["spec"]))
            for v in await self.workflows.versions(name)
        ]

    async def remove(self, name: str) -> list[str]:
        """Removes a timeline; the ids of the nodes that stopped, because no other uses them."""
        return await self.workflows.remove(name)

    async def timelines(self) -> dict[str, Timeline]:
        """All registered timelines by name."""
        specs, standings = await self.workflows.specs(), await self.workflows.standings()
        return {name: await self._timeline(spec, standings[name]) for name, spec in specs.items()}

    async def timeline(self, name: str) -> Timeline:
        """The timeline of that name."""
        spec = await self.workflows.spec(name)
        return await self._timeline(spec, (await self.workflows.standings())[name])

    async def _timeline(self, spec: Spec, standing: Standing) -> Timeline:
        streams = len(await self.workflows.streams(spec))
        return Timeline(spec, streams, standing["version"], standing["paused"])

    # --- answers ---------------------------------------------------------------------------------

    async def query(
        self,
        name: str,
        keys: str | Sequence[str],
        at: Time | list[Time] | tuple[Time, ...] | None = None,
        *,
        node: str | None = None,
    ) -> Values:
        """The values of some keys, at each of some times; without a time at each key's newest event.

        ``node`` asks one output, or any node by its text, instead of the result.

        Raises:
            NotFoundError: a key of which no event was heard, or no such node.
        """
        spec = await self.workflows.spec(name)
        asked = spec.plan.result if node is None else spec.plan.find(node)
        ticks: list[int | None] = [None] if at is None else [*_ticks(at)]
        names = [keys] if isinstance(keys, str) else keys
        answers = await self.workflows.values(spec, asked, [(key, tick) for key in names for tick in ticks])
        return Values(tuple(answers), _kinds(spec, asked))

    async def aggregate(
        self,
        name: str,
        agg: str | None = None,
        *,
        group_by: str | Sequence[str] = (),
        where: str | None = None,
        at: Time | list[Time] | tuple[Time, ...] | None = None,
        start: Time | None = None,
        end: Time | None = None,
        every: Duration | None = None,
        top: int | None = None,
        by: str | None = None,
    ) -> Result:
        """The answer to a question over all keys: ``docs/aggregates.md`` says what can be asked.

        A series (``every``) begins at the earliest origin and ends at the newest event unless it is said.

        Raises:
            RequestError: what cannot be asked of the timeline's outputs.
            ExpressionError: a condition that cannot be understood.
            LimitError: more than one answer holds; with what to ask instead.
        """
        spec = await self.workflows.spec(name)
        request = await self.workflows.request(
            spec,
            agg=agg,
            group_by=[group_by] if isinstance(group_by, str) else group_by,
            where=where,
            at=None if at is None else _ticks(at),
            start=None if start is None else _tick(start),
            end=None if end is None else _tick(end),
            every=None if every is None else _milliseconds(every),
            top=top,
            by=by,
        )
        return await self.workflows.aggregate(spec, request)

    async def watch(self, name: str, *, every: Duration = 1_000, most: int = 15) -> AsyncIterator[Look]:
        """A look at a timeline now, and another whenever events have changed something, for ever.

        It is asked ``every`` so often; ``most`` keys are in a look.
        """
        pause = _milliseconds(every) / 1000
        if pause <= 0:
            raise RequestError(f"to watch takes a time between looks, such as 1s, got every={every!r}")
        spec = await self.workflows.spec(name)
        before = None
        while True:
            now = await look(self.workflows, spec, most)
            if now != before:
                before = now
                yield now
            await asyncio.sleep(pause)


async def look(timelines: Timelines, spec: Spec, most: int = 15) -> Look:
    """A timeline as it is now, with the ``most`` keys that have the newest events."""
    streams = await timelines.streams(spec)
    recent = await asyncio.gather(*(timelines.recent(spec, stream, most) for stream in streams))
    leaves = await asyncio.gather(*(timelines.leaf_status(spec, stream) for stream in streams))
    rows = [row for part in recent for row in part["keys"]]
    keys = (
        Recent(row["key"], row["at"], row["value"], row["stream"], row["error"])
        for row in sorted(rows, key=lambda row: -(row["at"] or 0))[:most]
    )
    return Look(
        tuple(keys),
        sum(part["count"] for part in recent),
        sum(leaf["accepted"] for leaf in leaves),
        sum(leaf["refused"] for leaf in leaves),
        tuple(None if part["position"] is None else tuple(part["position"]) for part in recent),
    )


def _kinds(spec: Spec, node: PlanNode) -> dict[str, Kind]:
    if node is spec.plan.result:
        return {name: output.kind for name, output in spec.plan.outputs.items()}
    return {VALUE: node.kind}


def _ticks(at: Time | list[Time] | tuple[Time, ...]) -> list[int]:
    return [_tick(time) for time in at] if isinstance(at, list | tuple) else [_tick(at)]


def _tick(time: Time) -> int:
    """The tick (ms) of a time.

    >>> from datetime import UTC
    >>> _tick("8s"), _tick(8_000), _tick(datetime(1970, 1, 1, 0, 0, 8, tzinfo=UTC))
    (8000, 8000, 8000)
    """
    if isinstance(time, bool) or not isinstance(time, int | str | datetime):
        raise RequestError(f"a time is ms, text such as 8s or RFC 3339, or a datetime, got {time!r}")
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise DurationError(f"a datetime needs a zone to be a time, got {time!r}; give it tzinfo=UTC")
        return parse_time(time.isoformat())
    return parse_time(time) if isinstance(time, str) else time


def _milliseconds(duration: Duration) -> int:
    """A duration in ms.

    >>> _milliseconds("5s"), _milliseconds(5_000), _milliseconds(timedelta(seconds=5))
    (5000, 5000, 5000)
    """
    if isinstance(duration, timedelta):
        return duration // timedelta(milliseconds=1)
    return parse_duration(duration) if isinstance(duration, str) else duration
