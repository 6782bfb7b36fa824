"""What is made is for its user alone, whatever the umask permits."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sinks import batch
from timeline.sinks.batches import write_batch
from workflows.child import Child
from workflows.stores.directory import DirectoryDriver
from workflows.writing.files import JsonLines, Parquet


@pytest.fixture
def open_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that all may use, while the umask forbids nothing."""
    before = os.umask(0)
    (tmp_path / "open").mkdir()
    yield tmp_path / "open"
    os.umask(before)


def modes(folder: Path) -> set[tuple[bool, str]]:
    """Of all below the folder whether it is one itself, and its mode."""
    return {(path.is_dir(), f"{path.stat().st_mode & 0o777:o}") for path in folder.rglob("*")}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


PRIVATE = {(True, "700"), (False, "600")}


@pytest.mark.parametrize("writer", [JsonLines, Parquet])
def test_files_of_sinks(open_folder: Path, writer: type[JsonLines] | type[Parquet]) -> None:
    write_batch(writer, batch(str(open_folder / "rows" / "here"), 0, 3))
    assert modes(open_folder) == PRIVATE
    assert open_folder.stat().st_mode & 0o777 == 0o777


async def test_states_of_a_store(open_folder: Path) -> None:
    driver = DirectoryDriver(open_folder / "deep" / "store", "ns")
    driver.make()
    await driver.put(driver.place("id", "0-1", "a" * 64), b"state")
    assert modes(open_folder) == PRIVATE


class Writing(Child):
    """Makes a file and a folder, as a server makes a database."""

    async def start(self) -> None:
        assert self.log is not None
        code = "import os; open('made', 'w'); os.mkdir('folder')"
        await self.spawn([sys.executable, "-c", code], folder=self.log.parent.parent)
        assert await self.wait() == 0


async def test_what_a_process_of_ours_makes(open_folder: Path) -> None:
    await Writing("a process", log=open_folder / "logs" / "its.log").start()
    assert modes(open_folder) == PRIVATE
    assert names(open_folder) == {"folder", "its.log", "logs", "made"}
