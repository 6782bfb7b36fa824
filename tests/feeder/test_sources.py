"""What the boundary promises of a source, shown on a directory of segments; what may be on either side."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from feeder.sources.base import Cursor
from feeder.sources.opening import broker_of
from feeder.topics.receiving import Receiver
from feeder.topics.source import Input, MessageLog
from tests.support.segments import LINES, SegmentPartition, Segments
from timeline.spec.spec import Spec
from timeline.tables.events import Position

COUNT = 2 * LINES + 10


def spec_of(start: str = "earliest") -> Spec:
    source = {"topic": "t", "key": "k", "start": start}
    return Spec.from_wire({"name": "t", "expression": "latest_event_to_state(a)", "source": source})


@pytest.fixture
def partition(tmp_path: Path) -> SegmentPartition:
    """Messages of which the i-th was published at i, and each fifth is no event."""
    segments = Segments(tmp_path)
    segments.create("t", 1)
    [made] = segments.source(spec_of()).partitions()
    for i in range(COUNT):
        made.append(b"{oops" if i % 5 == 0 else orjson.dumps({"k": "s", "time": i, "a": i}), "s", i)
    return made


def taken(cursor: Cursor, most: int = COUNT + 1) -> list[Position]:
    found: list[Position] = []
    while len(found) < most and cursor.more() and (messages := cursor.receive(0)):
        found += [message.position for message in messages.each]
    return found


def test_a_cursor_seeks_to_positions_and_times(partition: SegmentPartition) -> None:
    every = taken(partition.read(None))
    assert len(every) == COUNT
    assert every == sorted(every)
    assert every[-1] == partition.end()
    cursor = partition.read(every[70])
    assert taken(cursor, 3) == every[71:74]
    cursor.seek(every[3])
    assert taken(cursor) == every[4:]
    assert not cursor.more()
    assert not cursor.receive(0)
    cursor.seek(None)
    assert taken(cursor) == every
    cursor.seek_time(20)
    assert taken(cursor) == every[20:]


def test_a_subscription_goes_on_where_it_was_acknowledged(partition: SegmentPartition) -> None:
    every = taken(partition.read(None))
    one = partition.subscribe("s")
    assert one.receive(0)
    messages = one.receive(0)
    assert messages
    one.acknowledge(messages.each[-1])
    assert taken(one, 5) == every[2:7]
    two = partition.subscribe("s")
    assert not two.receive(0)
    one.close()
    assert taken(two) == every[2:]
    two.give_up()
    three = partition.subscribe("s")
    assert taken(three) == every
    three.close()


def test_a_log_of_messages(partition: SegmentPartition) -> None:
    every = taken(partition.read(None))
    [piece] = MessageLog(Input(partition, 0, None, spec_of()), every[9]).pieces(None, ["a"])
    assert piece.events.tick.tolist() == [i for i in range(10) if i % 5]
    assert [tuple(p) for p in piece.events.position.tolist()] == [every[i] for i in range(10) if i % 5]
    assert ([r.line for r in piece.rejected], piece.last, piece.read) == ([0, 5], every[9], 10)
    # Behind a position; and where the source begins, by a position or by a time.
    whole = MessageLog(Input(partition, 0, None, spec_of()), partition.end())
    [piece] = whole.pieces(every[79], ["a"])
    assert piece.read == COUNT - 80
    for begin, start in ((every[79], "latest"), (None, "80")):
        [piece] = MessageLog(Input(partition, 0, begin, spec_of(start)), partition.end()).pieces(None, ["a"])
        assert piece.events.tick.tolist() == [i for i in range(80, COUNT) if i % 5]
    assert list(MessageLog(Input(partition, 0, every[-1], spec_of()), partition.end()).pieces(None, [])) == []
    assert list(MessageLog(Input(partition, 0, None, spec_of()), None).pieces(None, [])) == []


async def test_a_receiver_brings_all_in_order_and_finds_the_end(partition: SegmentPartition) -> None:
    every = taken(partition.read(None))
    receiver = Receiver(partition.read(None))
    found = []
    while messages := await receiver.next_if_any(30):
        found += [message.position for message in messages.each]
    assert found == every
    partition.append(b"{}")
    messages = await receiver.next(30)
    [message] = messages.each
    assert message.position == messages.last == partition.end()
    await receiver.stop()


def test_a_scheme_names_the_broker() -> None:
    assert broker_of("plays") == broker_of("persistent://a/b/plays") == broker_of("x://plays") == "pulsar"
    assert broker_of("pulsar://plays") == "pulsar"


def test_the_engine_knows_no_broker() -> None:
    modules = "feeder.topics.service, feeder.checks.topic, feeder.files.feed, feeder.sources.opening"
    code = f"import sys, {modules}; print({{'pulsar', 'producer'}} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
