"""Metrics, health and logs of worker and feeder: scraped while they work, they add up with what was sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from feeder.broker import Broker
from producer.pulsar.connection import connect
from tests.support.cli import Cli, stop, wait_for_line
from tests.support.grafana import sdk_metrics
from tests.support.servers import make_server
from tests.support.waiting import eventually
from timeline.spec.spec import Spec
from workflows.child import free_port
from workflows.client import Client
from workflows.connection import connect_embedded

TOPIC = "metrics"
Samples = dict[str, float]


def scrape(port: int) -> Samples:
    """All samples, by name with labels but for those that are the same of all."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    found: Samples = {}
    for line in lines:
        if line.startswith("#") or not line:
            continue
        name, _, rest = line.partition("{")
        labels, _, value = rest.rpartition("} ")
        same = ("service_name=", "namespace=", "task_queue=", "partition=")
        kept = ",".join(sorted(label for label in labels.split(",") if not label.startswith(same)))
        found[f"{name}{{{kept}}}" if kept else name] = float(value)
    return found


def health(port: int, path: str) -> tuple[int, str]:
    """Status and body."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@contextlib.asynccontextmanager
async def running(cli: Cli, command: str, ready: str, *more: str) -> AsyncIterator[tuple[int, int, str]]:
    """A command with its ports for metrics and health, and what it said when it was ready."""
    metrics, healthy = free_port(), free_port()
    addresses = (f"--metrics-address=127.0.0.1:{metrics}", f"--health-address=127.0.0.1:{healthy}")
    process: subprocess.Popen[str] = cli.start(command, *addresses, *more)
    said = await asyncio.to_thread(wait_for_line, process, ready)
    yield metrics, healthy, said
    assert await asyncio.to_thread(stop, process, signal.SIGTERM) == 0


def events() -> list[bytes]:
    """Two keys, 60 events each, of which 5 are too late; and 3 messages that are none."""
    made = [
        {"session": key, "time": 10_000_000 + 1_000 * i, "state": ("play", "buffer")[i % 2]}
        for i in range(55)
        for key in ("a", "b")
    ]
    made += [{"session": key, "time": 1_000 * i, "state": "play"} for i in range(5) for key in ("a", "b")]
    return [*map(orjson.dumps, made), b"{oops", b"[]", b'{"session": "a"}']


async def send(messages: list[bytes]) -> None:
    def work() -> None:
        client = connect()
        producer = client.create_producer(TOPIC)
        for message in messages:
            producer.send(message, partition_key="a")
        client.close()

    await asyncio.to_thread(work)


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Cli]:
    """The command line against a server that no worker of this process works for."""
    async with make_server(tmp_path / "dev.db") as server:
        yield Cli(server.address, tmp_path)


async def test_they_add_up_with_what_was_sent(alone: Cli, broker: Broker, tmp_path: Path) -> None:
    await broker.create_topic(TOPIC, 1)
    sink = {"on": "change", "folder": str(tmp_path / "out")}
    spec = Spec.from_wire(
        {
            "name": "metrics",
            "expression": 'duration_where(has_existed(state == "play") && '
            'latest_event_to_state(state) == "buffer")',
            "source": {"topic": TOPIC, "key": "session", "idle": "never"},
            "limits": {"allowed_lateness": "5s"},
            "sink": sink,
        }
    )
    async with (
        running(alone, "worker", "Worker is ready", f"--store=file:{tmp_path / 'store'}") as (
            worker,
            worker_health,
            _,
        ),
        running(alone, "feeder", '{"message":"Feeder is ready', "--log-format=json") as (feeder, _, said),
    ):
        client = Client(await connect_embedded(alone.environment["TEMPORAL_ADDRESS"]))
        await client.register(spec, wait=False)
        sent = events()
        await send(sent)

        async def all_settled() -> bool:
            found = await asyncio.to_thread(scrape, feeder)
            return found.get("timeline_feeder_settled_messages_total") == len(sent)

        await eventually(all_settled)
        fed = await asyncio.to_thread(scrape, feeder)
        assert fed["timeline_feeder_messages_total"] == len(sent) == 123
        assert fed["timeline_feeder_batch_messages_sum"] == len(sent)
        letters = 'timeline_feeder_dead_letters_total{reason="%s"}'
        assert fed[letters % "late"] == 10
        assert fed[letters % "broken"] == 3
        assert fed["timeline_feeder_stream_time_seconds"] == 10_054
        asked = [name for name in fed if name.startswith("timeline_question_seconds_count")]
        assert any('question="position"' in name for name in asked)

        async def lag_is_none() -> bool:
            found = await asyncio.to_thread(scrape, feeder)
            return found["timeline_feeder_lag_messages"] == found["timeline_feeder_lag_seconds"] == 0

        await eventually(lag_is_none)

        # By operator: each leaf counts what it takes.
        done = await asyncio.to_thread(scrape, worker)
        for operator in ("has_existed", "latest_event_to_state"):
            of = f'{{workflow_type="{operator}"}}'
            assert done[f"timeline_node_events_total{of}"] == 110
            assert (
                done[f'timeline_node_refused_events_total{{reason="late",workflow_type="{operator}"}}'] == 10
            )
            assert done[f"timeline_node_batch_events_sum{of}"] == 120
            assert done[f"timeline_node_wave_seconds_count{of}"] > 0
        rows = (tmp_path / "out").glob("*.jsonl")
        written = sum(len(path.read_text().splitlines()) for path in rows)
        assert written > 0
        assert done['timeline_sink_rows_total{kind="jsonl",workflow_type="timeline_sink"}'] == written
        assert done['timeline_sink_delay_seconds_count{kind="jsonl",workflow_type="timeline_sink"}'] > 0
        # What nodes hold is said of all operators, and is what they say themselves.
        states = [state for _, _, state in await client.nodes.of_timeline(spec)]

        async def held() -> bool:
            found = await asyncio.to_thread(scrape, worker)
            return all(
                found.get(f'timeline_node_rows{{operator="{state["operator"]}"}}')
                == sum(member["rows"] for member in state["members"])
                for state in states
            )

        await eventually(held)
        # It has been swept once: nothing is large here.
        assert (done["timeline_store_states"], done["timeline_store_bytes"]) == (0, 0)
        shown = {name.split("{")[0] for name in [*done, *fed]}
        assert shown >= sdk_metrics(), sdk_metrics() - shown

        about = json.loads(said)
        assert about.keys() == {"message", "level", "time", "logger"}
        assert health(worker_health, "/healthz")[0] == health(worker_health, "/readyz")[0] == 200
        assert health(worker_health, "/metrics")[0] == 404


async def test_ready_is_who_can_work(alone: Cli, tmp_path: Path) -> None:
    """A worker whose server has gone runs, and says that it cannot work."""
    async with make_server(tmp_path / "other.db") as server:
        alone.environment["TEMPORAL_ADDRESS"] = server.address
        async with running(alone, "worker", "Worker is ready") as (_, port, _):
            assert await asyncio.to_thread(health, port, "/readyz") == (200, '{"status": "ok"}')
            await server.stop(kill=True)

            async def not_ready() -> bool:
                status, body = await asyncio.to_thread(health, port, "/readyz")
                return status == 503 and "does not answer" in body

            await eventually(not_ready)
            assert (await asyncio.to_thread(health, port, "/healthz"))[0] == 200


WRONG_USE = [
    ("--metrics-address=nowhere", "--metrics-address needs HOST:PORT, such as 127.0.0.1:9464, got 'nowhere'"),
    ("--health-address=1.2.3.4:x", "--health-address needs HOST:PORT"),
    ("--log-format=xml", "'xml' is not one of 'text', 'json'"),
    ("--log-level=loud", "'loud' is not one of 'debug', "),
]


@pytest.mark.parametrize(("option", "message"), WRONG_USE)
def test_wrong_use(local_cli: Cli, option: str, message: str) -> None:
    assert message in local_cli.bad("worker", option)


async def test_a_port_that_is_taken(alone: Cli) -> None:
    async with running(alone, "worker", "Worker is ready") as (metrics, healthy, _):
        taken = await asyncio.to_thread(alone.bad, "worker", f"--metrics-address=127.0.0.1:{metrics}")
        assert f"metrics cannot be served at 127.0.0.1:{metrics}: Address already in use" in taken
        taken = await asyncio.to_thread(alone.bad, "worker", f"--health-address=127.0.0.1:{healthy}")
        assert f"--health-address 127.0.0.1:{healthy} cannot be listened on: Address already in use" in taken
