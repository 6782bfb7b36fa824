"""A schedule played on a rig, and what must hold when it has ended."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

import orjson

from feeder.checks.dry_run import compare
from tests.system.faults.feeding import Feeder, Order
from tests.system.faults.rig import Rig
from tests.system.faults.runs import Runs, count_runs
from tests.system.faults.schedule import Schedule, Step
from workflows.names import node_id

#: Something is stuck if a schedule, which takes seconds, is not through by then.
GIVE_UP = 600.0
#: How often a feeder may find a server that was killed.
TRIES = 5


class FaultError(AssertionError):
    """A schedule after which something is wrong: its seed, its steps, and what differs."""

    def __init__(self, schedule: Schedule, what: str) -> None:
        again = f"python -m tests.system.faults --seed {schedule.seed}"
        super().__init__(f"{what}\n{schedule.describe()}\nAgain: {again}")
        self.schedule = schedule


@dataclass(slots=True)
class Outcome:
    """What a schedule that ended well has seen."""

    seconds: float = 0
    events: int = 0
    refused: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    runs: Runs = field(default_factory=Runs)

    def __str__(self) -> str:
        faults = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        return (
            f"{self.seconds:.1f} s, {self.events} events, {self.refused} refused; continued as new "
            f"{self.runs.continued} times, {self.runs.with_inbox} with signals in flight; {faults}"
        )

    def add(self, other: Outcome) -> None:
        """Counts another's in."""
        self.seconds += other.seconds
        self.events += other.events
        self.refused += other.refused
        self.faults += other.faults
        self.runs.add(other.runs)


async def play(rig: Rig, schedule: Schedule) -> Outcome:
    """Plays a schedule.

    Raises:
        FaultError: something is not as it must be.
    """
    begin = time.monotonic()
    outcome = Outcome(events=len(schedule.lines))
    player = _Player(rig, schedule)
    try:
        async with asyncio.timeout(GIVE_UP):
            await rig.timelines.registry.register(schedule.spec)
            for step in schedule.steps:
                await player.take(step)
            await player.finish()
            outcome.faults = player.befallen
            outcome.refused = await _check(rig, schedule)
            outcome.runs = await count_runs(rig.timelines.temporal, schedule.spec)
            await rig.timelines.registry.remove(schedule.spec.name)
    except TimeoutError:
        raise FaultError(schedule, f"stuck:\n{await _where(rig, schedule)}") from None
    finally:
        await player.close()
    outcome.seconds = time.monotonic() - begin
    return outcome


class _Player:
    """The feeders of one schedule."""

    def __init__(self, rig: Rig, schedule: Schedule) -> None:
        self.rig = rig
        self.schedule = schedule
        self.befallen: Counter[str] = Counter()
        self._feeders: list[Feeder] = []
        self._zombies: list[Feeder] = []
        self._files = self.schedule.write(rig.folder, 0)

    async def take(self, step: Step) -> None:
        """One step, with the zombies of the one before beside it."""
        self._files = self.schedule.write(self.rig.folder, step.until)
        zombies, self._zombies = self._zombies, []
        for zombie in zombies:
            zombie.resume()
        await getattr(self, "_" + step.fault.replace(" ", "_"))(step)
        for zombie in zombies:
            # Whatever it ran into while it was paused is its own affair, but not an error of ours.
            await self._expect(zombie, "done", "no service", "kills")

    async def finish(self) -> None:
        """Wakes the last zombies, and feeds what is missing."""
        last = self.schedule.steps[-1]
        for zombie in self._zombies:
            zombie.resume()
        await self._feed_all(last)
        for zombie in self._zombies:
            await self._expect(zombie, "done", "no service")

    async def close(self) -> None:
        """Ends all feeders."""
        for feeder in self._feeders:
            await feeder.close()

    # --- faults, by their names --------------------------------------------------------------------

    async def _none(self, step: Step) -> None:
        await self._expect(self._start(step), "done")

    async def _kill_feeder(self, step: Step) -> None:
        feeder = self._start(step, victim=0)
        if await self._expect(feeder, "kills", "done") == "kills":
            await self._expect(feeder, "killed")
            self.befallen[step.fault] += 1

    async def _kill_worker(self, step: Step) -> None:
        feeder = self._start(step, victim=self.rig.worker_pid)
        if await self._expect(feeder, "kills", "done") == "kills":
            self.befallen[step.fault] += 1
            await self.rig.restart_worker()
            await self._expect(feeder, "done")

    async def _kill_server(self, step: Step) -> None:
        feeder = self._start(step, victim=self.rig.server.pid)
        if await self._expect(feeder, "kills", "done") == "kills":
            self.befallen[step.fault] += 1
            await self.rig.restart_server()
            if await self._expect(feeder, "done", "no service") != "done":
                await self._feed_all(step)

    async def _stale_feeder(self, step: Step) -> None:
        self.befallen[step.fault] += 1
        await self._expect(self._start(step, stale=True), "done")

    async def _zombie_feeder(self, step: Step) -> None:
        zombie = self._start(step, pauses=True)
        if await self._expect(zombie, "paused", "done") == "paused":
            self.befallen[step.fault] += 1
            self._zombies.append(zombie)
            await self._expect(self._start(step, batch=step.batch + 3, at=-1), "done")

    async def _two_feeders(self, step: Step) -> None:
        self.befallen[step.fault] += 1
        both = self._start(step), self._start(step, batch=step.batch + 3, seed=step.seed + 1)
        for feeder in both:
            await self._expect(feeder, "done")

    # --- feeders -----------------------------------------------------------------------------------

    def _start(
        self,
        step: Step,
        *,
        batch: int | None = None,
        seed: int | None = None,
        at: int | None = None,
        victim: int | None = None,
        pauses: bool = False,
        stale: bool = False,
    ) -> Feeder:
        order = Order(
            address=self.rig.server.address,
            name=self.schedule.spec.name,
            files=tuple(self._files),
            batch=batch or step.batch,
            seed=step.seed if seed is None else seed,
            repeats=step.repeats,
            at=step.at if at is None else at,
            victim=victim,
            pauses=pauses,
            stale=stale,
        )
        self._feeders.append(Feeder(order))
        return self._feeders[-1]

    async def _feed_all(self, step: Step) -> None:
        """Feeds until it is done, however often the server does not answer yet."""
        for _ in range(TRIES):
            if await self._expect(self._start(step), "done", "no service") == "done":
                return
        raise FaultError(self.schedule, f"no feeder got through in {TRIES} tries")

    async def _expect(self, feeder: Feeder, *words: str) -> str:
        word, detail = await feeder.word()
        if word not in words:
            raise FaultError(self.schedule, f"a feeder said {word!r} instead of {words}: {detail}")
        return word


async def _check(rig: Rig, schedule: Schedule) -> int:
    """Compares all there is with local evaluation; how many events were refused."""
    spec = schedule.spec
    comparison = await compare(rig.timelines, spec)
    local = comparison.evaluation
    wrong = [
        f"{d.key}, {d.node.text}:\n  workflows {d.workflows}\n  local     {d.local}"
        for d in comparison.differences
    ]
    sessions = {orjson.loads(line)["session"] for line in schedule.lines}
    lives = sum(len(local.lives(name)) for name in local.names())
    if spec.limits.key_ttl is None and lives != len(sessions):
        wrong.append(f"local: {lives} keys, {len(sessions)} written")
    if comparison.timelines != lives * len(spec.plan.nodes):
        wrong.append(f"{comparison.timelines} timelines, not {lives} times {len(spec.plan.nodes)}")
    sent = len(schedule.lines)
    if local.accepted + local.refused != sent:
        wrong.append(f"local: {local.accepted} accepted + {local.refused} refused, {sent} written")
    for leaf in spec.plan.leaves:
        streams = range(spec.limits.shards)
        states = [await rig.timelines.nodes.status(node_id(spec, leaf, stream)) for stream in streams]
        counts = sum(s["accepted"] for s in states), sum(s["refused"] for s in states)
        if counts != (local.accepted, local.refused):
            wrong.append(f"{leaf.text} accepted and refused {counts}, not {(local.accepted, local.refused)}")
    if wrong:
        raise FaultError(schedule, "\n".join(wrong) + f"\n{await _where(rig, schedule)}")
    return local.refused


async def _where(rig: Rig, schedule: Schedule) -> str:
    """Where every node stands, or why it does not say so."""
    lines = []
    for stream in range(schedule.spec.limits.shards):
        for node in schedule.spec.plan.nodes:
            workflow_id = node_id(schedule.spec, node, stream)
            try:
                status = await rig.timelines.nodes.status(workflow_id)
                told = f"at {status['position']}, {status['waiting']} waiting, full: {status['full']}"
            except Exception as error:
                told = str(error)
            lines.append(f"  {workflow_id}: {told}")
    return "\n".join(lines)
