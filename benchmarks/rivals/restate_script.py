"""CIRR event by event in Restate: a virtual object a session, whose handler moves the session's state.

``python restate_script.py FILE COUNT``. The server comes from npm; it, the handlers and 50
callers are on this machine. The clock begins when all that is up.
"""

import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import restate

WINDOW = 5_000
CALLERS = 50

session = restate.VirtualObject("session")


@session.handler()
async def on_event(ctx: restate.ObjectContext, event: dict) -> int:
    spent, played, sought, state, since = await ctx.get("state") or (0, False, None, None, 0)
    tick, now = event["time"], event["state"]
    if state == "buffer" and played:
        begin = since if sought is None else max(since, sought + WINDOW)
        spent += max(0, tick - begin)
    ctx.set("state", [spent, played or now == "play", tick if now == "seek" else sought, now, tick])
    return spent


app = restate.app([session])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def until_up(client: httpx.AsyncClient, url: str) -> None:
    for _ in range(600):
        try:
            if (await client.get(url)).status_code < 500:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    raise TimeoutError(f"{url} is not up")


async def main(path: str, count: int) -> None:
    package = Path(sys.prefix) / "npm" / "node_modules" / "@restatedev"
    binary = next(p for p in package.rglob("restate-server") if p.is_file() and os.access(p, os.X_OK))
    ingress, admin, node, handlers = (free_port() for _ in range(4))
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "RESTATE_BASE_DIR": folder,
            "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
            "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
            "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
            "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}",
            "RESTATE_LOG_FILTER": "error",
        }
        server = await asyncio.create_subprocess_exec(binary, env=environment, stdout=sys.stderr)
        command = [sys.executable, "-m", "hypercorn", "restate_script:app", "--bind", f"127.0.0.1:{handlers}"]
        service = await asyncio.create_subprocess_exec(*command, cwd=Path(__file__).parent, stdout=sys.stderr)
        try:
            async with httpx.AsyncClient(timeout=60) as client:
                await until_up(client, f"http://127.0.0.1:{admin}/health")
                await until_up(client, f"http://127.0.0.1:{handlers}/health")
                answer = await client.post(
                    f"http://127.0.0.1:{admin}/deployments", json={"uri": f"http://127.0.0.1:{handlers}"}
                )
                if answer.is_error:
                    raise RuntimeError(answer.text)
                rows = next(pq.ParquetFile(path).iter_batches(batch_size=count)).to_pylist()
                lanes = [
                    [row for row in rows if hash(row["key"]) % CALLERS == lane] for lane in range(CALLERS)
                ]

                async def call(lane: list) -> None:
                    for row in lane:
                        url = f"http://127.0.0.1:{ingress}/session/{row['key']}/on_event"
                        answer = await client.post(url, json={"time": row["time"], "state": row["state"]})
                        answer.raise_for_status()

                begin = time.perf_counter()
                await asyncio.gather(*map(call, lanes))
                seconds = time.perf_counter() - begin
        finally:
            for process in (service, server):
                process.terminate()
                await process.wait()
    print(json.dumps({"seconds": seconds, "events": len(rows)}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
