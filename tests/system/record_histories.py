"""Records the histories that `test_replay` replays: ``python -m tests.system.record_histories [NAME ...]``.

To be run when workflow code has changed in a way that is meant to; what was recorded before a
release stays, because nodes of that release go on running. A name is that of an operator, or one of the
expressions below; without one all are recorded.
"""

from __future__ import annotations

import asyncio
import platform
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from feeder.files.feed import feed_files
from tests.support.graphs import POLICIES
from tests.support.timelines import many, write
from tests.support.trees import plain_text
from timeline.language.signatures import signatures
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.connection import connect_embedded
from workflows.names import REGISTRY_ID, fragment_id, merged_id, sink_id
from workflows.server import DevServer
from workflows.worker import make_worker

VERSION = "0.3"
FOLDER = Path(__file__).parents[1] / "histories"
STATE = "latest_event_to_state(playerStateChange)"
#: Between them, every operator over events and over timelines.
EXPRESSIONS = {
    "leaves": 'duration_where(has_existed(playerStateChange == "play") '
    '&& !has_existed_within(playerStateChange == "seek", 5s) || ' + f'{STATE} == "buffer")',
    "inner": f'has_existed_within(has_existed({STATE} != "seek") && duration_in_cur_state({STATE}) < 3, 2s)',
    "more": 'if(count(playerStateChange == "play") - lag(count(playerStateChange == "play"), 5s) > 2 * '
    f'count_rises({STATE} == "seek"), sum(playerStateChange) + 1, duration_in_prior_state({STATE})) / '
    f'duration_where(prior_state({STATE}) == "play") > 0.5',
    "in": f'{STATE} in ("play", "seek")',
}
#: Several at once, whose result node holds all.
OUTPUTS = {"state": STATE, "buffering": '@state == "buffer"', "rebuffering": "duration_where(@buffering)"}

#: Operators that are recorded by a call of their own.
CALLED = tuple(s.name for s in signatures() if not s.symbol)

#: It is in the history, so it is the same wherever that is recorded.
SINK = {"sink": {"folder": "/tmp/timeline-recorded-sink"}, "limits": {"allowed_lateness": "1s"}}


#: Groups that are handed over to be merged.
MERGED: dict[str, Any] = {
    "sink": [{"name": "all", **SINK["sink"], "every": "500ms", "agg": "count", "merged": True}],
    "limits": {"allowed_lateness": "1s", "key_ttl": "1s"},
}


async def record(names: list[str]) -> None:
    """Runs the expressions on a server that suggests continuing as new often; saves the last runs."""
    often = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40")
    with tempfile.TemporaryDirectory() as folder:
        async with DevServer(Path(folder) / "dev.db", options=often) as server:
            client = await connect_embedded(server.address)
            async with make_worker(client, sink_roots=[Path(SINK["sink"]["folder"])]):
                timelines = Client(client)
                file = Path(folder) / "events.jsonl"
                ids = {REGISTRY_ID: REGISTRY_ID}
                meant: dict[str, dict[str, Any]] = {n: {"expression": e} for n, e in EXPRESSIONS.items()}
                meant |= {"several": {"outputs": OUTPUTS}, "sink": {"expression": STATE, **SINK}}
                meant["merged"] = {"expression": STATE, **MERGED}
                meant |= {s.name: {"expression": plain_text(s)} for s in signatures() if s.name in CALLED}
                for policy in POLICIES[1:]:
                    lives = {"run": {"fragments": policy}}
                    meant[f"by-{policy}"] = {"expression": EXPRESSIONS["leaves"], **lives}
                if names:
                    meant = {name: meant[name] for name in names}
                    del ids[REGISTRY_ID]
                for name, what in meant.items():
                    spec = Spec.from_wire(
                        {"name": name.replace("_", "-"), **what, "source": {"key": "session"}}
                    )
                    await timelines.registry.register(spec)
                    for end in range(5, 26, 4):
                        write(file, many(3, 10)[:end])
                        await feed_files(timelines, spec, [file])
                    for sink in spec.sinks:
                        ids[f"{name}-timeline_sink"] = sink_id(spec, sink, 0)
                        if sink.merged:
                            ids[f"{name}-timeline_sink_merged"] = merged_id(spec, sink)
                    if spec.sinks:
                        continue
                    # Of one operator's own call the other nodes are recorded with the expressions above.
                    fragments = spec.fragments[-1:] if name in CALLED else spec.fragments
                    for fragment in fragments:
                        ids[f"{name}-{fragment.root.operator.name}"] = fragment_id(spec, fragment, 0)
                for name, workflow_id in ids.items():
                    history = await client.get_workflow_handle(workflow_id).fetch_history()
                    # Which machine it was recorded on is nobody's business.
                    text = re.sub(rf"\d+@{re.escape(platform.node())}", "recorder", history.to_json())
                    (FOLDER / f"{VERSION}-{name}.json").write_text(text + "\n")
                    print(name, len(history.events), "events")


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1:]))
