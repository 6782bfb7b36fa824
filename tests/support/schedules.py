"""Random expressions over random streams in random deliveries, against their definition.

Every schedule has late, repeated, reordered and same-tick events, missing columns, nulls and mixed
types, marks, either watermark, keys with lives or without; batches are cut anywhere and sent more than
once, patches go through JSON, and nodes continue as new between any two. Then every node of every key must
be, at every tick, what `tests.support.oracle` says.

    python -m tests.support.schedules --cases 10000 [--seed N]

prints the seed; a failure shrinks to a small one, which is drawn as lanes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Annotated, Any

import hypothesis
import numpy as np
import typer
from hypothesis import HealthCheck, note
from hypothesis import strategies as st
from rich.console import Console

from tests.support.graphs import POLICIES, WireGraph
from tests.support.histories import restless
from tests.support.lives import lives_of
from tests.support.oracle import Oracle
from tests.support.oracle_values import exact, same
from tests.support.streams import END, exact_value, expressions, marked_batches
from timeline.cli.lanes import draw
from timeline.engine.answers import Answers
from timeline.limits import Limits
from timeline.pictures import Lane, panel, plan_lanes
from timeline.plan import Plan, make_plan
from timeline.tables.events import from_rows
from timeline.tables.table import Table
from timeline.values.kinds import Kind

VALUES: tuple[Any, ...] = ("x", "y", 1, 2.5, 0.0001, -3, True, None)
#: Events are drawn in order of time, and then moved about.
events = st.lists(
    st.tuples(
        st.sampled_from(["k", "l"]),
        st.integers(0, 3),
        st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(VALUES)),
        st.integers(0, 6),
    ),
    min_size=1,
    max_size=14,
)


#: By the number of events before it, how much later (ms) a mark is than the stream's time.
marks_drawn = st.dictionaries(st.integers(1, 14), st.integers(0, 5), max_size=3)


def delivered(drawn: Any) -> list[tuple[str, int, dict[str, Any]]]:
    """Events in stream order: times grow by the second part, and each comes up to its fourth later."""
    tick = 0
    timed = []
    for number, (key, step, values, delay) in enumerate(drawn):
        tick = min(tick + step, END - 6)
        timed.append((tick + delay, number, key, tick, values))
    return [(key, tick, values) for _, _, key, tick, values in sorted(timed, key=lambda e: e[:2])]


def accepted(
    rows: Sequence[tuple[str, int, dict[str, Any]]], lateness: int, marks: Mapping[int, int], by_stream: bool
) -> list[bool]:
    """Which events are not late, by the definition: by the newest of their key, or by the stream's time."""
    newest: dict[str, int] = {}
    stream = -1
    taken = []
    for number, (key, tick, _) in enumerate(rows):
        stream = max(stream, marks.get(number, -1))
        taken.append(tick >= (stream if by_stream else newest.get(key, -1)) - lateness)
        if taken[-1]:
            newest[key] = max(tick, newest.get(key, -1))
        stream = max(stream, tick)
    return taken


def marks_of(rows: Sequence[tuple[str, int, dict[str, Any]]], drawn: Mapping[int, int]) -> dict[int, int]:
    """Marks by the number of events before them, each so much later than the stream's time then is."""
    stream, marks = -1, {}
    for number, (_, tick, _) in enumerate(rows, 1):
        stream = max(stream, tick)
        if number in drawn:
            marks[number] = stream = stream + drawn[number]
    return marks


def check_schedule(expression: Any, drawn: Any, lateness: int, at: list[int], data: Any) -> None:
    plan = make_plan(expression)
    rows = delivered(drawn)
    note(f"{plan.result.text}\n{rows}\nlateness {lateness}")
    by_stream = data.draw(st.booleans(), "by the stream")
    marks = marks_of(rows, data.draw(marks_drawn, "marks"))
    ttl = data.draw(st.none() | st.integers(1, 9), "key_ttl")
    limits = Limits(lateness, 1_000, ttl, by_stream)
    policy = data.draw(st.sampled_from(POLICIES), "policy")
    graph = WireGraph(plan, limits, policy)
    for batch, last in marked_batches(from_rows(rows), at, marks, data.draw(st.booleans(), "marks alone")):
        graph.feed(batch, last)
        for _ in range(data.draw(st.integers(0, 1), "sent again")):
            graph.feed(batch, last)
        if data.draw(st.booleans(), "continued as new"):
            graph.continue_as_new(limits, data.draw(st.sampled_from([None, 0, 1 << 20]), "freeze at"))
    if ttl is None:
        taken = accepted(rows, lateness, marks, by_stream)
        lives = {
            key: [[(t, v) for (k, t, v), took in zip(rows, taken, strict=True) if k == key and took]]
            for key in {key for key, _, _ in rows}
        }
    else:
        told = lives_of(rows, lateness, ttl, marks, by_stream)
        taken, lives = [reason is None for reason in told.refused], told.lives
    for planned, node in zip(plan.nodes, graph.nodes, strict=True):
        if planned.leaf:
            assert (node.state.accepted, node.state.refused.count) == (sum(taken), len(rows) - sum(taken))
            listed = [refusal.position[0] for refusal in node.state.refused.after(None, 100)]
            assert listed == [i for i, took in enumerate(taken) if not took]
    for key in sorted(lives):
        for number, life in enumerate(lives[key]):
            if life:
                _check_life(plan, graph, key, number, Oracle(life))
        for node in graph.nodes:
            answers = Answers(node.state)
            assert len(answers.lives(key) if lives[key][0] else []) == len(list(filter(None, lives[key])))


def _check_life(plan: Plan, graph: WireGraph, key: str, number: int, oracle: Oracle) -> None:
    asked = [Answers(node.state) for node in graph.nodes]
    tables = [answers.life(answers.lives(key)[number])[0] for answers in asked]
    for planned, table in zip(plan.nodes, tables, strict=True):
        assert int(table.tick[0]) == oracle.origin
        for tick in range(oracle.origin, END):
            row = int(np.searchsorted(table.tick, tick, side="right")) - 1
            got = exact_value(table, row, tick)
            wanted = oracle.at(planned.expression, tick)
            if not same(exact(got), exact(wanted)):
                _draw(plan, tables, key, oracle)
                raise AssertionError(f"{planned.text} of {key!r} at {tick} ms: got {got}, not {wanted}")


def _draw(plan: Plan, tables: Sequence[Table], key: str, oracle: Oracle) -> None:
    """What every node says, and under it what the definition says."""
    out = Console(file=io.StringIO(), width=150)
    rows = {planned.index: table.json_rows() for planned, table in zip(plan.nodes, tables, strict=True)}
    lanes = []
    for lane in plan_lanes(plan, rows):
        lanes.append(lane)
        planned = next(n for n in plan.nodes if rows[n.index] is lane.rows)
        wanted = [[tick, oracle.at(planned.expression, tick)] for tick in range(oracle.origin, END)]
        if planned.operator.kind in (Kind.NUMERIC, Kind.RATIO):
            wanted = [[t, None if v is None else str(v * 1000), 0] for t, v in wanted]
        lanes.append(Lane("  (definition)", planned.operator.kind, wanted))
    out.print("\n".join(f"{tick} ms {values}" for tick, values in oracle.events))
    newest = max(tick for tick, _ in oracle.events)
    draw(out, panel(key, lanes, oracle.origin, newest, oracle.origin, END))
    assert isinstance(out.file, io.StringIO)
    note(out.file.getvalue())


def run(cases: int, seed: int) -> None:
    """Tries that many schedules."""
    print(f"{cases} schedules, seed {seed}")
    strategies = {
        "expression": expressions,
        "drawn": events,
        "lateness": st.integers(0, 7),
        "at": st.lists(st.integers(0, 14), max_size=5),
        "data": st.data(),
    }
    test = hypothesis.given(**strategies)(check_schedule)
    quiet = list(HealthCheck)
    test = hypothesis.settings(
        max_examples=cases, deadline=None, database=None, suppress_health_check=quiet, print_blob=True
    )(test)
    hypothesis.seed(seed)(test)()


def main(
    cases: Annotated[int, typer.Option(min=1, help="How many schedules to try.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Which ones; the same seed tries the same.")] = 0,
    moving: Annotated[bool, typer.Option(help="Rows of histories move whenever they can.")] = False,
) -> None:
    """Random schedules against the definition, operator by operator and tick by tick."""
    with restless() if moving else nullcontext():
        run(cases, seed or int(np.random.default_rng().integers(1, 1 << 31)))
    print("all as they should be")


if __name__ == "__main__":
    typer.run(main)
