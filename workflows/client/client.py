"""The client: what the command line can do with timelines on a Temporal server, for programs.

Everything is typed, and what has rows becomes an Arrow table. `docs/client.md` shows it in use.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Self

import temporalio.client

from timeline.aggregate import Result
from timeline.errors import RequestError
from timeline.language.output_names import VALUE
from timeline.plan import PlanNode
from timeline.spec.loading import load_spec
from timeline.spec.spec import Spec
from timeline.tables.intervals import Intervals
from timeline.values.kinds import Kind
from timeline.values.times import Duration, Time, milliseconds, tick, ticks
from workflows.client.answers import Look, Registered, Timeline, Values, Version
from workflows.client.asking import Asking
from workflows.client.builds import Builds
from workflows.client.catching_up import CatchingUp
from workflows.client.leaves import Leaves
from workflows.client.nodes import Nodes
from workflows.client.questions import Questions
from workflows.client.registry import Registry
from workflows.connection import connect
from workflows.life import Standing
from workflows.patience import Patience

if TYPE_CHECKING:
    from timeline.pictures import Picture


class Client:
    """Timelines on a Temporal server.

    Every method raises `timeline.errors.ServiceError` if the server or a worker does not answer, and
    `timeline.errors.NotFoundError` for a name that is not registered. Questions raise
    `timeline.errors.NotCaughtUpError` until a timeline that came over running ones stands where they stood.
    """

    def __init__(self, temporal: temporalio.client.Client, patience: Patience | None = None) -> None:
        asking = Asking(temporal, patience)
        #: The SDK's client.
        self.temporal = temporal
        #: What the methods stand on, by specs instead of names and ticks instead of times; with what they
        #: leave out: files and topics of sources, positions, refused events, quarantined keys, builds.
        self.registry = Registry(asking)
        self.nodes = Nodes(asking, self.registry)
        self.leaves = Leaves(asking)
        self.catching_up = CatchingUp(asking, self.registry)
        self.questions = Questions(asking, self.registry, self.catching_up)
        self.builds = Builds(asking, self.registry)
        self.asking = asking

    @classmethod
    async def connect(cls, *, patience: Duration = 0, say: Callable[[str], None] = lambda _: None) -> Self:
        """Connects as Temporal's environment configuration says (``TEMPORAL_ADDRESS`` and its kin).

        For ``patience`` this and every method wait for a server, or a worker, that does not answer and may
        again; ``say`` is told what is waited for.
        """
        waiting = Patience(milliseconds(patience) / 1_000, say)
        return cls(await connect(waiting), waiting)

    # --- timelines -------------------------------------------------------------------------------

    async def register(
        self,
        spec: Spec | str | PathLike[str],
        *,
        replace: bool = False,
        wait: bool = True,
        patience: Duration = "10s",
    ) -> Timeline:
        """Starts what a timeline needs, given its spec or the path of one; again, it changes nothing.

        With ``replace``, a timeline that is registered with another spec is changed: nodes that stay go on,
        new ones begin, and what nobody uses any more stops.

        Over nodes that run already it returns once the result stands where they stood, unless ``wait`` is
        false. What only a feeder can bring up is waited for while a running one brings something within
        ``patience``, and not at all if it must be fed from files again; questions say what is missing.

        Raises:
            SpecError: all that is wrong with the file.
            TimelineError: a timeline of that name has another spec.
        """
        [registered] = await self.register_all([spec], replace=replace, wait=wait, patience=patience)
        return await self.timeline(registered.spec.name)

    async def register_all(
        self,
        specs: Iterable[Spec | str | PathLike[str]],
        *,
        replace: bool = False,
        wait: bool = True,
        patience: Duration = "10s",
    ) -> list[Registered]:
        """The same for many timelines at once, which takes seconds for a hundred; says what became of each.

        Raises:
            SpecError: all that is wrong with a file.
            TimelineError: a timeline has another spec, or two have one name; none is registered then.
        """
        loaded = [s if isinstance(s, Spec) else await asyncio.to_thread(load_spec, fspath(s)) for s in specs]
        versions: dict[str, int] = {}
        if replace:
            standings = await self.registry.standings()
            versions = {name: standing["version"] for name, standing in standings.items()}
        done = await self.registry.register_all(loaded, versions)
        if not wait:
            return done
        late = await self.catching_up.wait(loaded, patience=milliseconds(patience) / 1000)
        return [dataclasses.replace(one, not_caught_up=late.get(one.spec.name)) for one in done]

    async def pause(self, name: str) -> bool:
        """Has the nodes that only this timeline uses get no more events; false if it was so already."""
        return await self.registry.pause(name)

    async def resume(self, name: str) -> bool:
        """Has a paused timeline go on from where it stands; false if it was not paused."""
        return await self.registry.resume(name)

    async def versions(self, name: str) -> list[Version]:
        """The last versions of a timeline's spec (20 are kept), oldest first."""
        return [
            Version(v["number"], v["at"], Spec.from_wire(v["spec"]))
            for v in await self.registry.versions(name)
        ]

    async def remove(self, name: str) -> list[str]:
        """Removes a timeline; the ids of the nodes that stopped, because no other uses them."""
        return await self.registry.remove(name)

    async def timelines(self) -> dict[str, Timeline]:
        """All registered timelines by name."""
        specs, standings = await self.registry.specs(), await self.registry.standings()
        return {name: await self._timeline(spec, standings[name]) for name, spec in specs.items()}

    async def timeline(self, name: str) -> Timeline:
        """The timeline of that name."""
        spec = await self.registry.spec(name)
        return await self._timeline(spec, (await self.registry.standings())[name])

    async def _timeline(self, spec: Spec, standing: Standing) -> Timeline:
        streams = len(await self.registry.streams(spec))
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
        spec = await self.registry.spec(name)
        asked = spec.plan.result if node is None else spec.plan.find(node)
        times: list[int | None] = [None] if at is None else [*ticks(at)]
        names = [keys] if isinstance(keys, str) else keys
        answers = await self.questions.values(spec, asked, [(key, time) for key in names for time in times])
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
        per: Duration | None = None,
        top: int | None = None,
        by: str | None = None,
        lives: bool = False,
        exact: bool = False,
    ) -> Result:
        """The answer to a question over all keys: ``docs/aggregates.md`` says what can be asked.

        A series (``every``), and what is over time (``per``, or a ``duration``), begins at the earliest
        origin and ends at the newest event unless it is said. Of an expression that is piped into
        ``aggregate(...)`` its question is asked, where ``agg`` and ``group_by`` say no other. ``lives``: of
        all lives that are known, not of each key's newest. ``exact``: without keys that are counted only from
        later than their origin.

        Raises:
            RequestError: what cannot be asked of the timeline's outputs.
            ExpressionError: a condition that cannot be understood.
            LimitError: more than one answer holds; with what to ask instead.
        """
        spec = await self.registry.spec(name)
        groups = [group_by] if isinstance(group_by, str) else group_by
        said = {"agg": agg, "group_by": groups}
        request = await self.questions.request(
            spec,
            **(said if spec.question is None else spec.question.unless(said)),
            where=where,
            at=None if at is None else ticks(at),
            start=None if start is None else tick(start),
            end=None if end is None else tick(end),
            every=None if every is None else milliseconds(every),
            per=None if per is None else milliseconds(per),
            top=top,
            by=by,
            lives=lives,
            exact=exact,
        )
        return await self.questions.aggregate(spec, request)

    async def intervals(
        self,
        name: str,
        keys: str | Sequence[str] | None = None,
        *,
        node: str | None = None,
        start: Time | None = None,
        end: Time | None = None,
    ) -> Intervals:
        """From when to when keys (all of them, unless some are named) have each value of a State or a Bool:
        of the result, or of ``node``; from their origins to their newest events, unless it is said.

        Raises:
            NotFoundError: a key of which no event was heard, or no such node.
            RequestError: several outputs, or one that is no State and no Bool.
        """
        spec = await self.registry.spec(name)
        asked = spec.plan.result if node is None else spec.plan.find(node)
        named = [keys] if isinstance(keys, str) else keys
        first = None if start is None else tick(start)
        last = None if end is None else tick(end)
        return await self.questions.intervals(spec, asked, named, first, last)

    async def plot(
        self, name: str, key: str, *, start: Time | None = None, end: Time | None = None
    ) -> Picture:
        """A picture of a key: the lane of every node, as the workflows have it, from ``start`` (the origin)
        to ``end`` (a little behind the newest event). A notebook shows it; ``to_svg()``, ``to_html()`` and
        ``to_png()`` are for files.

        Raises:
            NotFoundError: a key of which no event was heard.
        """
        from timeline.pictures import Picture, panel, plan_lanes

        first = None if start is None else tick(start)
        last = None if end is None else tick(end)
        spec = await self.registry.spec(name)
        # Before the lanes: it says which keys are near an unknown one.
        await self.questions.values(spec, spec.plan.result, [(key, None)])
        held = [(await self.questions.timelines(spec, node, [key]))[key] for node in spec.plan.nodes]
        rows = {node.index: one.rows for node, one in zip(spec.plan.nodes, held, strict=True)}
        lanes = plan_lanes(spec.plan, rows)
        return Picture([panel(key, lanes, held[-1].origin, held[-1].newest, first, last)])

    async def watch(self, name: str, *, every: Duration = 1_000, most: int = 15) -> AsyncIterator[Look]:
        """A look at a timeline now, and another whenever events have changed something, for ever.

        It is asked ``every`` so often; ``most`` keys are in a look.
        """
        pause = milliseconds(every) / 1000
        if pause <= 0:
            raise RequestError(f"to watch takes a time between looks, such as 1s, got every={every!r}")
        spec = await self.registry.spec(name)
        before = None
        while True:
            now = await self.questions.look(spec, most)
            if now != before:
                before = now
                yield now
            await asyncio.sleep(pause)


def _kinds(spec: Spec, node: PlanNode) -> dict[str, Kind]:
    if node is spec.plan.result:
        return {name: output.kind for name, output in spec.plan.outputs.items()}
    return {VALUE: node.kind}
