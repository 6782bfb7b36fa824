"""Going back: a subscription that is ahead of the leaves, because these were restored from an older backup.

Nothing is acknowledged that not every leaf has. So a subscription that has acknowledged more than the
furthest leaf has had was used by others, which are gone: its place is put back to where the leaves know that
all is settled. That is not where the furthest leaf stands: dead letters of what it has had last may not be
written yet, and where the source does not say what was acknowledged, a broker that is slow looks the same.
What the topic no longer has of the messages behind the leaves is lost to them, and is not passed over unless
somebody says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from feeder.leaves import leaves_of
from feeder.sources.base import Subscription
from feeder.topics.roster import Roster
from feeder.topics.source import Input
from timeline.errors import ServiceError
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from timeline.tables.marks import place_of
from workflows.client import Client
from workflows.protocol import Gap

#: Where the source does not say what was acknowledged: nothing comes for so long (s), so often in a row, and
#: yet the leaves have not had all that there is.
SILENCE, PATIENT = 5.0, 3


class GapError(ServiceError):
    """Messages that the leaves have not had are no longer in the source."""


class SoughtError(Exception):
    """The subscription was put back: what it brings begins anew."""


class GoingBack:
    """Looks whether the subscription of a partition is ahead of the leaves, and puts it back then."""

    def __init__(
        self,
        timelines: Client,
        source: Input,
        roster: Roster,
        subscription: Subscription,
        say: Callable[[str], None],
        accept_gap: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timelines = timelines
        self._source = source
        self._roster = roster
        self._subscription = subscription
        self._say = say
        self._accept_gap = accept_gap
        self._clock = clock
        #: Whether the source says what was acknowledged, so that nothing need be guessed.
        self._told = False
        self._seen: Position | None = None
        self._still = 0
        self._looked = clock()

    async def begin(self) -> None:
        """To be called before anything is taken.

        Raises:
            SoughtError: the subscription was put back.
            GapError: something is missing, and nobody has accepted that.
            TimelineError: Temporal does not answer, or the source does not.
        """
        acknowledged = await asyncio.to_thread(self._subscription.acknowledged)
        self._told = acknowledged is not None
        if acknowledged is not None:
            # Asked after it: a feeder that is at work acknowledges behind the leaves.
            furthest, settled = await self._stands()
            if furthest is not None and acknowledged > furthest:
                await self._go_back(furthest, settled, acknowledged)

    async def received(self, first: Position) -> None:
        """To be called with the first message.

        Raises:
            SoughtError, GapError, TimelineError: as of `begin`.
        """
        if self._told:
            return
        furthest, settled = await self._stands()
        if furthest is None or first <= furthest or self._source.partition.follows(furthest, first):
            return
        following = await asyncio.to_thread(self._source.following, furthest)
        if following is not None and following < first:
            await self._go_back(furthest, settled, first)

    async def nothing_came(self) -> None:
        """To be called now and then while nothing is received at all.

        Raises:
            SoughtError, GapError, TimelineError: as of `begin`.
        """
        if self._told or self._clock() - self._looked < SILENCE:
            return
        self._looked = self._clock()
        furthest, settled = await self._stands()
        end = await asyncio.to_thread(self._subscription.end)
        if furthest is None or end is None or end <= furthest:
            return
        # Another feeder may have the partition, and be at work.
        self._still = self._still + 1 if furthest == self._seen else 0
        self._seen = furthest
        if self._still >= PATIENT:
            await self._go_back(furthest, settled, end)

    async def _stands(self) -> tuple[Position | None, Position | None]:
        """The message that the furthest leaf has had last, and that up to which all is settled for sure."""
        specs: list[Spec] = self._roster.specs
        leaves = [leaf for number in self._source.numbers for leaf in leaves_of(specs, number)]
        stands = await asyncio.gather(*map(self._timelines.leaves.stands, leaves))
        furthest = max((place_of(s.position) for s in stands if s.position is not None), default=None)
        return furthest, max((place_of(s.settled) for s in stands if s.settled is not None), default=None)

    async def _go_back(self, furthest: Position, settled: Position | None, acknowledged: Position) -> None:
        name = self._source.name
        right_before = (*furthest[:-1], furthest[-1] - 1)
        oldest = await asyncio.to_thread(self._source.following, right_before)
        lost = oldest is None or oldest > furthest
        if lost:
            gap = Gap(
                partition=self._source.number,
                after=list(furthest),
                until=list(acknowledged if oldest is None else oldest),
            )
            if gap in await self._timelines.registry.gaps(self._source.source_id):
                return
            until = "its end" if oldest is None else f"{list(oldest)}"
            what = (
                f"the workflows have had messages up to {list(furthest)}, as after a restore of an "
                f"older backup, and the topic no longer has what lies between that and {until}"
            )
            if not self._accept_gap:
                raise GapError(
                    f"{what}; nothing is fed. Restore a newer backup or the topic's messages; or let the "
                    "feeder go on without them: timeline feeder --accept-gap"
                )
            await self._timelines.registry.note_gap(self._source.source_id, gap)
            self._say(f"{name}: {what}; going on without them (timeline describe counts the gap)")
        else:
            self._say(
                f"{name}: the subscription is ahead of the workflows, as after a restore of an older backup; "
                f"going back to {list(furthest)}"
            )
        if settled is None:
            await asyncio.to_thread(self._source.seek_to_begin, self._subscription)
        else:
            await asyncio.to_thread(self._subscription.seek, min(settled, furthest))
        raise SoughtError
