"""Where a subscription is put back to, if it brings nothing and yet the leaves have not had all there is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from feeder.leaves import leaves_of
from feeder.sources.base import Message
from feeder.topics.going_back import PATIENT, SILENCE, GoingBack, SoughtError
from feeder.topics.roster import Roster
from feeder.topics.source import Input
from tests.support.segments import Segments, SegmentSubscription
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from workflows.client import Client
from workflows.client.leaves import Standing

#: Two leaves.
SPEC = Spec.from_wire(
    {"name": "t", "expression": "count(a == 1) + count(b == 1)", "source": {"topic": "t", "key": "k"}}
)


class Standings(Client):
    """Leaves that stand where a test puts them."""

    def __init__(self, standings: dict[str, Standing]) -> None:
        self.standings = standings
        self.leaves = cast(Any, self)

    async def stands(self, leaf: str) -> Standing:
        return self.standings[leaf]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def brings_after_silence(folder: Path, settled: list[Position | None]) -> list[Position]:
    """What the subscription of five messages brings after a silence: the leaves have had three of them, and
    know that all is settled up to some places."""
    segments = Segments(folder)
    segments.create("t", 1)
    [partition] = segments.source(SPEC).partitions()
    for n in range(5):
        partition.append(b'{"k": "s", "time": %d, "a": 1, "b": 1}' % n)
    subscription = partition.subscribe("s")
    leaves = leaves_of([SPEC], 0)
    standings = {
        leaf: Standing((1, 3 - n), "born", settled=place)
        for n, (leaf, place) in enumerate(zip(leaves, settled, strict=True))
    }
    clock = Clock()
    back = GoingBack(
        Standings(standings),
        Input(partition, 0, None, SPEC),
        Roster([], [SPEC]),
        subscription,
        print,
        clock=clock,
    )
    for _ in range(PATIENT):
        clock.now += SILENCE
        await back.nothing_came()
    clock.now += SILENCE
    with pytest.raises(SoughtError):
        await back.nothing_came()
    try:
        return [message.position for message in await asyncio.to_thread(_all, subscription)]
    finally:
        subscription.close()


def _all(subscription: SegmentSubscription) -> list[Message]:
    return list(subscription.receive(1_000, 10).each)


async def test_what_may_not_be_settled_comes_again(tmp_path: Path) -> None:
    """A broker that was killed brings nothing for a while either: nothing may be passed over then."""
    assert await brings_after_silence(tmp_path, [(1, 1), None]) == [(1, 2), (1, 3), (1, 4), (1, 5)]


async def test_without_a_word_of_what_is_settled_all_comes_again(tmp_path: Path) -> None:
    assert await brings_after_silence(tmp_path, [None, None]) == [(1, n) for n in range(1, 6)]
