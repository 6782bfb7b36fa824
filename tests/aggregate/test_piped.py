"""Expressions piped into ``aggregate(...)``: the outputs and the question that they stand for."""

from __future__ import annotations

import pytest

from tests.support.cases import cases
from timeline.aggregate.piped import read_piped
from timeline.errors import ExpressionError, PlacedError, SpecError
from timeline.language.parser import parse
from timeline.language.printer import print_expression
from timeline.spec.loading import spec_of


@pytest.mark.parametrize(
    ("text", "outputs", "agg", "group_by"),
    [
        (
            "duration_where(has_existed(a == 1)) | aggregate(group_by(cdn), count, sum, avg)",
            "{value: duration_where(has_existed(a == 1)), cdn: latest_event_to_state(cdn)}",
            "count, sum(value), avg(value)",
            ["cdn"],
        ),
        (
            "sum(a)|aggregate(histogram(value, 1, 5), p99.9) # of all",
            "{value: sum(a)}",
            "histogram(value, 1, 5), p99.9(value)",
            [],
        ),
        (
            "count(a == 'x | aggregate(count)' || b == 1) | // )\n aggregate( group_by(cdn,\n"
            "many: @value > 2))",
            '{value: count(a == "x | aggregate(count)" || b == 1), cdn: latest_event_to_state(cdn), '
            'many: count(a == "x | aggregate(count)" || b == 1) > 2}',
            "count",
            ["cdn", "many"],
        ),
        (
            "{cdn: first(cdn), playing: latest_event_to_state(s) == 1} "
            "| aggregate(group_by(cdn), duration_by(cdn, playing), rises(playing))",
            "{cdn: first(cdn), playing: latest_event_to_state(s) == 1}",
            "duration_by(cdn, playing), rises(playing)",
            ["cdn"],
        ),
    ],
)
def test_outputs_and_question(text: str, outputs: str, agg: str, group_by: list[str]) -> None:
    piped = read_piped(text)
    assert piped is not None
    assert print_expression(piped.outputs) == outputs
    assert piped.words == {"agg": agg, "group_by": group_by}


@pytest.mark.parametrize(
    "text", ["count(a == 1)", "count(a == 1 || b == 2)", "count(a == 'x | aggregate(y)')", "a | b"]
)
def test_what_has_no_pipe(text: str) -> None:
    assert read_piped(text) is None


@pytest.mark.parametrize(("text", "place", "message"), cases("piped_errors", "text", "at", "error"))
def test_bad_texts(text: str, place: list[int], message: str) -> None:
    with pytest.raises(PlacedError) as raised:
        read_piped(text)
    assert message in str(raised.value)
    assert raised.value.span is not None
    assert [raised.value.span.line, raised.value.span.column] == place
    assert raised.value.source == text


def test_a_pipe_inside_is_no_expression() -> None:
    for text in ("count(a == 1 | aggregate(count))", "(sum(a) | aggregate(count))"):
        assert read_piped(text) is None
        with pytest.raises(ExpressionError, match=r"a pipe into aggregate.* ends a whole expression"):
            parse(text)


def test_in_a_spec() -> None:
    text = "count(a == 1) | aggregate(group_by(cdn), sum)"
    spec = spec_of({"name": "n", "expression": text}, "here")
    assert spec.plan.result.text == "{value: count(a == 1), cdn: latest_event_to_state(cdn)}"
    assert spec.question is not None
    assert spec.question.words == {"agg": "sum(value)", "group_by": ["cdn"]}
    assert type(spec).from_wire(spec.to_wire()) == spec
    assert spec.definition == text
    with pytest.raises(
        SpecError, match=r"expression: line 1, column 27: there is no aggregate sun.*\n.*\n +\^\^\^"
    ):
        spec_of({"name": "n", "expression": "count(a == 1) | aggregate(sun)"}, "here")


def test_the_only_output_of_a_spec() -> None:
    text = "count(a == 1) | aggregate(group_by(cdn, often: @errors > 2), sum)"
    spec = spec_of({"name": "n", "outputs": {"errors": text}}, "here")
    assert spec.plan.result.text == (
        "{errors: count(a == 1), cdn: latest_event_to_state(cdn), often: count(a == 1) > 2}"
    )
    assert spec.question is not None
    assert spec.question.words == {"agg": "sum(errors)", "group_by": ["cdn", "often"]}
    assert spec.question.unless({"agg": "max", "group_by": []}) == {
        "agg": "max",
        "group_by": ["cdn", "often"],
    }
    assert type(spec).from_wire(spec.to_wire()) == spec


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"n": "count(a == 1) | aggregate(sun)"}, r"outputs.n: line 1, column 27: there is no aggregate sun"),
        (
            {"n": "{b: sum(b)} | aggregate(sum(b))"},
            r"outputs.n: line 1, column 1: an output is one expression",
        ),
        ({"key": "sum(b) | aggregate(sum)"}, r"outputs.key: line 1, column 1: an output cannot be named key"),
        (
            {"n": "count(a == 1)", "m": "@n | aggregate(sum)"},
            r"outputs.m: line 1, column 4: .*of several outputs write expression = '\{a: ",
        ),
    ],
)
def test_outputs_that_cannot_be_piped(outputs: dict[str, str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        spec_of({"name": "n", "outputs": outputs}, "here")
