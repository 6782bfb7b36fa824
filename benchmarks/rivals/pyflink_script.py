"""CIRR by Flink SQL, through PyFlink: window functions over a JSON Lines file, parallelism 2.

``python pyflink_script.py FILE batch|streaming``. The clock begins when the cluster gets the query, after
the JVM has started. In streaming mode a row's totals follow its watermark; what changes is emitted again.
"""

import json
import sys
import time

from pyflink.table import EnvironmentSettings, TableEnvironment

path, mode = sys.argv[1:]
settings = EnvironmentSettings.in_batch_mode() if mode == "batch" else EnvironmentSettings.in_streaming_mode()
env = TableEnvironment.create(settings)
env.get_config().set("parallelism.default", "2")
env.execute_sql(f"""
create table events (
  `key` string, `time` bigint, state string,
  ts as to_timestamp_ltz(`time`, 3),
  watermark for ts as ts - interval '0' second
) with ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'json')
""")
config = env.get_config()
config.set("table.exec.mini-batch.enabled", "true")
config.set("table.exec.mini-batch.allow-latency", "2 s")
config.set("table.exec.mini-batch.size", "50000")
# The state between two events counts when the later one comes, so that nothing looks ahead.
QUERY = """
select sum(case when prior = 'buffer' and had_played is not null
    then greatest(0, `time` - greatest(began, coalesce(had_sought + 5000, 0))) else 0 end)
from (
  select `time`,
    lag(state) over w as prior,
    lag(`time`) over w as began,
    lag(sought) over w as had_sought,
    lag(played) over w as had_played
  from (
    select `key`, `time`, state, ts,
      max(case when state = 'seek' then `time` end) over v as sought,
      min(case when state = 'play' then `time` end) over v as played
    from events
    window v as (partition by `key` order by ts)
  )
  window w as (partition by `key` order by ts)
)
"""
begin = time.perf_counter()
with env.execute_sql(QUERY).collect() as rows:
    last = None
    for row in rows:
        last = row[0]
print(json.dumps({"seconds": time.perf_counter() - begin, "sum": last / 1000}))
