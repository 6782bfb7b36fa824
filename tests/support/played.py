"""What a timeline with a sink says of a stream that is cut somehow: rows, answers and refusals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.graphs import WireGraph
from tests.support.streams import json, marked_batches
from timeline.aggregate import Request, kinds_of, merge, partial
from timeline.engine.answers import Answers
from timeline.engine.state_wire import from_state, to_state
from timeline.engine.wire import from_patch, to_patch
from timeline.errors import NoLifeError, RetentionError
from timeline.fragments import Policy
from timeline.sinks.emission import Emission
from timeline.spec.parts import Watermark
from timeline.spec.spec import Spec
from timeline.tables.events import Events, Position, from_rows

OUTPUTS = {
    "state": "latest_event_to_state(a)",
    "n": 'count(a == "x")',
    "long": 'duration_where(@state == "x")',
}


def hear(emission: Emission, said: Mapping[int, Any]) -> None:
    """Gives a sink what its nodes said, as it comes to it: as JSON."""
    for index, inputs in emission.inputs().items():
        for number in inputs:
            emission.receive(number, from_patch(json(to_patch(said[index]))))


def sink_of(
    sink: dict[str, Any], lateness: int, ttl: int | None, watermark: Watermark = "key", retention: str = "1h"
) -> Spec:
    limits = {"allowed_lateness": f"{lateness}ms", "retention": retention, "watermark": watermark}
    if ttl is not None:
        limits["key_ttl"] = f"{ttl}ms"
    wire = {"name": "t", "outputs": OUTPUTS, "limits": limits, "sink": {"folder": "out", **sink}}
    return Spec.from_wire(wire)


def played(
    spec: Spec,
    events: Any,
    at: list[int],
    policy: Policy,
    marks: dict[int, int] | None = None,
    alone: bool = True,
    renews: bool = False,
) -> tuple[list[Any], Any, list[Any]]:
    """`fed` with events that are cut there."""
    return fed(spec, marked_batches(from_rows(events), at, marks or {}, alone), policy, renews)


def fed(
    spec: Spec, cut: Iterable[tuple[Events, Position]], policy: Policy, renews: bool = False
) -> tuple[list[Any], Any, list[Any]]:
    """The rows that a sink writes, what all keys answer at the end, as far back as is kept, and what was
    refused; ``renews``: all go on anew after each batch."""
    graph = WireGraph(spec.plan, spec.node_limits, policy)
    emission = Emission(spec, spec.sink(), 0)
    rows: list[Any] = []
    final: dict[tuple[int, str, int], Any] = {}

    def drain() -> None:
        while (more := emission.rows()) is not None:
            rows.extend(more)

    for batch, last in cut:
        said = graph.feed(batch, last)
        hear(emission, said)
        while (target := emission.next_position()) is not None:
            emission.step(target)
            drain()
        emission.tidy()
        if renews:
            graph.continue_as_new(spec.node_limits)
            emission = renewed(spec, emission)
        _stay_final(graph, final)
    leaf = next(node for node in graph.nodes if node.state.leaf is not None)
    refused = [(r.position, r.reason.name) for r in leaf.state.refused.after(None, 100)]
    answers = graph.answers
    kept_from = max(0, answers.state.stream_time - (spec.node_limits.retention or 0))
    told = {key: lives_in(answers, key, kept_from) for key in answers.known_keys()}
    times = range(kept_from, answers.state.stream_time + 9, 3)
    request = Request.parse(kinds_of(spec.plan), agg="count, sum(n)", group_by=["state"], at=times)
    return rows, (told, merge(request, [partial(answers, request)]).rows), refused


def renewed(spec: Spec, emission: Emission) -> Emission:
    """Another that goes on from what one carries."""
    other = Emission(spec, spec.sink(), 0)
    from_state(to_state([emission.state]), [other.state])
    other.restore(json(emission.carried()))
    return other


def lives_in(answers: Answers, key: str, kept_from: int = 0) -> list[Any]:
    spans = [answers.life(code)[1:] for code in answers.lives(key)]
    return [(span, [answers.value(key, tick) for tick in span if tick >= kept_from]) for span in spans]


def _stay_final(graph: WireGraph, final: dict[tuple[int, str, int], Any]) -> None:
    """Whatever any node says to be final at some ticks, and where no time is said, it says for ever."""
    for number, node in enumerate(graph.nodes):
        answers = Answers(node.state)
        for key in answers.known_keys():
            for asked in (None, *range(len(final) % 3, 100, 3)):
                try:
                    value, tick, is_final = answers.value(key, asked)
                except NoLifeError:
                    assert (number, key, asked) not in final, f"{key} had a life at {asked}"
                    continue
                except RetentionError:
                    continue
                place = number, key, tick
                if place in final:
                    assert (value, is_final) == (final[place], True), f"{key} at {tick} was final"
                if is_final:
                    final[place] = value
