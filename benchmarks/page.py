"""What a page that somebody watches costs server and worker while events are fed in bulk; and its memory."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
from pathlib import Path

from benchmarks.deployment import Deployment, deployment, resident_mib
from benchmarks.durable import STREAMS, fed, spec
from benchmarks.generate import json_lines
from benchmarks.measure import Figure, at_most, say
from tests.support.browser import CHROMIUM, DRIVER, Browser

NAME = "watched"
#: Of what a process has used of the processor, in /proc: how many a second.
TICKS = os.sysconf("SC_CLK_TCK")


def run(quick: bool) -> list[Figure]:
    """Processor time of server and worker with and without a watched page, and the memory of the service."""
    if CHROMIUM is None or DRIVER is None:
        say("page: left out, it needs Debian's chromium and chromium-driver")
        return []
    return asyncio.run(_run(quick))


async def _run(quick: bool) -> list[Figure]:
    count, keys = (200_000, 1_000) if quick else (1_000_000, 10_000)
    path, repetitions = json_lines(count, keys), 3 if quick else 5
    alone: list[float] = []
    watched: list[float] = []
    async with deployment() as running:
        environment = running.worker.environment
        service = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "timeline.cli.main", "serve", "--port", "0"),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        assert service.stdout is not None
        url = (await service.stdout.readline()).decode().split()[1].removesuffix("/api/v1,")
        browser = await asyncio.to_thread(Browser)
        try:
            await _fed(running, path, count)  # caches fill once
            for number in range(repetitions):
                say(f"page: round {number + 1} of {repetitions}")
                alone.append(await _fed(running, path, count))
                watched.append(await _fed(running, path, count, browser, f"{url}/t/{NAME}/operations"))
            memory = resident_mib(service.pid)
        finally:
            browser.driver.quit()
            service.terminate()
            await service.wait()
    without, beside = statistics.median(alone), statistics.median(watched)
    spread = f"{min(watched):.2f} to {max(watched):.2f}; alone {min(alone):.2f} to {max(alone):.2f}"
    return [
        at_most("page-watched", beside, "CPU s", without, f"not watched: {without:.2f} CPU s", 1.05, spread),
        Figure("page-memory", memory, "MiB", memory / 200, "the mark", "under 200 MiB", memory < 200),
    ]


async def _fed(
    running: Deployment, path: Path, count: int, browser: Browser | None = None, url: str = ""
) -> float:
    """Processor time (s) of server and worker while a file is fed, watched if there is a browser."""
    wanted = spec(NAME, STREAMS)
    await running.timelines.registry.register(wanted)
    if browser is not None:
        await asyncio.to_thread(browser.driver.get, url)
        await asyncio.to_thread(browser.reads, "Streams")
    begin = _used(running)
    await fed(running, wanted, path, count)
    used = _used(running) - begin
    if browser is not None:
        await asyncio.to_thread(browser.driver.get, "about:blank")
    return used


def _used(running: Deployment) -> float:
    pids = [running.server.pid, *running.worker.pids]
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) / TICKS
