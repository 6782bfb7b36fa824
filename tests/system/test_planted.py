"""An operator that is one file runs as a workflow, as all others do."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.planted import run_with_planted

DURABLY = """
import asyncio, pathlib, sys
from feeder.files.feed import feed_files
from timeline.spec.spec import Spec
from tests.support.servers import make_server
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.worker import make_worker

async def main(folder):
    events = folder / "events.jsonl"
    events.write_text(''.join('{"key": "k", "time": %d, "a": 1}\\n' % t for t in (1000, 2000, 3000)))
    async with make_server(folder / "dev.db") as server:
        client = await connect_embedded(server.address)
        async with make_worker(client):
            timelines = Client(client)
            spec = Spec.from_wire({"name": "even", "expression": "is_even(count(a == 1))"})
            await timelines.registry.register(spec)
            await feed_files(timelines, spec, [events])
            asked = [("k", 1000), ("k", 2000), ("k", 3000)]
            answers = await timelines.questions.values(spec, spec.plan.result, asked)
            print([answer.value for answer in answers])
            print(await timelines.registry.remove("even"))

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


async def test_a_new_file_runs_durably(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    code = DURABLY.replace("sys.argv[1]", repr(str(folder)))
    values, stopped = (await asyncio.to_thread(run_with_planted, tmp_path, code)).splitlines()
    assert values == "[False, True, False]"
    assert ".is_even." in stopped
