"""Every operator by its worked example, through workflows: what its definition says.

`way` is the fixture of `tests/conftest.py`, which is workflows here; local evaluation and the graph are in
`tests/operators/test_everywhere.py`.
"""

from __future__ import annotations

import pytest

from tests.support.everywhere import Rows, Way, check, examples
from timeline.plan import Plan


@pytest.mark.parametrize(("plan", "rows"), examples())
async def test_every_operator_is_its_definition(plan: Plan, rows: Rows, way: Way) -> None:
    check(plan, rows, await way(plan, rows))
