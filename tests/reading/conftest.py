"""Test files are short, and are to go through pyarrow all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from timeline.reading import jsonl


@pytest.fixture(autouse=True, scope="package")
def nothing_is_short() -> Iterator[None]:
    """No piece is so short that pyarrow is not asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonl, "SHORT_BYTES", 0)
        yield
