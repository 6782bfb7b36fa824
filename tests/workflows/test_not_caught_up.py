"""What is said of timelines that are not caught up: where they stand, and what is to be done."""

from __future__ import annotations

import pytest

from timeline.spec.spec import Spec
from workflows.client.catching_up import Behind, told

FILES = Spec.from_wire({"name": "late", "expression": 'count(state == "play")'})
TOPIC = Spec.from_wire({**FILES.to_wire(), "source": {"topic": "events"}})
LEAF = "leaf.0"


def behind(
    spec: Spec, stream: int = 0, idle: bool = False, new: bool = True, full: str | None = None
) -> Behind:
    return Behind(spec, stream, [1, 20], [3, 70], idle={LEAF: None} if idle else {}, new=new, full=full)


@pytest.mark.parametrize(
    ("one", "paused", "hint"),
    [
        (behind(FILES), False, "its nodes are at work on that; ask again soon"),
        (behind(TOPIC), True, "its nodes are at work on that; ask again soon"),
        (behind(FILES, idle=True), False, "feed one of them again (`timeline feed late FILE`)"),
        (behind(FILES, idle=True, new=False), False, "feed again (`timeline feed late FILE`)"),
        (behind(FILES, idle=True), True, "gets no events: `timeline resume late`"),
        (behind(TOPIC, idle=True), True, "gets no events: `timeline resume late`"),
        (behind(TOPIC, idle=True), False, "(`timeline feeder`): is one running?"),
        (behind(TOPIC, idle=True, full="state too large"), False, "a node takes no more: state too large"),
    ],
)
def test_one_stream(one: Behind, paused: bool, hint: str) -> None:
    text = str(told([one], paused))
    assert text.startswith(
        "timeline 'late' is not caught up on stream 0: it is at 1.20, and its source was at 3.70 when it was "
        "registered; "
    )
    assert text.endswith(hint)


@pytest.mark.parametrize(
    ("count", "streams"), [(2, "0, 1"), (5, "0, 1, 2, 3, 4"), (7, "0, 1, 2, 3, 4 and 2 more")]
)
def test_many_streams(count: int, streams: str) -> None:
    every = [behind(TOPIC, stream, idle=stream == count - 1) for stream in range(count)]
    text = str(told(every, False))
    assert f"is not caught up on streams {streams}: it is at 1.20 on stream 0, and" in text
    assert text.endswith("is one running?")
