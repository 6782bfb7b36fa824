"""Several outputs: ``@name``, what is wrong with them, and their node asked as each output's own is."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.support.cli import Cli
from tests.support.graphs import WireGraph
from tests.support.poison import poison
from tests.support.specs import load, problems
from tests.support.streams import batches, cuts, expressions, rows
from timeline.engine import shrinking
from timeline.engine.answers import Answers
from timeline.errors import QuarantineError, RetentionError
from timeline.language import expression as ex
from timeline.language.output_names import MAX_OUTPUTS
from timeline.language.parser import parse
from timeline.language.printer import print_expression
from timeline.language.references import read_outputs
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.plan import make_plan
from timeline.spec.spec import Spec
from timeline.tables.events import from_rows

OUTPUTS = """name = "quality"
[outputs]
buffering = "@state == 'buffer'"
rebuffering = "duration_where(@buffering && has_existed(state == 'play'))"
state = "latest_event_to_state(state)"
[source]
key = "session"
"""


def test_outputs_share_what_they_have_in_common(tmp_path: Path) -> None:
    spec = load(tmp_path, OUTPUTS)
    plan = spec.plan
    assert list(plan.outputs) == ["buffering", "rebuffering", "state"]
    assert [n.text for n in plan.nodes] == [
        "latest_event_to_state(state)",
        'latest_event_to_state(state) == "buffer"',
        'has_existed(state == "play")',
        'latest_event_to_state(state) == "buffer" && has_existed(state == "play")',
        'duration_where(latest_event_to_state(state) == "buffer" && has_existed(state == "play"))',
        plan.result.text,
    ]
    assert plan.result.inputs == (1, 4, 0)
    assert make_plan(plan.result.text) == plan, "a node is started with its text"
    assert plan.find("rebuffering") is plan.nodes[4]
    assert Spec.from_wire(spec.to_wire()).plan == plan
    assert "expression" not in spec.to_wire()
    assert spec.definition.splitlines()[0] == "buffering = @state == 'buffer'"
    alone = make_plan('latest_event_to_state(state) == "buffer"').result
    assert plan.outputs["buffering"].digest == alone.digest, "shared with timelines of one expression"


def test_a_spec_of_one_expression_is_written_as_before() -> None:
    spec = Spec(name="plays", expression="has_existed(a == 1)")
    wire = spec.by_policy("node").to_wire()
    assert list(wire) == ["name", "description", "expression", "source", "limits"]
    assert Spec.from_wire(wire).run.fragments == "node", "as it was before there were others"
    assert Spec.from_wire(spec.to_wire()) == spec
    assert spec.to_wire() == wire | {"run": {"fragments": "operator", "min_wave_interval": "0ms"}}


@pytest.mark.parametrize(
    ("outputs", "found"),
    [
        ("a = 'count(x == 1)'\nb = '@aa > 1'", {"b": "no output aa; expected a, b; did you mean a?"}),
        ("a = '@b > 1'\nb = '@c'\nc = '@a'", {"c": "column 1: @a comes back to itself: a -> b -> c -> a"}),
        ("a = 'not @a'", {"a": "column 5: @a comes back to itself: a -> a"}),
        ("a = 'x == 1'", {"a": "the whole cannot be x == 1, a predicate over events"}),
        ("a = '{b: count(x == 1)}'", {"a": "an output is one expression, not a set of outputs"}),
        ("a = 'count(x == 1'\nb = '(@a'\nc = 'nope()'", {"a": "( is never closed", "b": "", "c": "nope"}),
        ("a = 'count(x == 1)'\nb = 'count_rises(@a)'", {"b": "cannot take count(x == 1), a Numeric"}),
        ("closed = 'count(x == 1)'", {"closed": "that says whether a key is closed"}),
        ("'a-b' = 'count(x == 1)'", {"a-b": "cannot be named 'a-b': use the letters"}),
        ("true = 'count(x == 1)'", {"true": "that is a word of the language"}),
        ("a = 1", {"a": "must be text in quotes, got 1"}),
    ],
)
def test_what_is_wrong_with_outputs(tmp_path: Path, outputs: str, found: dict[str, str]) -> None:
    got = problems(tmp_path, f"name = 'x'\n[outputs]\n{outputs}\n")
    assert got.keys() == {f"outputs.{name}" for name in found}
    for name, message in found.items():
        assert message in got[f"outputs.{name}"]


def test_an_expression_beside_outputs_and_outputs_in_it(tmp_path: Path) -> None:
    got = problems(tmp_path, "name = 'x'\nexpression = 'count(a == 1)'\n[outputs]\nn = 'count(a == 1)'\n")
    assert got == {"expression": "give expression or outputs, not both"}
    got = problems(tmp_path, "name = 'x'\nexpression = '{n: count(a == 1)}'\n")
    assert got == {"expression": "is a set of outputs; give each a line of its own under [outputs]"}


def test_what_grows_without_end_is_refused_before_it_grows() -> None:
    doubled = {f"n{i}": f"@n{i - 1} + @n{i - 1}" if i else "count(a == 1)" for i in range(60)}
    trees, wrong = read_outputs(doubled)
    assert (len(trees), list(wrong)) == (10, ["n10"])
    assert "more than 10000 parts" in str(wrong["n10"])
    _, wrong = read_outputs({f"n{i}": "count(a == 1)" for i in range(MAX_OUTPUTS + 1)})
    assert str(wrong[f"n{MAX_OUTPUTS}"]) == "a spec has at most 100 outputs, got 101; divide it"


@given(st.lists(expressions, min_size=1, max_size=3))
def test_the_text_of_outputs_is_read_back(trees: list[ex.Expression]) -> None:
    whole = ex.Outputs(tuple(f"o{i}" for i in range(len(trees))), tuple(trees))
    assert parse(print_expression(whole)) == whole


@settings(max_examples=200)
@given(st.lists(expressions, min_size=1, max_size=3), rows, cuts, st.integers(0, 5), st.data())
def test_outputs_are_what_each_is_alone(
    trees: list[ex.Expression], events: Any, at: list[int], keep: int, data: st.DataObject
) -> None:
    names = [f"o{i}" for i in range(len(trees))]
    plan = make_plan(ex.Outputs(tuple(names), tuple(trees)))
    note(plan.result.text)
    limits = Limits(3, keep)
    whole = evaluate(plan, from_rows(events), limits)
    graph = WireGraph(plan, limits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shrinking, "FEW", data.draw(st.sampled_from([-1_000_000, 1_000])))
        for batch in batches(from_rows(events), at):
            graph.feed(batch, tuple(batch.position[-1].tolist()))
            if data.draw(st.booleans()):
                graph.continue_as_new(limits)
    node = graph.result
    ticks = range(max(t for _, t, _ in events) + 9)
    alone = [{(r.key, r.at): r.value for r in whole.values(ticks, node=n)} for n in plan.outputs.values()]
    for row in whole.values(ticks):
        assert row.value == {n: of[row.key, row.at] for n, of in zip(names, alone, strict=True)}
        origin, newest = whole.span(row.key)
        assert Answers(node.state).timeline(row.key)[1:] == (origin, newest)
        if row.at >= newest - 3 - keep or row.at < origin:
            assert Answers(node.state).value(row.key, row.at)[:2] == (row.value, row.at), (
                "kept as long as promised"
            )
            continue
        with suppress(RetentionError):
            assert Answers(node.state).value(row.key, row.at)[0] == row.value


def test_a_newcomer_of_outputs_and_a_key_that_an_output_cannot_compute() -> None:
    plan = make_plan("{n: count(a == 1), last: latest_event_to_state(a), again: count(a == 1)}")
    limits = Limits(1_000, 10_000)
    graph = WireGraph(plan, limits)
    events = from_rows([("k", 0, {"a": 1}), ("l", 5, {"a": "x"}), ("k", 10, {"a": 1})])
    for batch in batches(events, [2]):
        graph.feed(batch, tuple(batch.position[-1].tolist()))
    latecomer = WireGraph(plan, limits).result
    for place, child in enumerate(plan.result.inputs):
        snapshot = graph.nodes[child].snapshot()
        assert snapshot is not None
        latecomer.receive(place, snapshot)
    assert latecomer.advance() is not None
    for node in (graph.result, latecomer):
        assert Answers(node.state).value("k", 9)[0] == {"n": 1, "last": 1, "again": 1}
        assert Answers(node.state).value("k", None) == ({"n": 2, "last": 1, "again": 2}, 10, False)
        assert Answers(node.state).value("l", 4)[0] == {"n": 0, "last": None, "again": 0}, "before its origin"


def test_a_key_that_one_output_cannot_compute_has_none_until_it_is_released() -> None:
    plan = make_plan("{n: count(a == 1), last: latest_event_to_state(a)}")
    graph = WireGraph(plan, Limits(1_000, 10_000))
    poison(graph.nodes[0], {"k"}, reading=True)
    events = from_rows([("k", 0, {"a": 1}), ("l", 5, {"a": 1})])
    graph.feed(events, (1,))
    assert Answers(graph.result.state).value("l", 5)[0] == {"n": 1, "last": 1}
    with pytest.raises(QuarantineError, match="PoisonError: bad luck"):
        Answers(graph.result.state).value("k", 5)
    graph.nodes[0].state.operator = plan.nodes[0].operator
    graph.deliver(0, graph.nodes[0].release("k"))
    graph.result.advance()
    assert Answers(graph.result.state).value("k", 5)[0] == {"n": 1, "last": 1}


def test_the_command_line_shows_every_output(tmp_path: Path) -> None:
    cli = Cli(None, tmp_path)
    (tmp_path / "o.toml").write_text(OUTPUTS)
    lines = [(1000, "play"), (4000, "buffer"), (6000, "play")]
    (tmp_path / "e.jsonl").write_text(
        "".join(f'{{"session": "s", "time": {t}, "state": "{s}"}}\n' for t, s in lines)
    )
    spec, events = tmp_path / "o.toml", tmp_path / "e.jsonl"
    done = cli.good("eval", spec, events, "--at", "5000", "--format", "csv")
    assert done == "key,time,buffering,rebuffering,state\ns,5000,true,1,buffer\n"
    done = cli.good("eval", spec, events, "--format", "jsonl")
    assert done == '{"key":"s","time":6000,"buffering":false,"rebuffering":2,"state":"play"}\n'
    lanes = cli.good("eval", spec, events, "--format", "lanes").splitlines()
    assert [line.split(":")[0] for line in lanes if ":" in line] == ["buffering", "rebuffering", "state"]
    tree = cli.good("explain", spec)
    assert "├── rebuffering: duration_where(…)  Numeric  quality." in tree
