"""An operator is one file: put beside the others, everything knows it."""

from __future__ import annotations

from pathlib import Path

from tests.support.planted import run_with_planted


def test_a_new_file_is_a_new_operator(tmp_path: Path) -> None:
    code = """
import timeline as tl
from timeline.aggregate.where import parse_where
from timeline.values.kinds import Kind

plays = tl.count(tl.col("state") == "play")
built = tl.is_even(plays)
tree = tl.parse('is_even(count(state == "play"))')
assert built.expression == tree and "is_even" in dir(__import__("timeline.language.calls").language.calls)
print(tl.print_expression(tree))
rows = [("k", 1000, {"state": "seek"}), ("k", 2000, {"state": "play"}), ("k", 3000, {"state": "play"})]
result = tl.evaluate(built, tl.from_rows(rows))
print([row.value for row in result.values(at=[1000, 2500, 3000])])
print(parse_where("is_even(n)", {"n": Kind.NUMERIC}).name)
from tests.support.operator_reference import page, stub
print("`is_even(x): Bool`" in page(), "def is_even(x: Build)" in stub())
try:
    tl.parse("is_even(state)")
except tl.KindError as error:
    print(error)
"""
    assert run_with_planted(tmp_path, code).splitlines() == [
        'is_even(count(state == "play"))',
        "[True, False, True]",
        "is_even",
        "True True",
        "line 1, column 9: is_even(x) cannot take state, a column of an event; "
        "expected a Numeric, a State; did you mean latest_event_to_state(state)?",
    ]
