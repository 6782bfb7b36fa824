"""The lead of a partition: of several feeders the one whose batches and marks the leaves take.

What a batch of messages holds is the same whoever sends it, but a mark is a word of the feeder's own: two
feeders that both go on (one was thought dead, or waits for the other to die) might give one leaf a mark, and
another leaf the messages behind it without it. So where marks matter, who is about to send first tells all
leaves that it has the lead; from then on they take nothing from those that had it before, and where they
stand is where they stand.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable

from timeline.errors import LimitError
from workflows.backoff import until
from workflows.client import Client
from workflows.protocol.node import Leader


def feeder_of(leader: Leader) -> str:
    """What the feeder that has a lead is called; of one that gave no name, the beginning of the lead's own.

    >>> feeder_of("0000000002-plays-1:4711-0123456789abcdef")
    'plays-1:4711'
    >>> feeder_of("0000000002-0123456789abcdef")
    '01234567'
    """
    name, _, own = leader.partition("-")[2].rpartition("-")
    return name or own[:8]


class TakenError(Exception):
    """This feeder has just taken the lead: where leaves stand has to be asked anew."""


class OvertakenError(Exception):
    """Another feeder has taken the lead."""


class Lead:
    """The lead of a partition, for as long as nobody else takes it. ``leader`` is what leaves are told with
    each batch; ``None``: it is not held. ``name`` is what the feeder is called."""

    def __init__(self, timelines: Client, name: str = "") -> None:
        self.leader: Leader | None = None
        self._timelines = timelines
        self._name = name

    async def take(self, leaves: Iterable[str]) -> None:
        """Takes the lead of some leaves, at least one, from whoever has it; when it returns they have taken
        all that came before.

        Raises:
            OvertakenError: another feeder took it at the same moment.
            LimitError: a leaf has stopped taking events.
            TimelineError: Temporal does not answer.
        """
        leaves = list(leaves)
        stands = self._timelines.leaves.stands
        known = [(await stands(leaf)).leader for leaf in leaves]
        number = max((int(leader.partition("-")[0]) for leader in known if leader is not None), default=0)
        leader: Leader = f"{number + 1:010}-{self._name}-{uuid.uuid4().hex}"
        await asyncio.gather(*(self._timelines.leaves.lead(leaf, leader) for leaf in leaves))

        async def settled() -> bool:
            """Whether all have it, and none has anything waiting from before."""
            found = await asyncio.gather(*map(stands, leaves))
            if any(stand.leader != leader for stand in found):
                raise OvertakenError
            for leaf, stand in zip(leaves, found, strict=True):
                if stand.waiting and (full := (await self._timelines.nodes.status(leaf))["full"]):
                    raise LimitError(full)
            return not any(stand.waiting for stand in found)

        await until(settled)
        self.leader = leader

    def look(self, leaders: Iterable[Leader | None]) -> None:
        """Whether it is still held, by what leaves say of it."""
        if self.leader is not None and any(one is not None and one > self.leader for one in leaders):
            self.leader = None
