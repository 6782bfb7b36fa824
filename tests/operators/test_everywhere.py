"""Every operator by its worked example: locally and through the graph it is what its definition says.

`tests/system/test_everywhere.py` does the same through workflows.
"""

from __future__ import annotations

import pytest

from tests.support.everywhere import Rows, Way, check, examples
from timeline.plan import Plan


@pytest.mark.parametrize(("plan", "rows"), examples())
async def test_every_operator_is_its_definition(plan: Plan, rows: Rows, way: Way) -> None:
    check(plan, rows, await way(plan, rows))
