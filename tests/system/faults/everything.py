"""Many schedules on a few rigs at once: they spend most of their time waiting for time-outs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.system.faults.play import FaultError, Outcome, play
from tests.system.faults.rig import HISTORY, Rig
from tests.system.faults.schedule import make_schedule

#: More do not pay on two cores.
RIGS = 4


async def play_all(
    seeds: Iterable[int],
    folder: Path,
    rigs: int = RIGS,
    history: int = HISTORY,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[Outcome, list[FaultError]]:
    """Plays the schedules of some seeds; what they saw together, and those that failed."""
    left = deque(seeds)
    total = Outcome()
    failures: list[FaultError] = []

    async def work(number: int) -> None:
        while left:
            # What a schedule that failed leaves behind must not trouble the next: a new rig.
            number += rigs
            place = folder / f"rig-{number}"
            place.mkdir()
            async with Rig(place, history) as rig:
                while left:
                    schedule = make_schedule(left.popleft())
                    try:
                        outcome = await play(rig, schedule)
                    except FaultError as error:
                        failures.append(error)
                        tell(f"FAILED {error}")
                        break
                    total.add(outcome)
                    tell(f"seed {schedule.seed}: {outcome}")

    async with asyncio.TaskGroup() as group:
        for number in range(min(rigs, len(left))):
            group.create_task(work(number))
    return total, failures
