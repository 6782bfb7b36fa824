"""CIRR by Bytewax: a stateful map keyed by session, over a Parquet file, in two worker threads.

``python bytewax_script.py FILE``. Each event moves its session's state and gives a new total; the events are
in order of time, and taken as they come. Nothing is kept for recovery. The clock begins after the imports;
reading the file is included.
"""

import json
import sys
import time

import bytewax.operators as op
import pyarrow.parquet as pq
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import cluster_main

WINDOW = 5_000


class Rows(StatelessSourcePartition):
    def __init__(self, path):
        self.batches = pq.ParquetFile(path).iter_batches(batch_size=2_000) if path else iter(())

    def next_batch(self):
        batch = next(self.batches)  # its StopIteration ends the input
        columns = (batch.column(name).to_pylist() for name in ("key", "time", "state"))
        return [(key, (tick, state)) for key, tick, state in zip(*columns, strict=True)]


class Source(DynamicSource):
    def __init__(self, path):
        self.path = path

    def build(self, step_id, worker_index, worker_count):
        # One reads, as two would bring a session's events out of order.
        return Rows(self.path if worker_index == 0 else None)


def move(session, event):
    spent, played, sought, state, since = session or (0, False, None, None, 0)
    tick, now = event
    if state == "buffer" and played:
        begin = since if sought is None else max(since, sought + WINDOW)
        spent += max(0, tick - begin)
    return (spent, played or now == "play", tick if now == "seek" else sought, now, tick), spent


class Last(DynamicSink):
    def build(self, step_id, worker_index, worker_count):
        return Totals()


class Totals(StatelessSinkPartition):
    def write_batch(self, items):
        totals.update(items)


totals = {}
flow = Dataflow("cirr")
stream = op.input("in", flow, Source(sys.argv[1]))
op.output("out", op.stateful_map("cirr", stream, move), Last())
begin = time.perf_counter()
cluster_main(flow, [], 0, worker_count_per_proc=2)
print(json.dumps({"seconds": time.perf_counter() - begin, "sum": sum(totals.values()) / 1000}))
