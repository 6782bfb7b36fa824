"""Public names come and go on purpose only: `tests/fixtures/exports.txt` lists them."""

from __future__ import annotations

import importlib

import pytest

from tests.support.exports import FILE, exports, text


def test_the_public_names_are_those_that_are_written_down() -> None:
    assert text() == FILE.read_text("utf-8"), "meant so? python -m tests.support.exports"


@pytest.mark.parametrize("name", exports())
def test_every_public_name_is_there(name: str) -> None:
    module = importlib.import_module(name)
    for public in exports()[name]:
        getattr(module, public)
