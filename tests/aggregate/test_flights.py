"""The questions of ``examples/flights.py``: plain SQL in DuckDB says the same."""

from __future__ import annotations

import inspect
import math
import runpy
from typing import Any

import pytest

from tests.support.places import ROOT

EXAMPLE = runpy.run_path(str(ROOT / "examples" / "flights.py"))
TABLE = EXAMPLE["flights"](4_000, 40)
RESULT = EXAMPLE["evaluate"](TABLE)


@pytest.mark.parametrize("question", EXAMPLE["QUESTIONS"])
def test_sql_says_the_same(question: str) -> None:
    answer, query = EXAMPLE["QUESTIONS"][question]
    mine: list[tuple[Any, ...]] = sorted(answer(RESULT))
    theirs = sorted(EXAMPLE["by_sql"](TABLE, query))
    assert [row[:-1] for row in mine] == [row[:-1] for row in theirs]
    for (*_, mine_is), (*_, theirs_is) in zip(mine, theirs, strict=True):
        assert mine_is == theirs_is or math.isclose(mine_is, theirs_is, rel_tol=1e-9)


def test_the_answers_are_not_empty_and_shorter_to_ask_for() -> None:
    rows = [len(answer(RESULT)) for answer, _ in EXAMPLE["QUESTIONS"].values()]
    # 40 aircraft at some of 10 airports in 3 months; some at two places at once; 90 days.
    assert 900 < rows[0] <= 1_200
    assert 0 < rows[1] < 40
    assert rows[2] == 90
    for answer, query in EXAMPLE["QUESTIONS"].values():
        asked = [line for line in inspect.getsource(answer).splitlines()[1:] if '"""' not in line]
        assert len(asked) < len(query.strip().splitlines())
