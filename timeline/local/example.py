"""The worked examples of the operators' docstrings: one key, one column, seconds."""

from __future__ import annotations

from collections.abc import Mapping

from timeline.local.graph import Graph
from timeline.plan import make_plan
from timeline.tables.events import from_rows
from timeline.tables.table import Table
from timeline.values.exact import NULL, user_number
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar
from timeline.values.ticks import format_seconds


def run(expression: str, events: Mapping[float, Scalar], late: Mapping[float, Scalar] | None = None) -> None:
    """Prints the rows of an expression over events ``{second: state}``, then fed with late ones.

    >>> run('latest_event_to_state(state)', {1: "play", 3: "seek"}, late={2: "buffer"})
    1 s 'play'
    2 s 'buffer'
    3 s 'seek'
    """
    graph = Graph(make_plan(expression))
    for step, batch in enumerate((events, late or {})):
        rows = [("key", int(second * 1000), {"state": value}) for second, value in batch.items()]
        if rows:
            graph.feed(from_rows(rows, (step, 0)), (step, len(rows)))
    for name, (history, _) in graph.answers.tables().items():
        _print(history.whole(), f"{name}: " if graph.result.state.outputs else "")


def _print(table: Table, before: str) -> None:
    for row, tick in enumerate(table.tick.tolist()):
        value = repr(table.python_value(row, tick))
        if table.kind is Kind.NUMERIC and table.slope is not None and table.value[row] != NULL:
            slope = user_number(int(table.slope[row]) * 1000, table.unit)
            value += f" + {slope}/s" if slope else ""
        print(f"{before}{format_seconds(tick)} s {value}")
