"""When the feeder of topics tells what seems wrong with a timeline, without a broker."""

from __future__ import annotations

import orjson
import pytest

from feeder.topics import telling as module
from feeder.topics.telling import Telling
from timeline.reading.messages import MessageReader
from timeline.spec.spec import Spec

NOW = 1_700_000_000_000


@pytest.fixture(autouse=True)
def _enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENOUGH", 4)


def spec(expression: str, name: str = "t") -> Spec:
    return Spec.from_wire({"name": name, "expression": expression, "source": {"topic": "plays"}})


class Topic:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.telling = Telling("plays", self.said.append)

    def get(self, *specs: Spec, read: str = "state stat", count: int = 1, time: int = NOW) -> list[str]:
        """What is said of messages with a state, of which these columns are read."""
        columns = frozenset(read.split())
        payloads = [orjson.dumps({"key": "a", "time": time + n, "state": "play"}) for n in range(count)]
        reader = MessageReader("plays", key="key", time="time", columns=sorted(columns))
        self.said.clear()
        self.telling.look(specs, columns, reader.read(payloads)[0], payloads)
        return list(self.said)


def test_it_is_told_once_when_enough_messages_have_come() -> None:
    topic, bad, good = Topic(), spec("count(stat == 1)"), spec('count(state == "play")', "good")
    assert topic.get(bad, good, count=3) == []
    assert topic.get(bad, good) == [
        "plays: warning: t: line 1, column 7: no event carries the column stat (4 events looked at); "
        "did you mean state?"
    ]
    assert topic.get(bad, good, count=9) == []
    # What was changed is looked at anew.
    assert topic.get(spec("count(stat == 2)"), good, count=9)[0].endswith(
        "(9 events looked at); did you mean state?"
    )


def test_messages_of_which_not_all_columns_were_read_say_nothing() -> None:
    topic, bad = Topic(), spec("count(stat == 1)")
    assert topic.get(bad, read="state", count=9) == []
    assert len(topic.get(bad, count=9)) == 1


def test_times_of_another_unit() -> None:
    topic, good = Topic(), spec('count(state == "play")')
    assert topic.get(good, time=0, count=3) == []
    assert topic.get(good, time=0) == []
    topic = Topic()
    assert topic.get(good, time=NOW // 1_000, count=3) == []
    [told] = topic.get(good, time=NOW // 1_000)
    assert told.endswith('(1 looked at); did you mean unit = "s"?')
    topic = Topic()
    assert topic.get(good, time=NOW * 1_000, count=3) == []
    [told] = topic.get(good, time=NOW * 1_000)
    assert told == (
        "plays: warning: t: the times in the column time are all after 2100 if they are in ms, and begin on "
        '2023-11-14 if they are in us (1 looked at); did you mean unit = "us"?'
    )
