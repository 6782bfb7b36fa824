"""What happens in a schedule: all of it follows from one seed."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from tests.support.graphs import POLICIES
from tests.support.places import CIRR
from timeline.spec.spec import Spec

Fault = Literal[
    "none",
    "kill feeder",
    "kill worker",
    "kill server",
    # A feeder that believes the leaves to be where they were long ago, and sends all since then again.
    "stale feeder",
    # One that stops in the middle, sees another do its work, and goes on beside the next step's feeder.
    "zombie feeder",
    "two feeders",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
#: All with several leaves, which must be aligned; the first is by far the most often taken.
EXPRESSIONS = (
    CIRR,
    "duration_in_cur_state(latest_event_to_state(playerStateChange)) > 1 "
    "|| !has_existed_within(bitrate > 500, 2s) && latest_event_to_state(bitrate) != 7",
    "duration_in_cur_state(has_existed_within(latest_event_to_state(playerStateChange) == "
    'latest_event_to_state(bitrate) || !has_existed_within(playerStateChange == "buffer", 900ms), 3s))',
)


@dataclass(frozen=True, slots=True)
class Step:
    """The files grow to ``until`` events, and are fed in batches of ``batch``, with a fault.

    The fault befalls before the feeder's signal number ``at`` to a leaf (from 0). ``repeats``: how
    likely a signal is sent twice. ``seed`` is for what the feeder itself draws.
    """

    fault: Fault
    until: int
    batch: int
    at: int
    repeats: float
    seed: int

    def __str__(self) -> str:
        return (
            f"{self.fault} before signal {self.at}; until event {self.until}, {self.batch} a batch, "
            f"{self.repeats:.0%} of the signals twice"
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    """A timeline, its events as JSON lines in stream order, and the steps in which they are fed.

    Lines from number ``second_file`` on are in a second file.
    """

    seed: int
    spec: Spec
    lines: tuple[str, ...]
    second_file: int
    steps: tuple[Step, ...]

    def write(self, folder: Path, until: int) -> list[Path]:
        """Brings the files to their first ``until`` events; those that there are."""
        parts = (self.lines[: min(until, self.second_file)], self.lines[self.second_file : until])
        paths = []
        for number, part in enumerate(parts, start=1):
            if part:
                paths.append(folder / f"{self.spec.name}-{number}.jsonl")
                paths[-1].write_text("".join(line + "\n" for line in part))
        return paths

    def describe(self) -> str:
        """For a person who must find out what went wrong."""
        limits = self.spec.limits
        head = (
            f"seed {self.seed}: {len(self.lines)} events ({self.second_file} in the first file), "
            f"{limits.shards} shards, {limits.allowed_lateness} ms late at most by the {limits.watermark}'s "
            f"newest, lives end after {limits.key_ttl} ms, {self.spec.expression}"
        )
        return "\n".join((head, *(f"  {i}. {step}" for i, step in enumerate(self.steps, start=1))))


def make_schedule(seed: int) -> Schedule:
    """The schedule of a seed.

    >>> make_schedule(17) == make_schedule(17)
    True
    """
    draw = random.Random(seed)
    lateness = draw.choice((1_000, 3_000, 10_000))
    spec = Spec.from_wire(
        {
            "name": f"faults-{seed}",
            "expression": draw.choices(EXPRESSIONS, (6, 1, 1))[0],
            "source": {"key": "session"},
            "limits": {"shards": draw.choice((1, 1, 2)), "allowed_lateness": f"{lateness}ms"} | _lives(seed),
            "run": {"fragments": POLICIES[seed % len(POLICIES)]},
        }
    )
    leaves = sum(bool(fragment.leaves) for fragment in spec.fragments)
    lines = tuple(map(json.dumps, _events(draw, draw.randint(40, 400), lateness)))
    count = draw.randint(2, 4)
    ends = [*sorted(draw.sample(range(2, len(lines)), count - 1)), len(lines)]
    steps = []
    begin = 0
    for end in ends:
        batches = draw.randint(2, 6)
        steps.append(
            Step(
                fault=draw.choice(FAULTS),
                until=end,
                batch=max(1, (end - begin) // batches),
                at=draw.randrange(batches * leaves),
                repeats=draw.choice((0, 0.2)),
                seed=draw.randrange(1 << 32),
            )
        )
        begin = end
    return Schedule(seed, spec, lines, draw.randint(1, len(lines)), tuple(steps))


def _lives(seed: int) -> dict[str, Any]:
    """Of every fourth schedule keys have lives, and of half of those all are late by the stream's time. Both
    depend on all events of a stream, which local evaluation has as one."""
    if seed % 4 != 3:
        return {}
    return {"shards": 1, "key_ttl": f"{1 + seed % 5}s", "watermark": "stream" if seed % 8 == 7 else "key"}


def _events(draw: random.Random, count: int, lateness: int) -> list[dict[str, Any]]:
    """Events of a few keys: in time, late, too late, at the same tick, and repeated."""
    keys = [f"s{number}" for number in range(draw.randint(1, 8))]
    now = 20_000
    events: list[dict[str, Any]] = []
    for _ in range(count):
        if events and draw.random() < 0.05:
            events.append(draw.choice(events[-20:]))
            continue
        now += draw.choice((0, 0, 1, 200, 700, 2_500))
        late = draw.choice((0, 0, 0, 0, 0, 1, lateness // 2, lateness, 2 * lateness))
        event: dict[str, Any] = {"session": draw.choice(keys), "time": max(0, now - late)}
        if draw.random() < 0.9:
            event["playerStateChange"] = draw.choice(("play", "buffer", "buffer", "seek", "pause", None))
        if draw.random() < 0.3:
            event["bitrate"] = draw.randrange(1_000)
        events.append(event)
    return events
