"""The house stands: no import runs in a circle, folders are small, files have one subject.

Who may import whom is in `[tool.importlinter]` of pyproject.toml.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.floors import PACKAGES, circles, imports
from tests.support.places import ROOT

MOST_LINES = 350
MOST_FILES = 8


def sources(*packages: str) -> list[Path]:
    """The Python files of packages, but not what has been built or installed."""
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def test_no_import_runs_in_a_circle() -> None:
    graph = imports()
    found = [" -> ".join(c) for c in circles(graph.modules, graph.find_modules_directly_imported_by)]
    assert not found, "\n".join(found)


def test_the_top_folder_holds_few_files() -> None:
    names = sorted(path.name for path in (ROOT / "timeline").glob("*.py"))
    assert len(names) <= MOST_FILES, names


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_a_file_has_one_subject(package: str) -> None:
    """Whoever writes a long file says so in its first five lines: `Long because ...`."""
    long = []
    for path in sources(package):
        lines = path.read_text("utf-8").splitlines()
        if len(lines) > MOST_LINES and not any("Long because" in line for line in lines[:5]):
            long.append(f"{path.relative_to(ROOT)}: {len(lines)} lines")
    assert not long, "\n".join(long)


def test_places_are_packed_in_one_file() -> None:
    """Key and tick in one int64: `timeline.tables.packing` alone knows how."""
    # In brackets, so that a search for the same does not find this line.
    raw = re.compile(r"(<<|>>)[ ]TICK_BITS|[&] MAX_TICK")
    texts = {path: path.read_text("utf-8") for path in sources(*PACKAGES, "benchmarks", "tests")}
    files = sorted(str(path.relative_to(ROOT)) for path, text in texts.items() if raw.search(text))
    assert len(files) <= 1, files
