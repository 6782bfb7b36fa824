"""What goes over the wire: bytes an event, and the time to write and read a batch, in both forms.

Form 1 is JSON and zstd throughout, form 2 columns by pcodec: `timeline.tables.columnar`. Both as payloads,
from a batch to what the server keeps and back.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import numpy as np
from temporalio.api.common.v1 import Payload

from benchmarks.generate import CIRR, events
from benchmarks.measure import Figure, at_most, interleaved, say
from timeline.engine.state_wire import to_state
from timeline.engine.wire import from_patch, to_patch
from timeline.limits import Limits
from timeline.local.graph import Graph
from timeline.plan import make_plan
from timeline.tables import columnar
from timeline.tables.events import Events
from timeline.tables.wire import from_events, to_events
from workflows.names import shards_of
from workflows.payloads.codec import data_converter

BATCH = 50_000
STREAMS = 4
BEFORE, NOW = 1, 2


def run(quick: bool) -> list[Figure]:
    """Figures of one stream of four, of CIRR over 10 000 keys."""
    say("wire: bytes and time of a batch")
    batches = _batches(200_000 if quick else 1_000_000)
    graph = Graph(make_plan(CIRR), Limits(10_000, 3_600_000))
    leaf, edges, count = {BEFORE: 0, NOW: 0}, {BEFORE: 0, NOW: 0}, 0
    patch: Any = None
    for batch in batches:
        said = graph.feed(batch, _last(batch))
        count += len(batch)
        for form in (BEFORE, NOW):
            with _form(form):
                leaf[form] += _size(to_events(batch, _last(batch)))
                inner = (p for i, p in said.items() if i != graph.plan.result.index)
                edges[form] += sum(_size(to_patch(p)) for p in inner)
        patch = said[next(n.index for n in graph.plan.nodes if n.text.startswith("latest"))]
    batch = batches[-1]
    works = [
        *_both(lambda: to_events(batch, _last(batch)), from_events),
        *_both(lambda: to_patch(patch), from_patch),
    ]
    times = [t.median * 1e6 for t in interleaved(*works, repetitions=11 if quick else 51)]
    rows = f"of {len(patch.rows)} rows"
    figures = [
        _bytes("wire-leaf", leaf, count, f"batches of {len(batch)}, for each leaf"),
        _bytes("wire-edges", edges, count, f"all {len(graph.plan.nodes) - 1} edges together"),
    ]
    for number, (name, what) in enumerate((("batch", f"of {len(batch)} events"), ("patch", rows))):
        # Writing may cost what it did: bytes and reading are what this is for.
        for place, (verb, mark) in enumerate((("write", 1.1), ("read", 0.5))):
            before, now = times[4 * number + place], times[4 * number + place + 2]
            other = f"form 1: {before:,.0f} us"
            figures.append(at_most(f"wire-{verb}-{name}", now, "us", before, other, mark, what))
    sizes = {}
    for form in (BEFORE, NOW):
        with _form(form):
            sizes[form] = sum(len(to_state([node.state])) for node in graph.nodes)
    keys = sum(len(node.state.keys) for node in graph.nodes)
    return [*figures, _bytes("wire-states", sizes, keys, "bytes a key and node")]


def _batches(count: int) -> list[Events]:
    """Those of the first stream."""
    every = events(count, 10_000)
    mine = every.take(np.flatnonzero(shards_of(every.keys, STREAMS)[every.key] == 0))
    cuts = range(0, len(mine) - BATCH + 1, BATCH) or [0]
    return [mine.take(slice(cut, cut + BATCH)).compact() for cut in cuts]


def _last(batch: Events) -> tuple[int, ...]:
    return tuple(batch.position[-1].tolist())


@contextmanager
def _form(form: int) -> Iterator[None]:
    written, columnar.FORM = columnar.FORM, form
    try:
        yield
    finally:
        columnar.FORM = written


def _both(make: Callable[[], Any], read: Callable[[Any], Any]) -> list[Callable[[], object]]:
    """To write and to read, in the form of before and in that of now."""

    def write(form: int) -> Payload:
        with _form(form):
            return _written(make())

    works: list[Callable[[], object]] = []
    for form in (BEFORE, NOW):
        sent = write(form)
        works += [partial(write, form), partial(lambda payload: read(_read(payload)), sent)]
    return works


def _written(value: Any) -> Payload:
    payload: Payload = _finished(data_converter.encode([value]))[0]
    return payload


def _read(payload: Payload) -> Any:
    return _finished(data_converter.decode([payload], [dict]))[0]


def _finished(work: Coroutine[Any, Any, list[Any]]) -> list[Any]:
    """What a coroutine that awaits nothing returns: a loop for each would take longer than the work."""
    try:
        work.send(None)
    except StopIteration as done:
        return cast("list[Any]", done.value)
    raise AssertionError("a payload waited for something")


def _size(value: Any) -> int:
    return len(_written(value).data)


def _bytes(name: str, total: dict[int, int], count: int, detail: str) -> Figure:
    before, now = (total[form] / count for form in (BEFORE, NOW))
    return at_most(name, now, "bytes", before, f"form 1: {before:.2f}", 1, detail)
