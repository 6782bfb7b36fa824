"""CIRR by Pathway: sorted within each session, previous events carried by a stateful deduplication.

``python pathway_script.py FILE``. The clock begins after the imports; reading the file is included.
"""

import json
import sys
import time

import pathway as pw
import pyarrow.parquet as pq

WINDOW = 5_000
begin = time.perf_counter()


class Rows(pw.io.python.ConnectorSubject):
    def run(self):
        for batch in pq.ParquetFile(sys.argv[1]).iter_batches(batch_size=50_000):
            for row in batch.to_pylist():
                self.next(**row)


class Schema(pw.Schema):
    key: str
    time: int
    state: str


def total(events):
    spent, played, sought, state, since = 0, False, None, None, 0
    for tick, now in events:
        if state == "buffer" and played:
            start = since if sought is None else max(since, sought + WINDOW)
            spent += max(0, tick - start)
        state, since = now, tick
        played = played or now == "play"
        sought = tick if now == "seek" else sought
    return spent


rows = pw.io.python.read(Rows(), schema=Schema, autocommit_duration_ms=1_000)
sessions = rows.groupby(rows.key).reduce(
    rows.key, events=pw.reducers.sorted_tuple(pw.make_tuple(rows.time, rows.state))
)
spent = sessions.select(ms=pw.apply_with_type(total, int, sessions.events))
answer = spent.reduce(ms=pw.reducers.sum(spent.ms))
found = []
pw.io.subscribe(answer, lambda key, row, time, is_addition: found.append(row["ms"]) if is_addition else None)
pw.run(monitoring_level=pw.MonitoringLevel.NONE)
print(json.dumps({"seconds": time.perf_counter() - begin, "sum": found[-1] / 1000}))
