"""What fuzzing has found stays found; and a few hundred odd inputs for each target, the same in each run."""

from __future__ import annotations

from pathlib import Path
from random import Random

import orjson
import pytest

from tests.fuzz.__main__ import CORPUS
from tests.fuzz.targets import TARGETS, feed

FOUND = sorted(CORPUS.glob("*-*"))
#: Targets whose inputs are bytes; those of the others are kept as JSON.
BYTES = ("jsonl", "lines", "csv", "gz", "parquet", "payload")


@pytest.mark.parametrize("path", FOUND, ids=[path.name for path in FOUND])
def test_what_was_found_once(path: Path) -> None:
    name, data = path.name.partition("-")[0], path.read_bytes()
    feed(name, data if name in BYTES else orjson.loads(data))


@pytest.mark.parametrize("name", TARGETS)
def test_odd_inputs_are_read_or_refused(name: str) -> None:
    random = Random(name)
    refused = sum(feed(name, TARGETS[name][0](random)) is not None for _ in range(150))
    # Most are none, and some are.
    assert 0 < refused <= 150
