"""What is measured, once: names, units and labels. `docs/metrics.md` lists all of them.

All goes through the SDK's own meter, so that one endpoint has its metrics and ours. Without an endpoint
(`serve_metrics`) that meter does nothing. Labels have few values: operators, reasons, names of questions,
kinds of sinks, partitions of topics.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import wraps
from typing import Any, TypeVar, cast

from temporalio import workflow
from temporalio.common import MetricMeter
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
)

from timeline.engine.admission import Reason
from timeline.engine.state import NodeState
from timeline.errors import ServiceError
from workflows.protocol.calls import Query

F = TypeVar("F", bound=Callable[..., Awaitable[Any]])

SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
SIZES = (1.0, 10.0, 100.0, 1_000.0, 5_000.0, 10_000.0, 20_000.0, 50_000.0)
#: By the names that they are made with: the exporter adds the unit.
BUCKETS = {
    "timeline_node_wave": SECONDS,
    "timeline_node_batch": SIZES,
    "timeline_feeder_batch": SIZES,
    "timeline_question": SECONDS,
    "timeline_sink_delay": SECONDS,
}
#: How often (s) a worker adds up what its nodes hold.
ADD_UP = 2.0


def serve_metrics(address: str | None, log: logging.Logger) -> None:
    """Has all clients and workers of this process measured, at ``http://ADDRESS/metrics``, and the SDK's log
    sent to a logger. To be called before any of them is made.

    Raises:
        ServiceError: the address is none, or is taken.
    """
    metrics = None
    if address is not None:
        metrics = PrometheusConfig(
            bind_address=address,
            counters_total_suffix=True,
            unit_suffix=True,
            durations_as_seconds=True,
            histogram_bucket_overrides=BUCKETS,
        )
    forwarded = LoggingConfig(LoggingConfig.default.filter, LogForwardingConfig(log))
    try:
        runtime = Runtime(telemetry=TelemetryConfig(logging=forwarded, metrics=metrics))
    except ValueError as error:
        reason = str(error).split(": ", 1)[-1]
        raise ServiceError(
            f"metrics cannot be served at {address}: {reason}; give an address such as 127.0.0.1:9464"
        ) from None
    Runtime.set_default(runtime, error_if_already_set=False)


def meter() -> MetricMeter:
    """The meter of this process. Workflows have their own, which does not count again on replay."""
    return Runtime.default().metric_meter


# --- nodes ---------------------------------------------------------------------------------------------


class NodeMetrics:
    """Of one run of a node. Every leaf counts what it takes: where a timeline has three, thrice."""

    def __init__(self, states: list[NodeState]) -> None:
        own = workflow.metric_meter()
        self._wave = own.create_histogram_float(
            "timeline_node_wave", "How long a node computed on what had come.", "seconds"
        )
        self._batch = own.create_histogram("timeline_node_batch", "Events that came at once.", "events")
        self._accepted = own.create_counter("timeline_node_events", "Events that leaves accepted.")
        self._refused = own.create_counter(
            "timeline_node_refused_events", "Events that leaves refused, by reason."
        )
        self._misfits = own.create_counter("timeline_node_malformed", "Signals that a node set aside.")
        self._held = Held(workflow.info().workflow_type, states)
        _held.add(self._held)

    @contextlib.contextmanager
    def wave(self) -> Iterator[None]:
        """Measures a wave. The clock is for the metric alone: nothing in the workflow goes by it."""
        begun = time.perf_counter()
        yield
        self._wave.record(time.perf_counter() - begun)

    @contextlib.contextmanager
    def batch(self, state: Callable[[], NodeState], events: int) -> Iterator[None]:
        """Counts what becomes of a batch, as the member says that is furthest."""
        before = state()
        accepted, refused = before.accepted, before.refused.count
        yield
        after = state()
        self._batch.record(events)
        self._accepted.add(max(0, after.accepted - accepted))
        if more := after.refused.count - refused:
            kept = [] if after.refused.reasons is None else after.refused.reasons[-more:].tolist()
            reasons = Counter(Reason(reason).name.lower() for reason in kept)
            # Of so many at once that not all are kept.
            reasons["unknown"] += more - len(kept)
            for reason, count in reasons.items():
                if count:
                    self._refused.add(count, {"reason": reason})

    def misfit(self, count: int) -> None:
        """Counts signals that are not for such a node."""
        self._misfits.add(count)

    def measured(self, state_bytes: int) -> None:
        """Takes note of how large the state is."""
        self._held.state_bytes = state_bytes


class Held:
    """What a node in this worker's cache holds; it goes with the node."""

    def __init__(self, operator: str, states: list[NodeState]) -> None:
        self.operator = operator
        self.states = states
        self.state_bytes = 0

    def amounts(self) -> dict[str, int]:
        return {
            "timeline_nodes": 1,
            "timeline_node_rows": sum(len(state.own) for state in self.states),
            "timeline_node_keys": max(len(state.keys) for state in self.states),
            "timeline_node_state_bytes": self.state_bytes,
            "timeline_node_quarantined_keys": sum(len(state.quarantined) for state in self.states),
        }


class _Cache:
    """The nodes in this process. Workflows come and go in threads of the SDK's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: weakref.WeakSet[Held] = weakref.WeakSet()

    def add(self, held: Held) -> None:
        with self._lock:
            self._all.add(held)

    def sums(self) -> dict[str, Counter[str]]:
        """For each operator the sums over its nodes."""
        with self._lock:
            every = list(self._all)
        sums: dict[str, Counter[str]] = {}
        for held in every:
            sums.setdefault(held.operator, Counter()).update(held.amounts())
        return sums


_held = _Cache()
_HELP = {
    "timeline_nodes": "Workflows of nodes in this worker's cache.",
    "timeline_node_rows": "Rows that they hold.",
    "timeline_node_keys": "Keys that they know, added up over nodes.",
    "timeline_node_state_bytes": "About how many bytes their states have.",
    "timeline_node_quarantined_keys": "Keys without a function, because an operator raised.",
}


@contextlib.asynccontextmanager
async def adding_up() -> AsyncIterator[None]:
    """Says all the while, by operator, what the nodes in this worker's cache hold."""
    gauges = {name: meter().create_gauge(name, text) for name, text in _HELP.items()}

    async def work() -> None:
        known: set[str] = set()
        while True:
            sums = _held.sums()
            known |= sums.keys()
            for operator in known:
                for name, gauge in gauges.items():
                    gauge.set(sums.get(operator, Counter())[name], {"operator": operator})
            await asyncio.sleep(ADD_UP)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()


# --- sinks ---------------------------------------------------------------------------------------------


class SinkMetrics:
    """Of one run of a sink, by its kind."""

    def __init__(self, kind: str) -> None:
        own = workflow.metric_meter().with_additional_attributes({"kind": kind})
        self._rows = own.create_counter("timeline_sink_rows", "Rows that sinks wrote.")
        self._misfits = own.create_counter("timeline_sink_malformed", "Signals that sinks set aside.")
        self._delay = own.create_histogram_float(
            "timeline_sink_delay",
            "From when a sink hears of a position until its rows are written.",
            "seconds",
        )
        self._since: float | None = None

    def heard(self) -> None:
        """Something came; the time is the workflow's."""
        self._since = workflow.time() if self._since is None else self._since

    def misfit(self) -> None:
        """Counts a signal that was set aside."""
        self._misfits.add(1)

    def wrote(self, rows: int) -> None:
        """So many rows are where they belong."""
        self._rows.add(rows)

    def done(self) -> None:
        """All that had come is written."""
        if self._since is not None:
            self._delay.record(max(0.0, workflow.time() - self._since))
        self._since = None


# --- stores --------------------------------------------------------------------------------------------


def store_holds(states: int, size: int) -> None:
    """What a store of large states holds, as a sweep has found it, which each worker makes once an hour."""
    meter().create_gauge("timeline_store_states", "States and pieces of states in the store.").set(states)
    meter().create_gauge("timeline_store_bytes", "Bytes of what is in the store.").set(size)


# --- feeders -------------------------------------------------------------------------------------------


class FeederMetrics:
    """Of one partition of a topic."""

    def __init__(self, partition: str) -> None:
        own = meter().with_additional_attributes({"partition": partition})
        self._messages = own.create_counter("timeline_feeder_messages", "Messages that were sent to leaves.")
        self._batch = own.create_histogram("timeline_feeder_batch", "Messages a batch.", "messages")
        self._letters = own.create_counter("timeline_feeder_dead_letters", "Dead letters, by reason.")
        self._settled = own.create_counter(
            "timeline_feeder_settled_messages", "Messages that have arrived in all results."
        )
        self._waiting = own.create_gauge(
            "timeline_feeder_lag_messages", "Messages that were sent and have not arrived in all results."
        )
        self._lag = own.create_gauge_float(
            "timeline_feeder_lag_seconds", "Age of the oldest of them; 0 without any."
        )
        self._time = own.create_gauge_float(
            "timeline_feeder_stream_time_seconds", "Time of the newest event or mark that was sent."
        )

    def sent(self, messages: int, stream_time: int) -> None:
        """A batch is on its way; the stream's time is in ms, negative before there is any."""
        self._messages.add(messages)
        self._batch.record(messages)
        self.time(stream_time)

    def time(self, stream_time: int) -> None:
        """The stream's time (ms) has gone on."""
        if stream_time >= 0:
            self._time.set(stream_time / 1_000)

    def settled(self, messages: int) -> None:
        """A batch has arrived in all results."""
        self._settled.add(messages)

    def letters(self, kinds: Counter[str]) -> None:
        """Dead letters were put away."""
        for kind, count in kinds.items():
            self._letters.add(count, {"reason": kind})

    def lag(self, messages: int, published: int | None) -> None:
        """So many messages are on their way, the oldest of which was published then (ms)."""
        self._waiting.set(messages)
        self._lag.set(0.0 if not published else max(0.0, time.time() - published / 1_000))


# --- questions -----------------------------------------------------------------------------------------


def measured(ask: F) -> F:
    """A question to a workflow (`Asking.query`), measured by its name and by what came of it."""

    @wraps(ask)
    async def asked(asking: Any, workflow_id: str, query: Query[..., Any], *args: Any) -> Any:
        seconds = meter().create_histogram_float(
            "timeline_question", "How long questions to workflows took.", "seconds"
        )
        begun, outcome = time.perf_counter(), "answered"
        try:
            return await ask(asking, workflow_id, query, *args)
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            labels = {"question": query.name, "outcome": outcome}
            seconds.record(time.perf_counter() - begun, labels)

    return cast(F, asked)
