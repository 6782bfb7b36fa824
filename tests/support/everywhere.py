"""The same expression over the same events, in every way there is to run it, against its definition.

The expressions are the worked examples of the operators' docstrings, at two ticks a second, so that the
definition in `tests.support.oracle` can be asked at every single tick.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from feeder.files.feed import feed_files
from tests.support.graphs import WireGraph
from tests.support.operator_reference import described, operator_classes
from tests.support.oracle import Oracle
from tests.support.oracle_values import same
from tests.support.timelines import spec, spec_of_outputs
from tests.support.timelines import write as write_file
from timeline.engine.answers import Answers
from timeline.language.output_names import VALUE
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.plan import Plan, make_plan
from timeline.tables.events import from_rows
from timeline.values.exact import user_fraction
from timeline.values.scalars import Scalar, Value
from workflows.client import Client

#: Key, tick and ``state`` of events in stream order.
Rows = list[tuple[str, int, Scalar]]
#: An expression's value by key, at every tick from the key's origin to `END`.
Values = dict[str, dict[int, Value]]
Way = Callable[[Plan, Rows], Awaitable[Values]]

END = 30
A_SECOND = 2
#: So many events are one batch.
BATCH = 3
_OTHERS: Rows = [
    ("other", tick, value)
    for tick, value in ((3, "play"), (5, "seek"), (5, 2), (4, "buffer"), (12, "x"), (13, None), (9, "error"))
]


def examples() -> list[Any]:
    """For every operator the expressions of its worked examples with their events, as parameters."""
    found = []
    for of_class in operator_classes():
        for number, source in enumerate(described(of_class)[1]):
            run: list[tuple[Plan, Rows]] = []

            def take(
                expression: str,
                events: Mapping[float, Scalar],
                late: Mapping[float, Scalar] | None = None,
                run: list[tuple[Plan, Rows]] = run,
            ) -> None:
                mine = [("key", int(s * A_SECOND), v) for s, v in [*events.items(), *(late or {}).items()]]
                run.append((make_plan(in_ticks(expression)), [*_OTHERS[:4], *mine, *_OTHERS[4:]]))

            exec(source, {"run": take})
            found += [pytest.param(*one, id=f"{of_class.__name__}-{number}") for one in run]
    return found


def in_ticks(expression: str) -> str:
    """The expression with its durations at two ticks a second.

    >>> in_ticks('has_existed_within(state == "5s", 5s)')
    'has_existed_within(state == "5s", 10ms)'
    """
    return re.sub(r"\b(\d+)s\b(?!\")", lambda m: f"{int(m[1]) * A_SECOND}ms", expression)


def check(plan: Plan, rows: Rows, values: Values) -> None:
    """Compares values with the definition at every tick of every key."""
    assert values.keys() == {key for key, _, _ in rows}
    for key in values:
        oracle = Oracle([(tick, {"state": value}) for k, tick, value in rows if k == key])
        assert list(values[key]) == list(range(oracle.origin, END))
        for tick, value in values[key].items():
            got = value if isinstance(value, dict) else dict.fromkeys(plan.outputs, value)
            for name, node in plan.outputs.items():
                wanted = oracle.at(node.expression, tick)
                if isinstance(wanted, Fraction):
                    wanted = user_fraction(wanted.numerator, wanted.denominator)
                assert same(got[name], wanted), f"{node.text} of {key} at {tick}: {got[name]}, not {wanted}"


async def locally(plan: Plan, rows: Rows) -> Values:
    """All events in one pass."""
    found: Values = {}
    for row in evaluate(plan, _events(rows)).values(every=1, start=0, end=END - 1):
        found.setdefault(row.key, {})[row.at] = row.value
    return {key: _from_origin(key, rows, of_key) for key, of_key in found.items()}


async def in_graph(plan: Plan, rows: Rows) -> Values:
    """Batch by batch through nodes that speak JSON, and continue as new after each."""
    limits = Limits()
    graph = WireGraph(plan, limits)
    whole = _events(rows)
    for first in range(0, len(rows), BATCH):
        batch = whole.take(slice(first, first + BATCH))
        graph.feed(batch, tuple(batch.position[-1].tolist()))
        graph.continue_as_new(limits)
    return {
        key: _from_origin(
            key, rows, {tick: Answers(graph.result.state).value(key, tick)[0] for tick in range(END)}
        )
        for key in sorted({key for key, _, _ in rows})
    }


def in_workflows(timelines: Client, folder: Path) -> Way:
    """From a file that grows, through workflows on a real server."""

    async def run(plan: Plan, rows: Rows) -> Values:
        texts = {name: node.text for name, node in plan.outputs.items()}
        wanted = spec(plan.result.text) if VALUE in texts else spec_of_outputs(texts)
        await timelines.registry.register(wanted)
        for end in range(BATCH, len(rows) + BATCH, BATCH):
            await feed_files(timelines, wanted, [write_file(folder / "e.jsonl", list(rows[:end]), "state")])
        asked = [(key, tick) for key in sorted({key for key, _, _ in rows}) for tick in range(END)]
        found: Values = {}
        answers = await timelines.questions.values(wanted, wanted.plan.result, list(asked))
        for (key, tick), answer in zip(asked, answers, strict=True):
            found.setdefault(key, {})[tick] = answer.value
        await timelines.registry.remove(wanted.name)
        return {key: _from_origin(key, rows, of_key) for key, of_key in found.items()}

    return run


def _events(rows: Rows) -> Any:
    return from_rows([(key, tick, {"state": value}) for key, tick, value in rows])


def _from_origin(key: str, rows: Rows, values: dict[int, Value]) -> dict[int, Value]:
    origin = min(tick for k, tick, _ in rows if k == key)
    return {tick: value for tick, value in values.items() if tick >= origin}
