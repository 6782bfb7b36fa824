"""Several hundred random schedules; `python -m tests.support.schedules` tries as many as one likes."""

from __future__ import annotations

import random

from tests.support.histories import restless
from tests.support.schedules import run


def test_random_schedules() -> None:
    run(300, random.randrange(1, 1 << 31))


def test_random_schedules_while_rows_move() -> None:
    with restless():
        run(100, random.randrange(1, 1 << 31))
