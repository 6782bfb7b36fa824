"""The producer: what it generates, and what goes wrong on purpose."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import orjson
import pytest

from producer.generated import cards, playback
from producer.messages import Faults, limited, with_faults
from producer.replay import replay
from tests.support.cli import Cli
from timeline.local.evaluate import evaluate
from timeline.plan import make_plan
from timeline.reading.messages import MessageReader


def test_generated_events_are_in_order_and_the_same_for_the_same_seed() -> None:
    chunks = list(islice(playback(50, seed=3, start=1_000), 5))
    again = list(islice(playback(50, seed=3, start=1_000), 5))
    assert [c.payload for c in chunks] == [c.payload for c in again]
    ticks = np.concatenate([c.tick for c in chunks])
    assert (np.diff(ticks) >= 0).all()
    assert ticks[0] >= 1_000
    events = [orjson.loads(p) for c in chunks for p in c.payload]
    assert [e["time"] for e in events] == ticks.tolist()
    assert [e["session"] for e in events] == [k for c in chunks for k in c.key]
    assert {e.get("playerStateChange") for e in events} == {"buffer", "play", "seek", "pause", "ended", None}
    other = next(playback(50, seed=4, start=1_000))
    assert other.payload != chunks[0].payload


def test_a_session_begins_buffering_and_ends_once() -> None:
    by_session: dict[str, list[str]] = {}
    for chunk in islice(playback(5, seed=1), 8):
        for key, payload in zip(chunk.key, chunk.payload, strict=True):
            if state := orjson.loads(payload).get("playerStateChange"):
                by_session.setdefault(key, []).append(state)
    ended = [states for states in by_session.values() if states[-1] == "ended"]
    assert len(ended) >= 5
    assert all(states[:2] == ["buffer", "play"] and states.count("ended") == 1 for states in ended)


def test_cards_turn_up_in_two_places_now_and_then() -> None:
    payloads = [p for chunk in islice(cards(20, seed=2), 10) for p in chunk.payload]
    reader = MessageReader("cards", key="card", time="time", columns=["lat_long"])
    events, rejected = reader.read(payloads)
    assert rejected == []
    plan = make_plan("count_rises(duration_in_prior_state(latest_event_to_state(lat_long)) < 10)")
    twice = [row.value for row in evaluate(plan, events).values(None)]
    assert 0 < sum(v > 0 for v in twice if isinstance(v, (int, float))) <= 20


def test_faults_are_of_the_wanted_number_and_really_are_faults() -> None:
    faults = Faults(late=0.02, repeated=0.03, broken=0.01)
    chunks = list(with_faults(limited(playback(20, start=1_000_000), 8_000), faults, seed=5))
    kinds = np.concatenate([c.kinds for c in chunks])
    assert np.bincount(kinds).tolist() == [8_000, 160, 240, 80]
    payloads = [p for c in chunks for p in c.payload]
    reader = MessageReader("t", key="session", time="time", columns=["playerStateChange"])
    _, rejected = reader.read(payloads)
    assert [r.line for r in rejected] == np.flatnonzero(kinds == 3).tolist()
    assert {r.reason.split(":")[0] for r in rejected} == {
        "not JSON",
        "not a JSON object",
        "no key",
        "no time",
        "time out of range",
        "not a time",
        "key is not text or a whole number",
        "key is longer than 1024 characters",
    }
    for i in np.flatnonzero(kinds == 2).tolist():
        assert payloads[i] in payloads[:i]


def test_files_are_sent_as_they_are(tmp_path: Path) -> None:
    lines = [b'{"session": "a",  "time": 5}', b"{oops", b'{"session": 7, "time": "1970-01-01T00:00:09Z"}']
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"\n".join([*lines, b""]))
    [chunk] = replay(file, key="session", time="time")
    assert list(chunk.payload) == lines
    assert (list(chunk.key), chunk.tick.tolist()) == (["a", "a", "7"], [5, 5, 9_000])
    table = tmp_path / "a.csv"
    table.write_text("session,time\nb,4\n")
    [chunk] = replay(table, key="session", time="time")
    assert list(map(orjson.loads, chunk.payload)) == [{"session": "b", "time": 4}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rate", "5", "--flat-out"], "give one of --rate, --speed and --flat-out"),
        (["--late", "120%"], "--late must be between 0% and 100%, got 120%"),
        (["--broken", "some"], "--broken must be a share such as 2% or 0.02, got 'some'"),
        (["--speed", "fast"], "--speed must be a factor such as 10x, got 'fast'"),
        (["nothing.jsonl"], "nothing.jsonl is neither playback, cards nor a file"),
    ],
)
def test_wrong_use(local_cli: Cli, arguments: list[str], message: str) -> None:
    assert message in local_cli.bad("produce", "--to", "t", *arguments)
