"""CIRR event by event in DBOS: one durable workflow an event, whose transaction moves the session's state.

``python dbos_script.py FILE COUNT``. DBOS keeps its state in SQLite here. The clock begins after launch.
"""

import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow.parquet as pq
from dbos import DBOS

WINDOW = 5_000
path, count = sys.argv[1], int(sys.argv[2])
folder = tempfile.mkdtemp()
os.chdir(folder)
DBOS(config={"name": "cirr", "system_database_url": f"sqlite:///{folder}/dbos.sqlite", "log_level": "ERROR"})
sessions = {}


@DBOS.step()
def move(key, tick, now):
    spent, played, sought, state, since = sessions.get(key, (0, False, None, None, 0))
    if state == "buffer" and played:
        begin = since if sought is None else max(since, sought + WINDOW)
        spent += max(0, tick - begin)
    sought = tick if now == "seek" else sought
    sessions[key] = (spent, played or now == "play", sought, now, tick)
    return sessions[key]


@DBOS.workflow()
def on_event(key, tick, state):
    return move(key, tick, state)


DBOS.launch()
rows = next(pq.ParquetFile(path).iter_batches(batch_size=count)).to_pylist()
lanes = [[row for row in rows if hash(row["key"]) % 8 == lane] for lane in range(8)]


def run(lane):
    for row in lane:
        on_event(row["key"], row["time"], row["state"])


begin = time.perf_counter()
with ThreadPoolExecutor(8) as pool:
    list(pool.map(run, lanes))
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "events": len(rows)}), flush=True)
os._exit(0)
