"""All operators against their definitions, however the input is cut, late, repeated or reordered."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.support.oracle import Oracle
from tests.support.oracle_values import exact, same
from tests.support.streams import END, batches, cuts, exact_value, expressions, json, rows, through_wire
from timeline.engine.answers import Answers
from timeline.engine.wire import from_patch, to_patch
from timeline.language import expression as ex
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.local.graph import Graph
from timeline.plan import Plan, make_plan
from timeline.tables.events import from_rows
from timeline.tables.splicing import cut
from timeline.tables.table import Table, Window
from timeline.tables.wire import from_events, to_events


def check(table: Table, names: list[str], plan: Plan, events: Any, what: str) -> None:
    """Compares a node's table with the oracle at every tick of every key."""
    part = plan.nodes[-1].expression
    for code, name in enumerate(names):
        mine = [(t, e) for k, t, e in events if k == name]
        if not mine:
            continue
        oracle = Oracle(mine)
        rows_of_key = cut(table, Window.of_key(code))
        assert rows_of_key.tick[0] == oracle.origin, f"{what}: origin of {name}"
        for tick in range(oracle.origin, END):
            row = int(np.searchsorted(rows_of_key.tick, tick, side="right")) - 1
            got = exact_value(rows_of_key, row, tick)
            wanted = exact(oracle.at(part, tick))
            assert same(exact(got), wanted), f"{what}: {name} at {tick}: {got} is not {wanted}"


@settings(max_examples=300)
@given(expressions, rows)
def test_one_pass_is_the_definition(expression: ex.Expression, events: Any) -> None:
    plan = make_plan(expression)
    note(plan.result.text)
    result = evaluate(plan, from_rows(events))
    check(result.tables[-1], result.keys.names, plan, events, "evaluate")


@settings(max_examples=300)
@given(expressions, rows, cuts)
def test_any_cut_gives_the_tables_of_one_pass(expression: ex.Expression, events: Any, at: list[int]) -> None:
    plan = make_plan(expression)
    note(plan.result.text)
    whole = evaluate(plan, from_rows(events))
    graph = Graph(plan)
    for batch in batches(from_rows(events), at):
        graph.feed(batch, tuple(batch.position[-1].tolist()))
    for planned, node in zip(plan.nodes, graph.nodes, strict=True):
        for key in whole.names():
            table, origin, newest = Answers(node.state).timeline(key)
            assert table.json_rows() == whole.timeline(key, planned).json_rows(), planned.text
            assert (origin, newest) == whole.span(key)


@settings(max_examples=150)
@given(expressions, rows, cuts, st.data())
def test_wire_repeats_and_carried_state_change_nothing(
    expression: ex.Expression, events: Any, at: list[int], data: st.DataObject
) -> None:
    """Batches and patches through JSON, batches sent twice, nodes replaced by their carried state."""
    plan = make_plan(expression)
    note(plan.result.text)
    limits = Limits()
    graph = Graph(plan)
    sent = batches(from_rows(events), at)
    stutter = [b for b in sent for _ in range(data.draw(st.integers(1, 2)))]
    for batch in stutter:
        again, last = from_events(json(to_events(batch, tuple(batch.position[-1].tolist()))))
        for planned in plan.nodes:
            node = graph.nodes[planned.index]
            patch = node.accept(again, last) if planned.leaf else node.advance()
            if patch is None:
                continue
            patch = from_patch(json(to_patch(patch)))
            for parent in plan.nodes[planned.index + 1 :]:
                for index, child in enumerate(parent.inputs):
                    if child == planned.index:
                        for _ in range(data.draw(st.integers(1, 2))):
                            graph.nodes[parent.index].receive(index, patch)
        if data.draw(st.booleans()):
            graph.nodes = [
                through_wire(n, p, plan, limits) for n, p in zip(graph.nodes, plan.nodes, strict=True)
            ]
    whole = evaluate(plan, from_rows(events))
    for planned, node in zip(plan.nodes, graph.nodes, strict=True):
        for key in whole.names():
            rows_now = Answers(node.state).timeline(key)[0].json_rows()
            assert rows_now == whole.timeline(key, planned).json_rows(), planned.text


@settings(max_examples=150)
@given(expressions, rows, cuts, st.integers(0, 6))
def test_late_events_are_refused_alike(
    expression: ex.Expression, events: Any, at: list[int], lateness: int
) -> None:
    plan = make_plan(expression)
    note(plan.result.text)
    newest: dict[str, int] = {}
    accepted = []
    for key, tick, values in events:
        if tick >= newest.get(key, -1) - lateness:
            newest[key] = max(tick, newest.get(key, -1))
            accepted.append((key, tick, values))
    whole = evaluate(plan, from_rows(events), Limits(lateness))
    assert (whole.accepted, whole.refused) == (len(accepted), len(events) - len(accepted))
    check(whole.tables[-1], whole.keys.names, plan, accepted, "evaluate")
    graph = Graph(plan, Limits(lateness, retention=1_000))
    for batch in batches(from_rows(events), at):
        graph.feed(batch, tuple(batch.position[-1].tolist()))
    for key in whole.names():
        rows_now = Answers(graph.result.state).timeline(key)[0].json_rows()
        assert rows_now == whole.timeline(key, plan.result).json_rows()
