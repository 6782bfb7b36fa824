"""The order of one batch: sent, arrived, dead letters safe, acknowledged; and what holds that up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

import feeder.stream
from feeder.leaves import leaves_of
from feeder.topics.going_back import GoingBack
from feeder.topics.lead import Lead
from feeder.topics.live import KeyCheck, Live, MovedError
from feeder.topics.marking import Marking
from feeder.topics.receiving import Receiver
from feeder.topics.roster import Leaf, Roster, Shard, State, call_the_roll
from feeder.topics.settling import Counts, Settling
from feeder.topics.source import Input
from feeder.topics.telling import Telling
from feeder.topics.turns import Turns
from tests.support.segments import SegmentPartition, Segments
from tests.support.waiting import eventually
from timeline.spec.spec import Spec
from timeline.tables.events import Events, Position
from workflows.client import Client
from workflows.client.leaves import Standing
from workflows.metrics import FeederMetrics

SPEC = Spec.from_wire(
    {"name": "t", "expression": "latest_event_to_state(a)", "source": {"topic": "t", "key": "k"}}
)


class Leaves:
    """Leaves that take a batch when they are let, and are their own results."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.asked_to_take = asyncio.Event()
        self.reached: Position | None = None
        self.born = "first"
        self.refuses: list[dict[str, Any]] = []
        self.batches: list[int] = []

    async def stands(self, workflow_id: str) -> Standing:
        return Standing(self.reached, self.born)

    async def status(self, workflow_id: str) -> dict[str, Any]:
        return {"newest": -1, "full": None}

    async def position(self, workflow_id: str) -> Position | None:
        return self.reached

    async def signal_events(
        self,
        leaves: Mapping[str, frozenset[str]],
        events: Events,
        last: Position,
        about: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.asked_to_take.set()
        await self.open.wait()
        self.batches.append(len(events))
        self.reached = last

    async def refused_by(self, workflow_id: str, after: Any = None, last: Any = None) -> Any:
        for row in self.refuses:
            if after < row["position"] <= last:
                yield row


class OnlyLeaves(Client):
    """A client of those leaves alone."""

    def __init__(self, leaves: Leaves) -> None:
        self.leaves = self.nodes = cast(Any, leaves)


class Parts:
    """A partition, a subscription to it and the parts of a feeder, of which a test runs what it wants."""

    def __init__(self, folder: Path) -> None:
        segments = Segments(folder)
        segments.create("t", 1)
        self.source = segments.source(SPEC)
        self.partition: SegmentPartition = self.source.partitions()[0]
        self.input = Input(self.partition, 0, None, SPEC)
        self.leaves = Leaves()
        self.client = OnlyLeaves(self.leaves)
        self.said: list[str] = []
        self.held = False
        self.counts = Counts()
        self.subscription = self.partition.subscribe("s")

    async def begin(self) -> None:
        lead = Lead(self.client)
        self.roster, furthest = await call_the_roll(self.client, self.input, [SPEC], lead)
        box = self.partition.letter_box()
        turns = Turns().share()
        metrics = FeederMetrics("t")
        self.settling = Settling(
            self.client, self.subscription, box, self.roster, self.counts, lambda: self.held, turns, metrics
        )
        keys = KeyCheck(self.input, 2, self.said.append)
        telling = Telling("s", self.said.append)
        self.live = Live(
            self.client,
            self.input,
            self.roster,
            self.settling,
            self.counts,
            keys,
            furthest,
            turns,
            telling,
            Marking(self.client, self.input, self.roster, self.subscription, lead),
            GoingBack(self.client, self.input, self.roster, self.subscription, self.said.append),
            metrics,
        )

    async def settled(self, position: Position) -> None:
        """Waits until all up to there is settled."""

        async def done() -> bool:
            return self.counts.acknowledged == position

        await eventually(done)

    async def look(self) -> None:
        """The registry is looked at, and has nothing new."""
        self.settling.note()
        self.settling.confirm()
        await self.settling.acknowledge()

    @property
    def acknowledged(self) -> Position | None:
        path = self.partition.folder / "s.offset"
        return tuple(json.loads(path.read_text())) if path.exists() else None

    def event(self, at: int) -> None:
        self.partition.append(orjson.dumps({"k": "s", "time": at, "a": at}))


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    made = Parts(tmp_path)
    yield made
    made.subscription.close()


async def run_for(*work: Any, until: Any) -> None:
    """Runs coroutines beside each other until another is done."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await until
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_is_not_sent_yet_is_not_settled(parts: Parts) -> None:
    """The one before may have arrived while this one is still on its way to the leaves."""
    await parts.begin()
    receiver = Receiver(parts.subscription)

    async def story() -> None:
        parts.event(1_000)
        await parts.leaves.asked_to_take.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        assert parts.counts.acknowledged is None
        assert parts.acknowledged is None
        parts.leaves.open.set()
        await parts.settled((1, 1))

    try:
        await run_for(parts.live.run(receiver), parts.settling.run(), until=story())
    finally:
        await receiver.stop()
    assert parts.said == [text for text in parts.said if "without a message key" in text]
    assert len(parts.said) == 1


async def test_a_batch_waits_for_the_interval_unless_it_is_full(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder.stream, "BATCH_EVENTS", 5)
    parts.leaves.open.set()
    await parts.begin()
    for stream in parts.roster.streams:
        stream.interval = 3_600_000
    receiver = Receiver(parts.subscription)

    async def story() -> None:
        for batch in (range(1), range(1, 6)):
            for at in batch:
                parts.event(1_000 + at)
            await parts.settled((1, batch[-1] + 1))

    try:
        await run_for(parts.live.run(receiver), parts.settling.run(), until=story())
    finally:
        await receiver.stop()
    assert parts.leaves.batches == [1, 5]
    assert parts.counts.acknowledged == (1, 6)


async def test_dead_letters_come_before_the_acknowledgement(parts: Parts) -> None:
    parts.event(100_000)
    parts.partition.append(b"{oops")
    parts.event(1_000)
    parts.leaves.open.set()
    parts.leaves.refuses = [{"position": (1, 3), "reason": "late"}]
    parts.held = True
    await parts.begin()
    receiver = Receiver(parts.subscription)

    async def story() -> None:
        await parts.settled((1, 3))
        letters = [(letter.kind, letter.position) for letter in parts.source.letters()]
        assert letters == [("broken", (1, 2)), ("late", (1, 3))]
        # Settled, but a paused timeline keeps it; then a leaf that is behind; then nothing.
        await parts.look()
        assert parts.acknowledged is None
        parts.held = False
        [leaf] = leaves_of([SPEC], 0)
        [shard] = parts.roster.shards
        shard.put({"behind": Leaf(frozenset(), State.BEHIND)})
        await parts.settling.acknowledge()
        assert parts.acknowledged is None
        shard.meet({"behind": "b"}, [leaf])
        await parts.settling.acknowledge()
        assert parts.acknowledged == (1, 3)

    try:
        await run_for(parts.live.run(receiver), parts.settling.run(), until=story())
    finally:
        await receiver.stop()
    assert (parts.counts.messages, parts.counts.broken, parts.counts.refused) == (3, 1, 1)


async def test_what_arrives_while_the_registry_is_looked_at_waits_for_the_next_look(parts: Parts) -> None:
    """Leaves that come with new timelines may stand where others stood when the look began."""
    parts.leaves.open.set()
    await parts.begin()
    receiver = Receiver(parts.subscription)

    async def story() -> None:
        parts.event(1_000)
        await parts.settled((1, 1))
        parts.settling.note()
        parts.event(2_000)
        await parts.settled((1, 2))
        await parts.settling.acknowledge()
        assert parts.acknowledged is None
        parts.settling.confirm()
        await parts.settling.acknowledge()
        assert parts.acknowledged == (1, 1)
        # With a leaf that is behind as a look begins, that look says nothing.
        [leaf] = leaves_of([SPEC], 0)
        [shard] = parts.roster.shards
        shard.put({"behind": Leaf(frozenset(), State.BEHIND)})
        parts.settling.note()
        shard.meet({"behind": "b"}, [leaf])
        parts.settling.confirm()
        await parts.settling.acknowledge()
        assert parts.acknowledged == (1, 1)
        await parts.look()
        assert parts.acknowledged == (1, 2)

    try:
        await run_for(parts.live.run(receiver), parts.settling.run(), until=story())
    finally:
        await receiver.stop()


async def test_leaves_that_were_replaced_are_noticed(parts: Parts) -> None:
    await parts.begin()
    parts.leaves.born = "second"
    parts.leaves.open.set()
    parts.event(1_000)
    receiver = Receiver(parts.subscription)
    try:
        with pytest.raises(MovedError):
            await parts.live.run(receiver)
    finally:
        await receiver.stop()
    assert parts.acknowledged is None


async def test_states_of_a_leaf() -> None:
    shard = Shard(0, None)  # type: ignore[arg-type]
    columns = frozenset("a")
    assert shard.unknown(["x", "y"]) == ["x", "y"]
    shard.put({"x": Leaf(columns, State.LIVE, born="1"), "y": Leaf(columns, State.BEHIND)})
    assert shard.unknown(["x", "y", "z"]) == ["z"]
    assert shard.stream.leaves == {"x": columns}
    assert Roster([shard], [SPEC]).any_behind
    # One that is behind stays so until it is up, wanted or not.
    shard.let_go([])
    assert shard.stream.leaves == {}
    assert shard.unknown(["x", "y"]) == ["x"]
    shard.meet({"y": "2"}, [])
    assert not Roster([shard], [SPEC]).any_behind
    assert shard.unknown(["x", "y"]) == ["x", "y"]
    shard.put({"y": Leaf(columns, State.BEHIND)})
    shard.meet({"y": "3"}, ["y"])
    assert (shard.stream.leaves, shard.stream.born) == ({"y": columns}, {"y": "3"})
