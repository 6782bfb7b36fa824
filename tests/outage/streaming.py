"""Faults while a topic is streamed; also of all parts at once."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from feeder.checks.topic import check_topic
from feeder.sources.pulsar import PulsarConnector
from producer.generated import playback
from producer.messages import limited, with_faults
from producer.pulsar.connection import connect
from producer.send import Pace, Report, send
from tests.outage.asking import Asked, asking
from tests.outage.report import Found, Row
from tests.outage.rig import Fault, Rig
from tests.support.places import CIRR
from tests.system.streaming import FAULTS as BROKEN
from tests.system.streaming import PARTITIONS, PATIENCE, arrived, letters_of, until
from timeline.spec.spec import Spec

SESSIONS = 300
NAME = "streamed"


async def stream(
    folder: Path,
    events: int,
    faults: Sequence[Fault],
    seed: int,
    say: Callable[[str], None],
    *,
    rate: float,
) -> list[Row]:
    """Sends events at a rate, with the faults at even intervals; the last row is of what came of it."""
    wanted = Spec.from_wire(
        {
            "name": NAME,
            "expression": CIRR,
            "source": {"topic": NAME, "key": "session", "idle": "10s"},
            "limits": {"allowed_lateness": "10s"},
        }
    )
    async with Rig(folder, streaming=True) as rig:
        assert rig.broker is not None
        assert rig.feeder is not None
        os.environ["PULSAR_SERVICE_URL"] = rig.broker.service_url
        await rig.broker.create_topic(NAME, PARTITIONS)
        await rig.client.registry.register(wanted)
        client = await asyncio.to_thread(connect)
        connector = PulsarConnector(client)
        progress = Report()

        def note(report: Report) -> None:
            progress.sent, progress.seconds = dict(report.sent), report.seconds

        def produce() -> Report:
            chunks = limited(playback(SESSIONS, seed=seed, start=10_000_000), events)
            pace = Pace(rate=rate)
            broken = with_faults(chunks, BROKEN, seed)
            return send(client, NAME, broken, pace, on_progress=note, timeout_ms=PATIENCE * 1_000)

        rows = []
        producing = asyncio.create_task(asyncio.to_thread(produce))
        asked = Asked()
        try:
            async with asking(rig, asked, ("list",), ("describe", NAME)):
                for number, fault in enumerate(faults):
                    enough = events * (number + 1) / (len(faults) + 1)
                    await until(partial(_sent, progress, enough, producing))
                    when = f"at {progress.total:,} of {events:,} events"
                    away = await rig.befall(fault)
                    begin = time.monotonic()
                    await arrived(client, rig.client, [wanted])
                    rows.append(Row(f"stream: {fault}", when, away, time.monotonic() - begin))
                    say(str(rows[-1]))
                sent = await producing
                begin = time.monotonic()
                await arrived(client, rig.client, [wanted])
                after = time.monotonic() - begin
            check = await check_topic(connector, rig.client, wanted)
            letters = await letters_of(connector, wanted, check)
        finally:
            await asyncio.to_thread(client.close)
    total = check.accepted + check.refused + check.broken + check.ahead
    # What the broker had when it was killed and had not said so was sent again: it is there twice.
    lost = max(0, sent.total - check.messages) + abs(total - check.messages)
    lost += abs(check.refused - letters["late"]) + abs(check.broken - letters["broken"])
    told = f"{sent.total:,} messages sent, {check.messages:,} in the topic: {check.accepted:,} accepted, "
    told += f"{check.refused:,} refused, {check.broken:,} broken"
    found = Found(check.timelines, len(check.differences) + lost)
    rows.append(Row("stream: the end", told, 0, after, asked, found))
    say(str(rows[-1]))
    return rows


def _sent(progress: Report, enough: float, producing: asyncio.Task[Report]) -> bool:
    return progress.total > enough or producing.done()
