"""Printing: canonical texts from a fixture, and any tree back from its text."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.support.cases import pairs
from tests.support.strategies import expressions, predicates
from tests.support.trees import HasExisted
from timeline.language.expression import MAX_DEPTH, Column, Constant, Expression
from timeline.language.parser import parse
from timeline.language.printer import WIDTH, print_expression, print_pretty
from timeline.values.scalars import Scalar


@pytest.mark.parametrize(("text", "canonical"), pairs("roundtrip"))
def test_canonical(text: str, canonical: str) -> None:
    assert print_expression(parse(text)) == canonical
    assert print_expression(parse(canonical)) == canonical
    assert parse(canonical) == parse(text)


@given(expressions())
def test_text_gives_the_tree_back(e: Expression) -> None:
    text = print_expression(e)
    assert "\n" not in text
    assert parse(text) == e
    assert parse(print_pretty(e)) == e


@given(predicates())
def test_predicates_give_the_tree_back(p: Expression) -> None:
    assert parse(print_expression(HasExisted(p))) == HasExisted(p)


@pytest.mark.parametrize(
    ("before", "core", "after"),
    [
        ("has_existed(", "a == 1", ")"),
        ("!", "has_existed(a == 1)", ""),
        ("(", "has_existed(a == 1)", " == true)"),
    ],
)
def test_the_deepest_trees(before: str, core: str, after: str) -> None:
    e = parse(before * (MAX_DEPTH - 3) + core + after * (MAX_DEPTH - 3))
    assert parse(print_expression(e)) == e
    assert parse(print_pretty(e)) == e


def test_the_deepest_tree_of_both_operators() -> None:
    one = "has_existed(a == 1)"
    half = MAX_DEPTH // 2 - 2
    e = parse(f"({one} && ({one} || " * half + one + "))" * half)
    assert parse(print_expression(e)) == e
    assert parse(print_pretty(e)) == e


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('a"b\\\n', '"a\\"b\\\\\\n"'),
        (True, "true"),
        (None, "null"),
        (1, "1"),
        (0.1, "0.1"),
        (10**21 - 1, "999999999999999999999"),
        (10**21, "1e+21"),
        (10**23, "100000000000000000000000"),
        (-1e23, "-1e+23"),
    ],
)
def test_constants(value: Scalar, text: str) -> None:
    assert print_expression(Constant(value)) == text


def test_parts_print_too() -> None:
    assert print_expression(Column("lat long")) == 'col("lat long")'


def test_pretty_leaves_short_texts_alone() -> None:
    text = 'has_existed(state == "play") && has_existed(state == "seek")'
    assert print_pretty(parse(text)) == text


def test_pretty_breaks_from_width_on() -> None:
    fits = f'has_existed(state == "{"x" * (WIDTH - 24)}")'
    assert len(fits) == WIDTH
    assert "\n" not in print_pretty(parse(fits))
    assert "\n" in print_pretty(parse(fits.replace('")', 'x")')))


def test_pretty_nests() -> None:
    text = """\
has_existed_within(
  !(latest_event_to_state(player) == "buffer"
    && latest_event_to_state(network) == "wifi"
    || has_existed(error != null))
  && (has_existed(state == "play") || has_existed(state == "pause"))
  && duration_in_cur_state(latest_event_to_state(quality)) > 10, 5m)"""
    assert print_pretty(parse(text)) == text
