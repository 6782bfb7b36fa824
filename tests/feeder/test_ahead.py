"""What is too far ahead of the clock: judged alike by every feeder and at every time, and told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from feeder.files.identity import describe_file
from feeder.files.log import FileLog
from feeder.topics.batches import Decoder, decode
from feeder.topics.dead_letters import count_by_kind, put_rejected
from tests.support.reading import parquet, read, text_file
from tests.support.segments import Segments
from timeline.reading import read_events
from timeline.reading.messages import MessageReader
from timeline.reading.model import AHEAD, REASONS
from timeline.spec.spec import Spec
from timeline.spec.tables import MAX_AHEAD
from workflows.protocol import Segment

NOW, HOUR, DAY = 1_800_000_000_000, 3_600_000, 86_400_000
FAR = 4_390_000_000_000  # 2109
WIRE = {"name": "t", "expression": "latest_event_to_state(a)", "source": {"key": "k"}}


def decoder(max_ahead: int | None, now: int = NOW) -> Decoder:
    reader = MessageReader("t", key="k", time="time", columns=["a"])
    return Decoder(reader, max_ahead, lambda: now / 1_000)


def payload(time: int) -> bytes:
    return json.dumps({"k": "s", "time": time, "a": time}).encode()


def judged(
    tmp_path: Path, events: Sequence[tuple[int, int]], decode_by: Decoder
) -> tuple[list[int], list[bool]]:
    """The times taken, and of each message that was not whether it is ahead, of (time, published)."""
    segments = Segments(tmp_path)
    if not (tmp_path / "t").exists():
        segments.create("t", 1)
        [partition] = segments.source(Spec.from_wire({**WIRE, "source": {"topic": "t"}})).partitions()
        for time, published in events:
            partition.append(payload(time), published=published)
    [partition] = segments.source(Spec.from_wire({**WIRE, "source": {"topic": "t"}})).partitions()
    batch, taken = decode(decode_by, partition.read(None).receive(1_000, 100))
    return taken.tick.tolist(), [rejected.ahead for rejected in batch.rejected]


def test_ahead_of_when_it_was_published_whenever_it_is_read(tmp_path: Path) -> None:
    events = [(NOW + HOUR, NOW), (NOW + HOUR + 1, NOW), (5, NOW), (FAR, NOW), (NOW, NOW - DAY)]
    first = judged(tmp_path, events, decoder(HOUR))
    assert first == ([NOW + HOUR, 5], [True, True, True])
    # A year later another feeder reads the same.
    assert judged(tmp_path, events, decoder(HOUR, NOW + 365 * DAY)) == first
    assert judged(tmp_path, events, decoder(None)) == ([time for time, _ in events], [])


def test_the_clock_of_a_producer_that_is_ahead_itself_is_not_believed(tmp_path: Path) -> None:
    events = [(FAR, FAR), (NOW + 5, NOW + 5), (NOW + DAY + 1, 0)]
    assert judged(tmp_path, events, decoder(DAY)) == ([NOW + 5], [True, True])


def test_small_times_are_never_ahead(tmp_path: Path) -> None:
    events = [(0, NOW), (5_000, NOW), (90 * DAY, NOW)]
    assert judged(tmp_path, events, decoder(1)) == ([0, 5_000, 90 * DAY], [])


def test_dead_letters_say_which_is_which(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    segments.create("t", 1)
    source = segments.source(Spec.from_wire({**WIRE, "source": {"topic": "t"}}))
    [partition] = source.partitions()
    for text in (payload(NOW), b"{oops", payload(FAR), b""):
        partition.append(text, published=NOW)
    batch, _ = decode(decoder(DAY), partition.read(None).receive(1_000, 100))
    box = partition.letter_box()
    assert put_rejected(box, batch) == {"ahead": 1, "broken": 2}
    box.flush()
    assert count_by_kind(source) == {"ahead": 1, "broken": 2}
    [letter] = [letter for letter in source.letters() if letter.kind == "ahead"]
    assert (letter.position, letter.payload) == ((1, 3), payload(FAR))
    assert letter.reason == REASONS[AHEAD]


def test_a_file_is_judged_by_when_it_was_fed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join([payload(NOW), payload(NOW + DAY + 1), payload(FAR), b""]))
    spec = Spec.from_wire(WIRE)
    for file, taken in ((describe_file(path, NOW), 1), (describe_file(path, NOW + DAY), 2)):
        [piece] = FileLog(spec, [file]).pieces(None, ["a"])
        assert len(piece.events) == taken
        assert [r.line for r in piece.rejected if r.ahead] == [1 + taken, 2 + taken][: 3 - taken]
    # What a log had before there was a limit was sent then, and is sent alike to a leaf that comes later.
    old: Segment = describe_file(path)
    assert "now" not in old
    [piece] = FileLog(spec, [old]).pieces(None, ["a"])
    assert len(piece.events) == 3
    never = Spec.from_wire({**WIRE, "limits": {"max_ahead": "never"}})
    [piece] = FileLog(never, [describe_file(path, NOW)]).pieces(None, ["a"])
    assert len(piece.events) == 3


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_every_format_tells_what_is_later_than_the_latest(tmp_path: Path, suffix: str) -> None:
    times = [NOW, FAR, NOW + 1]
    if suffix == ".parquet":
        path = parquet(tmp_path, k=["a"] * 3, t=np.array(times))
    elif suffix == ".csv":
        path = text_file(tmp_path, "k,t\n" + "".join(f"a,{t}\n" for t in times))
    else:
        path = text_file(tmp_path, "".join(f'{{"k":"a","t":{t}}}\n' for t in times), "e.jsonl")
    [block] = read_events(path, key="k", time="t", columns=[], latest=NOW)
    header = suffix == ".csv"
    assert block.events.tick.tolist() == [NOW]
    assert [(r.line, r.ahead) for r in block.rejected] == [(2 + header, True), (3 + header, True)]
    assert len(read(path, columns=[])[0]) == 3


def test_the_default_changes_no_identity_and_another_value_is_another_source() -> None:
    def of(**limits: object) -> Spec:
        wire = {"name": "one", "expression": "has_existed(a == 1)", "limits": limits}
        return Spec.from_wire(wire)

    assert of().limits.max_ahead == MAX_AHEAD == DAY
    assert of(max_ahead="1d") == of()
    assert "max_ahead" not in of().to_wire()["limits"]
    assert of().source_id == "one.b3cbd0df"
    assert of(max_ahead="never").limits.max_ahead is None
    different = [of(), of(max_ahead="2h"), of(max_ahead="never")]
    assert len({spec.source_id for spec in different}) == 3
    assert [Spec.from_wire(spec.to_wire()) for spec in different] == different
    assert of(max_ahead="never").to_wire()["limits"]["max_ahead"] == "never"
    assert of(max_ahead="never").node_limits == of().node_limits
