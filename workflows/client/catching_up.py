"""Timelines that came over running ones: whether they stand where those stood, why not, and waiting for it.

Each node knows its target itself (`workflows.asked`), so that a question costs nothing more. What is said
here of a timeline is asked only when one was refused, and by who waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from timeline.errors import NotCaughtUpError, NotFoundError
from timeline.spec.spec import Spec
from workflows.client.asking import Asking
from workflows.client.registry import Registry
from workflows.names import fragment_id, node_id
from workflows.protocol import node as protocol

#: How long (s) a feeder may bring nothing to leaves that only it can bring up.
PATIENCE = 10.0
#: How long (s) no node may get further where nothing is missing but the work of workers: if all of them
#: are at rest, and if some are at work.
AT_REST, AT_WORK = 60.0, 600.0
#: Between two looks (s), and nodes that are asked at once.
PAUSE, LONGEST_PAUSE = 0.05, 1.0
AT_ONCE = 100


@dataclass(slots=True)
class Behind:
    """A timeline's result on one stream that has a ``target`` to reach, and what keeps it."""

    spec: Spec
    stream: int
    position: protocol.Place
    target: protocol.Place
    #: Leaves that nobody but a feeder brings up, and whether there are new ones among them.
    idle: dict[str, protocol.Place] = field(default_factory=dict)
    new: bool = False
    busy: bool = False
    full: str | None = None
    #: Where all its nodes stand.
    places: list[protocol.Place] = field(default_factory=list)

    @property
    def signs(self) -> object:
        """What changes when it gets nearer to its target."""
        return self.idle or self.places


class CatchingUp:
    """What is known of timelines that are not caught up."""

    def __init__(self, asking: Asking, registry: Registry) -> None:
        self.asking = asking
        self.registry = registry

    async def behind(self, specs: Iterable[Spec]) -> list[Behind]:
        """The streams on which timelines have still to reach what others had when they came."""
        every = [(spec, stream) for spec in specs for stream in await self.registry.streams(spec)]
        return await self._behind(every)

    async def wait(
        self,
        specs: Sequence[Spec],
        on_progress: Callable[[int], None] = lambda _: None,
        patience: float = PATIENCE,
    ) -> dict[str, NotCaughtUpError]:
        """Waits until timelines are caught up, as long as they get nearer to it; what is to be said of those
        that are not in the end, by name.

        What only a feeder can bring up is waited for while it brings something, and for ``patience`` (s)
        before; not at all where that is new leaves of files, which somebody has to feed again, and where the
        timeline is paused. ``on_progress`` is told how many streams are behind.
        """
        paused = await self.registry.paused()
        now = asyncio.get_running_loop().time
        moved: dict[tuple[str, int], tuple[object, float]] = {}
        given_up: list[Behind] = []
        waiting, pause = await self.behind(specs), PAUSE
        while waiting:
            on_progress(len(waiting) + len(given_up))
            go_on = []
            for one in waiting:
                key = one.spec.name, one.stream
                before, since = moved.get(key, (None, 0.0))
                if before != one.signs:
                    since = now()
                moved[key] = one.signs, since
                most = patience if one.idle else AT_WORK if one.busy else AT_REST
                # What a feed brings to leaves that run it brings to one after the other.
                hopeless = one.idle and (one.spec.name in paused or (one.new and not one.spec.source.topic))
                if one.full or hopeless or now() - since >= most:
                    given_up.append(one)
                else:
                    go_on.append((one.spec, one.stream))
            if go_on:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, LONGEST_PAUSE)
            waiting = await self._behind(go_on)
        by_name: dict[str, list[Behind]] = {}
        for one in given_up:
            by_name.setdefault(one.spec.name, []).append(one)
        return {name: told(every, name in paused) for name, every in by_name.items()}

    async def why(self, spec: Spec) -> NotCaughtUpError | None:
        """What is to be said of a timeline that is not caught up; nothing if it is."""
        behind = await self.behind([spec])
        return told(behind, spec.name in await self.registry.paused()) if behind else None

    async def _behind(self, every: Sequence[tuple[Spec, int]]) -> list[Behind]:
        results = [node_id(spec, spec.plan.result, stream) for spec, stream in every]
        answers = await self._ask(results)
        pending = [(o, answers[i]) for o, i in zip(every, results, strict=True) if answers[i]["target"]]
        more = {fragment_id(s, f, stream) for (s, stream), _ in pending for f in s.fragments}
        answers = await self._ask(sorted(more))
        return [_one(spec, stream, result, answers) for (spec, stream), result in pending]

    async def _ask(self, nodes: Sequence[str]) -> dict[str, protocol.Catching]:
        async def one(workflow_id: str) -> protocol.Catching:
            try:
                return await self.asking.query(workflow_id, protocol.CATCHING_UP)
            except NotFoundError:
                # Removed or changed meanwhile, and forgotten by the server: there is nothing to wait for.
                return {"position": None, "target": None, "busy": False, "full": None}

        found: dict[str, protocol.Catching] = {}
        for first in range(0, len(nodes), AT_ONCE):
            part = nodes[first : first + AT_ONCE]
            found |= zip(part, await asyncio.gather(*map(one, part)), strict=True)
        return found


def _one(spec: Spec, stream: int, result: protocol.Catching, answers: dict[str, protocol.Catching]) -> Behind:
    nodes = {f.root.index: answers[fragment_id(spec, f, stream)] for f in spec.fragments}
    target = result["target"] or []
    leaves = {i: answers[i] for i in (node_id(spec, leaf, stream) for leaf in spec.plan.leaves)}
    idle = {i: a for i, a in leaves.items() if not a["busy"] and (a["position"] or []) < target}
    return Behind(
        spec,
        stream,
        result["position"],
        target,
        idle={workflow_id: a["position"] for workflow_id, a in idle.items()},
        new=any(a["target"] for a in idle.values()),
        busy=any(a["busy"] for a in nodes.values()),
        full=next((a["full"] for a in nodes.values() if a["full"]), None),
        places=[a["position"] for a in nodes.values()],
    )


def told(behind: Sequence[Behind], paused: bool) -> NotCaughtUpError:
    """What is to be said of a timeline that is behind on some streams."""
    spec, first = behind[0].spec, behind[0]
    numbers = ", ".join(str(one.stream) for one in behind[:5])
    more = f" and {len(behind) - 5} more" if len(behind) > 5 else ""
    streams = f"stream {numbers}" if len(behind) == 1 else f"streams {numbers}{more}"
    place = "the beginning" if first.position is None else ".".join(map(str, first.position))
    on_first = "" if len(behind) == 1 else f" on stream {first.stream}"
    return NotCaughtUpError(
        f"timeline {spec.name!r} is not caught up on {streams}: it is at {place}{on_first}, and its source "
        f"was at {'.'.join(map(str, first.target or []))} when it was registered; {_hint(behind, paused)}"
    )


def _hint(behind: Sequence[Behind], paused: bool) -> str:
    spec = behind[0].spec
    if full := next((one.full for one in behind if one.full), None):
        return f"a node takes no more: {full}"
    if not any(one.idle for one in behind):
        return "its nodes are at work on that; ask again soon"
    if paused:
        return f"it is paused and gets no events: `timeline resume {spec.name}`"
    if spec.source.topic is None and not any(one.new for one in behind):
        return f"a feed has not brought it what others had: feed again (`timeline feed {spec.name} FILE`)"
    if spec.source.topic is None:
        return f"new leaves read all files again: feed one of them again (`timeline feed {spec.name} FILE`)"
    return "a feeder brings it what it lacks (`timeline feeder`): is one running?"
