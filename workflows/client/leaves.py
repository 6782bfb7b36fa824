"""Leaves: feeding them, and what they refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple, TypedDict

from timeline.spec.spec import Spec
from timeline.tables.events import Events, Position
from timeline.tables.wire import from_position, to_events, to_position
from workflows.client.asking import Asking
from workflows.names import node_id
from workflows.payloads.codec import prepared
from workflows.protocol import MAX_ANSWER
from workflows.protocol import node as protocol


class RefusedEvent(TypedDict):
    """An event that was too late, or of a closed key: where it is in the stream, and its time (ms)."""

    position: list[int]
    key: str
    time: int
    reason: str


class Standing(NamedTuple):
    """A leaf's position, and which of all that ever had its id it is (``born``); whose batches it takes,
    if not anybody's, and whether any wait; up to where refused events are settled, as far as it knows."""

    position: Position | None
    born: str
    leader: protocol.Leader | None = None
    waiting: bool = False
    settled: Position | None = None


class Leaves:
    """The nodes that read events, by their ids (`workflows.names`). All leaves of a stream get, accept and
    refuse the same events."""

    def __init__(self, asking: Asking) -> None:
        self.asking = asking

    async def signal_events(
        self,
        leaves: Mapping[str, frozenset[str]],
        events: Events,
        last: Position,
        about: Mapping[str, protocol.About] | None = None,
    ) -> None:
        """Signals a batch to leaves, each with the columns it reads; returns when the server has them.

        ``about`` is what they are told besides, by leaf.
        """
        payloads: dict[frozenset[str], Any] = {}
        for columns in leaves.values():
            if columns not in payloads:
                part = {name: events.columns[name] for name in sorted(columns)}
                narrow = Events(events.keys, events.key, events.tick, part, events.position)
                payloads[columns] = prepared(to_events(narrow, last))
        nothing = protocol.About()
        await asyncio.gather(
            *(
                self.asking.signal(
                    leaf, protocol.EVENTS, payloads[columns], about[leaf] if about else nothing
                )
                for leaf, columns in leaves.items()
            )
        )

    async def stands(self, workflow_id: str) -> Standing:
        """Where a leaf stands, and whom it listens to."""
        answer = await self.asking.query(workflow_id, protocol.STANDS)
        return Standing(
            from_position(answer["position"]),
            answer["born"],
            answer.get("leader"),
            answer.get("waiting", False),
            from_position(answer.get("settled")),
        )

    async def lead(self, workflow_id: str, leader: protocol.Leader) -> None:
        """Tells a leaf to take batches only of a feeder with this lead, or a later one."""
        await self.asking.signal(workflow_id, protocol.LEAD, leader)

    async def marks(self, workflow_id: str) -> list[Position]:
        """The marks of a leaf's stream that another leaf which reads it later has to have too, in order."""
        return [tuple(place) for place in await self.asking.query(workflow_id, protocol.MARKS)]

    async def status(self, spec: Spec, stream: int) -> protocol.NodeStatus:
        """The status of one leaf of a stream, which accepts and refuses what all do."""
        return await self.asking.query(node_id(spec, spec.plan.leaves[0], stream), protocol.STATUS)

    async def refused(
        self, spec: Spec, stream: int, after: Position | None = None
    ) -> AsyncIterator[RefusedEvent]:
        """The events of a stream that were refused, from behind a position on, as far as they are kept."""
        async for event in self.refused_by(node_id(spec, spec.plan.leaves[0], stream), after):
            yield event

    async def refused_by(
        self, workflow_id: str, after: Position | None = None, last: Position | None = None
    ) -> AsyncIterator[RefusedEvent]:
        """The events that a leaf refused, from behind a position on, up to and including ``last``."""
        while page := await self.asking.query(workflow_id, protocol.REFUSED, to_position(after)):
            for position, key, time, reason in page:
                if last is not None and tuple(position) > last:
                    return
                yield RefusedEvent(position=position, key=key, time=time, reason=reason)
            if len(page) < MAX_ANSWER:
                return
            after = tuple(page[-1][0])
