"""How batches are cut: by what waits, within their bounds, at most so often; and in whose turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pytest

import feeder.stream
from feeder.files.queues import ShardQueues
from feeder.sources.base import NONE, Messages, Piece, in_a_row
from feeder.stream import BATCH_BYTES, BATCH_EVENTS, IN_FLIGHT, INBOX_BYTES, Stream, size_of
from feeder.topics.receiving import Receiver
from feeder.topics.turns import Turns
from producer.generated import playback
from producer.messages import limited
from timeline.reading.messages import MessageReader
from timeline.tables.events import EventColumn, Events, Position, from_rows
from timeline.tables.wire import to_events
from workflows.client import Client
from workflows.payloads.codec import prepared


class Nodes:
    """Leaves that take everything at once, and results that have it when they are let."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, Position]] = []
        self.reached: Position | None = None
        self.asked = asyncio.Event()

    async def position(self, workflow_id: str) -> Position | None:
        self.asked.set()
        return self.reached

    async def signal_events(self, leaves: Any, events: Events, last: Position, about: Any = None) -> None:
        self.batches.append((len(events), last))


def stream_to(nodes: Nodes, interval: int = 0, clock: Callable[[], float] = lambda: 0.0) -> Stream:
    class Only(Client):
        def __init__(self) -> None:
            self.leaves = self.nodes = cast(Any, nodes)

    return Stream(Only(), {"s.l.x.0": frozenset("a")}, {"s.r.x.0"}, interval, clock)


def rows(count: int, first: int = 1, text: str = "") -> Events:
    return from_rows([("k", i, {"a": f"{text}{i}"}) for i in range(first, first + count)], (1, first))


def placed(events: Events) -> Events:
    """At places as a broker gives them."""
    index = np.arange(len(events))
    position = np.column_stack((np.full(len(events), 7), index // 3_000, index % 3_000))
    return Events(events.keys, events.key, events.tick, events.columns, position).compact()


def sent_bytes(events: Events) -> int:
    return len(prepared(to_events(events, (7, 99, 0))).payload.data)


@pytest.mark.parametrize("sessions", [100, 10_000, 60_000])
def test_a_full_batch_of_sessions_is_one(sessions: int) -> None:
    payloads = [p for c in limited(playback(sessions, start=10**12), BATCH_EVENTS) for p in c.payload]
    reader = MessageReader("t", key="session", time="time", columns=["playerStateChange"])
    events = placed(reader.read(payloads)[0])
    assert sent_bytes(events) <= size_of(events)
    # Names of so many sessions take more than one may have.
    divided = stream_to(Nodes())._divide(events, (7, 99, 0))
    assert len(divided) == 1 + (sessions == 60_000)


def test_a_batch_of_which_nothing_repeats_is_divided_by_its_numbers() -> None:
    random = np.random.default_rng(1)

    def column() -> EventColumn:
        codes = random.integers(1, BATCH_EVENTS, BATCH_EVENTS)
        return EventColumn(codes, [None, *range(BATCH_EVENTS - 1)])

    keys = [f"{i:x}" for i in range(BATCH_EVENTS)]
    key = random.integers(0, BATCH_EVENTS, BATCH_EVENTS)
    tick = random.integers(0, 10**12, BATCH_EVENTS)
    none = np.zeros((BATCH_EVENTS, 3), np.int64)
    events = placed(Events(keys, key, tick, {"a": column(), "b": column()}, none))
    assert size_of(events) > BATCH_BYTES
    divided = stream_to(Nodes())._divide(events, (7, 99, 0))
    assert sum(len(part) for part, _, _ in divided) == BATCH_EVENTS
    for part, _, size in divided:
        assert size == size_of(part) <= BATCH_BYTES
        # Numbers of the vocabulary, which a node keeps as they are, come on top.
        assert sent_bytes(part) <= 1.25 * BATCH_BYTES


async def test_few_are_in_flight_by_number_and_by_bytes() -> None:
    nodes = Nodes()
    stream = stream_to(nodes)
    for number in range(IN_FLIGHT):
        await stream.send(rows(1, number + 1), (1, number + 1))
    more = asyncio.create_task(stream.send(rows(1, 9), (1, 9)))
    await nodes.asked.wait()
    assert len(nodes.batches) == IN_FLIGHT
    nodes.reached = (1, 2)
    await more
    assert nodes.batches[-1] == (1, (1, 9))
    nodes.reached = (1, 9)
    await stream.drain()

    large = rows(1_000, 10, text="x" * 350)
    assert INBOX_BYTES / 3 < size_of(large) < BATCH_BYTES
    for first in (10, 1_010):
        await stream.send(rows(1_000, first, text="x" * 350), (1, first + 999))
    nodes.asked.clear()
    more = asyncio.create_task(stream.send(rows(1_000, 2_010, text="x" * 350), (1, 3_009)))
    room = asyncio.create_task(stream.room())
    await nodes.asked.wait()
    assert len(stream.in_flight) == 2
    assert not room.done()
    nodes.reached = (1, 3_009)
    await asyncio.gather(more, room)
    assert sum(sent.size for sent in stream.in_flight) < INBOX_BYTES


async def test_one_slow_batch_does_not_make_all_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked less often than it is there, and how long others take is not taken from that."""
    now, asked = 0.0, 0

    class Slow(Nodes):
        """What was sent last arrives ``takes`` s later."""

        takes = 0.05

        async def position(self, workflow_id: str) -> Position | None:
            nonlocal asked
            asked += 1
            return self.reached if now >= sent + self.takes else None

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    nodes = Slow()
    stream = stream_to(nodes, clock=lambda: now)
    monkeypatch.setattr("feeder.stream.asyncio.sleep", sleep)
    noticed = []
    for number in range(1, 61):
        sent = now
        nodes.takes = 4.0 if number == 20 else 0.05
        nodes.reached = (1, number)
        await stream.send(rows(1, number), nodes.reached)
        await stream.drain()
        noticed.append(round(now - sent, 3))
    assert max(noticed[:19]) < 0.07
    assert 4.0 <= noticed[19] < 4.2
    # Each that follows at once is noticed in time again after a few.
    assert sum(noticed[20:]) < 40 * 0.06 + 2.5, noticed
    assert max(noticed[30:]) < 0.07
    assert asked < 300


async def test_a_batch_leaves_an_interval_behind_it() -> None:
    now = 100.0
    stream = stream_to(Nodes(), interval=1_500, clock=lambda: now)
    assert stream.pause() == 0.0
    await stream.send(rows(1), (1, 1))
    assert stream.pause() == 1.5
    now = 101.0
    assert stream.pause() == 0.5
    now = 103.0
    assert stream.pause() == 0.0


def pieces(*counts: int) -> Iterator[Piece]:
    first = 1
    for count in counts:
        first += count
        yield Piece(rows(count, first - count), [], (1, first - 1), count)


async def at_once() -> None:
    """There is room."""


async def test_batches_of_files_are_what_waits_up_to_a_full_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeder.stream, "BATCH_EVENTS", 10)
    queues = ShardQueues(1)
    let_in = asyncio.Event()
    waits = asyncio.Event()

    async def room() -> None:
        waits.set()
        await let_in.wait()

    read: list[int] = []
    four = asyncio.Event()

    def was_read(piece: Piece) -> None:
        read.append(piece.read)
        if len(read) == 4:
            four.set()

    first = asyncio.create_task(queues.next(0, room, lambda: 0.0))
    fill = asyncio.create_task(queues.fill(pieces(1, 2, 3, 25, 4), was_read))
    await waits.wait()
    await four.wait()
    # While there was no room, more came; and no more was read than a full batch and the piece that fills it.
    let_in.set()
    taken = [await first]
    while (batch := await queues.next(0, room, lambda: 0.0)) is not None:
        taken.append(batch)
    await fill
    assert read == [1, 2, 3, 25, 4]
    batches = [(len(events), last) for events, last in cast(Any, taken)]
    assert sum(count for count, _ in batches) == 35
    assert batches[0] == (10, (1, 10))
    assert all(count <= 10 for count, _ in batches)
    assert [end for _, (_, end) in batches] == np.cumsum([count for count, _ in batches]).tolist()


async def test_what_is_full_waits_for_no_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeder.stream, "BATCH_EVENTS", 10)
    queues = ShardQueues(1)
    fill = asyncio.create_task(queues.fill(pieces(3, 3, 4), lambda _: None))
    # An hour's interval; but the third piece makes it full.
    batch = await queues.next(0, at_once, lambda: 3_600.0)
    assert batch is not None
    assert (len(batch[0]), batch[1]) == (10, (1, 10))
    await fill
    assert await queues.next(0, at_once, lambda: 3_600.0) is None


def messages(*places: Position) -> Messages:
    return Messages(
        [cast(Any, p) for p in places],
        [b"{}"] * len(places),
        np.array(places, np.int64),
        np.zeros(len(places), np.int64),
    )


def places_of(run: Messages) -> tuple[Any, ...]:
    return tuple(run.each)


def test_messages_that_come_again_begin_another_run() -> None:
    rising = ((1, 1, 0), (1, 1, 1), (1, 2, 0), (2, 0, 0))
    [run] = messages(*rising).runs()
    assert places_of(run) == rising
    again = messages(*rising, *rising[1:], (2, 0, 0), (2, 1, 5))
    runs = [places_of(run) for run in again.runs()]
    assert runs == [rising, rising[1:], ((2, 0, 0), (2, 1, 5))]
    assert NONE.runs() == []
    assert again.up_to((1, 1, 0)) == 1
    assert len(in_a_row([NONE, messages(*rising), NONE])) == 4
    assert [len(part) for part in messages(*rising).split(messages(*rising).up_to((1, 2, 7)))] == [3, 1]


class Bursts:
    """A cursor that gives one burst after the other, and then nothing."""

    def __init__(self, *bursts: Messages) -> None:
        self._bursts = list(bursts)

    def receive(self, patience_ms: int, most: int = 1) -> Messages:
        return self._bursts.pop(0) if self._bursts else NONE

    def more(self) -> bool:
        return bool(self._bursts)


async def test_a_batch_has_no_gap_and_nothing_twice() -> None:
    first, second = messages((1, 1), (1, 2)), messages((1, 3))
    again, behind_a_gap = messages((1, 2), (1, 3), (1, 4)), messages((1, 9))
    cursor = Bursts(first, second, again, behind_a_gap)
    receiver = Receiver(cast(Any, cursor), lambda before, p: p == (1, cast(Any, before)[1] + 1))
    await receiver.many(7)
    batches = [(await receiver.next(100)).position[:, 1].tolist() for _ in range(3)]
    await receiver.stop()
    assert batches == [[1, 2, 3], [2, 3, 4], [9]]


async def test_turns_go_round() -> None:
    turns = Turns(2)
    one, two = turns.share(), turns.share()
    await one.take()
    await one.take()
    order: list[str] = []

    async def take(name: str, share: Any) -> None:
        await share.take()
        order.append(name)

    waiting = [asyncio.create_task(take("two", two)), asyncio.create_task(take("one", one))]
    await asyncio.sleep(0)
    assert order == []
    one.give()
    await waiting[0]
    assert order == ["two"]
    # One that ends gives back all that it has.
    one.close()
    await waiting[1]
    assert order == ["two", "one"]
    two.close()
    one.close()
    await two.take()
    await two.take()
