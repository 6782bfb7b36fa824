"""Which file is which: a copy, a packed one and one that has grown are what was fed before."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from feeder.files import identity
from feeder.files.identity import contents, describe_file, describe_files
from tests.support.reading import parquet
from timeline.errors import EventError
from timeline.reading import count_lines
from workflows.protocol import Segment

NOW = 1_800_000_000_000
LINES = [f'{{"k": "s", "time": {t}, "a": "é{t}"}}\n' for t in range(40)]


@pytest.fixture(params=[7, 1 << 20])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "CHUNK_BYTES", request.param)


def made(folder: Path, name: str, lines: int, header: str = "") -> Path:
    path = folder / name
    text = (header + "".join(LINES[:lines])).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


def fed(*paths: Path, log: Sequence[Segment] = ()) -> list[Segment]:
    return [*log, *describe_files(paths, log, NOW)[0]]


def known(path: Path, log: Sequence[Segment]) -> tuple[int, str, bool] | None:
    """How many lines are known, of which file, and whether that is all."""
    [segment], found = describe_files([path], log, NOW)
    assert segment["after"] == (found[0].lines if found else 0)
    return (found[0].lines, Path(found[0].like).name, found[0].whole) if found else None


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("name", ["b.jsonl", "b.jsonl.gz", "b.ndjson"])
@pytest.mark.parametrize("first", ["a.jsonl", "a.jsonl.gz"])
def test_what_a_file_begins_with_was_fed_under_another_name(tmp_path: Path, name: str, first: str) -> None:
    log = fed(made(tmp_path, first, 20))
    assert known(made(tmp_path, name, 20), log) == (20, first, True)
    assert known(made(tmp_path, name, 30), log) == (20, first, False)
    assert known(made(tmp_path, name, 15), log) == (15, first, True)
    other = tmp_path / name
    text = "".join([*LINES[:10], LINES[0], *LINES[11:30]]).encode()
    other.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    assert known(other, log) is None


def test_it_is_known_by_content_when_the_other_is_gone(tmp_path: Path) -> None:
    first = made(tmp_path, "a.jsonl", 20)
    log = fed(first)
    first.unlink()
    assert known(made(tmp_path, "b.jsonl", 30), log) == (20, "a.jsonl", False)
    # Of fewer lines than were fed of it nobody noted what they were.
    assert known(made(tmp_path, "b.jsonl", 15), log) is None


def test_files_of_one_call_are_compared_too(tmp_path: Path) -> None:
    lines = {"a": 20, "b": 30, "c": 30, "d": 5}
    paths = [made(tmp_path, f"{name}.jsonl", count) for name, count in lines.items()]
    described, found = describe_files(paths, [], NOW)
    assert [segment["after"] for segment in described] == [0, 20, 30, 5]
    assert [(Path(one.path).name, Path(one.like).name) for one in found] == [
        ("b.jsonl", "a.jsonl"),
        ("c.jsonl", "b.jsonl"),
        ("d.jsonl", "a.jsonl"),
    ]
    why = f"{paths[0]}, which was fed before; --again feeds it all the same"
    assert str(found[0]) == f"{paths[1]} begins with 20 lines of {why}"
    assert str(found[2]) == f"{paths[3]} holds nothing but what {why}".replace(",", " begins with,")
    assert describe_files(paths, [], NOW, again=True)[1] == []


def test_of_the_file_itself_nothing_is_looked_for(tmp_path: Path) -> None:
    path = made(tmp_path, "a.jsonl", 20)
    log = fed(path)
    assert known(path, log) is None
    assert known(made(tmp_path, "a.jsonl", 30), log) is None
    # What it has had under this name is less than under another.
    log = fed(made(tmp_path, "b.jsonl", 25), log=log)
    assert known(made(tmp_path, "a.jsonl", 30), log) == (25, "b.jsonl", False)


def test_old_logs_know_a_path_and_how_it_begins(tmp_path: Path) -> None:
    path = made(tmp_path, "a.jsonl", 20)
    now = describe_file(path)
    old: list[Segment] = [{"path": now["path"], "fingerprint": now["fingerprint"], "after": 0, "last": 20}]
    assert known(path, old) is None
    assert known(made(tmp_path, "b.jsonl", 30), old) == (20, "a.jsonl", False)
    assert known(made(tmp_path, "b.jsonl.gz", 10), old) == (10, "a.jsonl", True)
    path.unlink()
    assert known(made(tmp_path, "b.jsonl", 30), old) is None


def test_the_header_of_a_csv_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("k,t\n")
    (tmp_path / "b.csv").write_text("k,t\na,1\n")
    (tmp_path / "c.csv").write_text("k,t\na,1\na,2\n")
    log = fed(tmp_path / "a.csv")
    assert known(tmp_path / "b.csv", log) is None
    assert known(tmp_path / "c.csv", fed(tmp_path / "b.csv", log=log)) == (2, "b.csv", False)


def test_a_copy_of_a_parquet_file(tmp_path: Path) -> None:
    path = parquet(tmp_path, k=["a"] * 9, t=range(9))
    log = fed(path)
    shutil.copy(path, tmp_path / "b.parquet")
    assert known(tmp_path / "b.parquet", log) == (9, "e.parquet", True)
    assert known(parquet(tmp_path, k=["b"] * 9, t=range(9)), log[:0]) is None


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("text", ["", "\n", "a", "a\n", "a\nb", "a\nb\n", "a\n\n", "a\n  ", "\n\nlonger\nx"])
def test_lines_are_counted_as_readers_count_them(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    lines, digests = contents(path, range(1, 5))
    assert lines == count_lines(path)
    assert set(digests) == {0, *range(1, lines + 1)} - ({0} if lines else set())
    for number in range(1, lines + 1):
        assert contents(path, stop=number)[1][number] == digests[number]


def test_a_last_line_that_gets_its_end_later_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(LINES[:3]).rstrip("\n"))
    log = fed(path)
    assert known(made(tmp_path, "b.jsonl", 5), log) == (3, "a.jsonl", False)


def test_a_name_that_could_not_be_remembered_is_refused(tmp_path: Path) -> None:
    """As Linux takes it: the registry carries names as JSON."""
    path = tmp_path / os.fsdecode(b"\xff.jsonl")
    try:
        path.write_text(LINES[0])
    except OSError:
        pytest.skip("this file system takes no such name")
    with pytest.raises(EventError, match=r"\?\.jsonl: the name of a file is remembered"):
        describe_file(path)
