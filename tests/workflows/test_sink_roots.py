"""Sinks write below the folders that their worker allows, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from tests.support.cli import Cli
from tests.support.sinks import batch, written
from timeline.sinks.batches import Batch
from workflows.writing.activity import SinkActivity
from workflows.writing.roots import outside

SPEC = """name = "t"
expression = "count(x == 1)"
[sink]
folder = {folder!r}
"""


async def test_below_a_root(tmp_path: Path) -> None:
    activity = SinkActivity([tmp_path / "other", tmp_path / "rows"])
    await ActivityEnvironment().run(activity.write, batch(str(tmp_path / "rows" / "deep"), 0, 3))
    assert len(written(tmp_path / "rows" / "deep")) == 3


@pytest.mark.parametrize("folder", ["", "elsewhere", "rows/../elsewhere", "rowsandmore", "rows/link"])
async def test_elsewhere(tmp_path: Path, folder: str) -> None:
    linked(tmp_path)
    before = below(tmp_path)
    activity = SinkActivity([tmp_path / "rows"])
    with pytest.raises(
        ApplicationError, match="where sinks of this worker may write; choose another folder, or"
    ):
        await ActivityEnvironment().run(activity.write, batch(str(tmp_path / folder), 0, 3))
    assert below(tmp_path) == before


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil", "a/b", ".hidden", "..", "", "a\0b", "x" * 300, 7, None]
)
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
async def test_no_name_leads_elsewhere(tmp_path: Path, name: Any, kind: str) -> None:
    """Whoever may write to the namespace may have an activity carried out without any sink."""
    (tmp_path / "rows").mkdir()
    before = below(tmp_path)
    activity = SinkActivity([tmp_path / "rows"])
    wanted = Batch(**{**batch(str(tmp_path / "rows"), 0, 3, kind=kind), "name": name})
    with pytest.raises(ApplicationError, match=r"no sink writes to|this is no batch"):
        await ActivityEnvironment().run(activity.write, wanted)
    assert below(tmp_path) == before


async def test_what_is_no_batch_is_refused_in_words(tmp_path: Path) -> None:
    activity = SinkActivity([tmp_path])
    good = batch(str(tmp_path), 0, 1, kind="parquet")
    bad: list[Any] = [{}, [], 7, good | {"rows": []}, good | {"rows": [1]}, good | {"number": -1}]
    bad += [good | {"offset": "x"}, good | {"types": None}, good | {"rows": [{"id": "i", "x": "no number"}]}]
    for wanted in bad:
        with pytest.raises(ApplicationError, match=r"this is no batch|no sink writes|cannot be written"):
            await ActivityEnvironment().run(activity.write, wanted)
    assert below(tmp_path) == set()


def below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def linked(folder: Path) -> None:
    """``rows`` with a link that leads out of it."""
    (folder / "rows").mkdir()
    (folder / "elsewhere").mkdir()
    (folder / "rows" / "link").symlink_to(folder / "elsewhere")


def test_roots_may_be_links(tmp_path: Path) -> None:
    linked(tmp_path)
    assert outside(str(tmp_path / "elsewhere" / "a"), [tmp_path / "rows" / "link"]) is None
    assert outside(str(tmp_path / "rows" / "link" / "a"), [tmp_path / "elsewhere"]) is None


def test_told_when_it_is_registered(local_cli: Cli) -> None:
    roots = [local_cli.folder / "a", local_cli.folder / "b"]
    local_cli.environment["TIMELINE_SINK_ROOT"] = os.pathsep.join(map(str, roots))
    (local_cli.folder / "t.toml").write_text(SPEC.format(folder="c"))
    said = local_cli.bad("register", "t.toml")
    assert f"t: the sink's folder {local_cli.folder / 'c'} is not below {roots[0]} or {roots[1]}" in said
    assert "nothing was registered" in said
