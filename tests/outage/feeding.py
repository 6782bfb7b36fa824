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
from workflows.client import Client

KEYS = 1_000
SPEC = """
name = "{name}"
expression = '''{expression}'''
[source]
key = "session"
[limits]
shards = 2
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
    feeds = rig.command("feed", name, str(file))
    await feeds.start()

    async def begun() -> bool:
        return await _accepted(rig.client, name) > 0

    await eventually(begun)
    other = rig.folder / f"{name}-other.toml"
    other.write_text(SPEC.format(name=f"{name}-other", expression=CIRR))
    async with asking(rig, asked, ("list",), ("query", name, "k0"), ("register", str(other))):
        amid = await _accepted(rig.client, name)
        away = await rig.befall(fault)
        begin = time.monotonic()
        await asked.see(feeds)
        after = time.monotonic() - begin
    accepted = await _accepted(rig.client, name)
    comparison = await compare(rig.client, await rig.client.registry.spec(name))
    lost = comparison.evaluation.accepted - accepted
    await asyncio.to_thread(rig.cli.good, "remove", name, f"{name}-other")
    return Row(
        f"feed: {fault}",
        f"at {amid:,} of {accepted:,} events",
        away,
        after,
        asked,
        Found(comparison.timelines, len(comparison.differences) + abs(lost)),
    )


async def _accepted(client: Client, name: str) -> int:
    spec = await client.registry.spec(name)
    streams = await client.registry.streams(spec)
    return sum([(await client.leaves.status(spec, stream))["accepted"] for stream in streams])
