"""Rows that move all the time, where otherwise few tests have enough of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from timeline.tables import history


@contextmanager
def restless() -> Iterator[None]:
    """Keys get no more room than they need, and columns are tidied whenever a key has moved."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {"SPARE": 1_000_000, "GROWTH": 1, "LIVED_IN": 1}.items():
            patched.setattr(history, name, value)
        yield
