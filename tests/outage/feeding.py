"""Faults while files are fed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from feeder.checks.dry_run import compare
from tests.outage.asking import Asked, asking
from tests.outage.report import Found, Row
from tests.outage.rig import Fault, Rig
from tests.support.places import CIRR
from tests.support.timelines import many, write
from tests.support.waiting import eventually

KEYS = 1_000
SPEC = """
name = "{name}"
expression = '''{expression}'''
[source]
key = "session"
"""


async def feed(folder: Path, events: int, faults: Sequence[Fault], say: Callable[[str], None]) -> list[Row]:
    """One feed after the other, with a fault in the middle of each."""
    rows = []
    async with Rig(folder, streaming=False) as rig:
        file = await asyncio.to_thread(write, folder / "events.jsonl", many(KEYS, events // KEYS))
        for number, fault in enumerate(faults):
            rows.append(await _feed(rig, f"feed-{number}", file, fault))
            say(str(rows[-1]))
    return rows


async def _feed(rig: Rig, name: str, file: Path, fault: Fault) -> Row:
    (rig.folder / f"{name}.toml").write_text(SPEC.format(name=name, expression=CIRR))
    asked = Asked()
    await asyncio.to_thread(rig.cli.good, "register", f"{name}.toml")
    wanted = await rig.client.registry.spec(name)

    async def accepted() -> int:
        return int((await rig.client.leaves.status(wanted, 0))["accepted"])

    async def begun() -> bool:
        return await accepted() > 0

    feeds = rig.command("feed", name, str(file))
    await feeds.start()
    await eventually(begun)
    other = rig.folder / f"{name}-other.toml"
    other.write_text(SPEC.format(name=f"{name}-other", expression=CIRR))
    async with asking(rig, asked, ("list",), ("query", name, "k0"), ("register", str(other))):
        amid = await accepted()
        away = await rig.befall(fault)
        begin = time.monotonic()
        await asked.see(feeds)
        after = time.monotonic() - begin
    there = await accepted()
    comparison = await compare(rig.client, wanted)
    lost = comparison.evaluation.accepted - there
    for done in (name, f"{name}-other"):
        await asyncio.to_thread(rig.cli.good, "remove", done)
    return Row(
        f"feed: {fault}",
        f"at {amid:,} of {there:,} events",
        away,
        after,
        asked,
        Found(comparison.timelines, len(comparison.differences) + abs(lost)),
    )
