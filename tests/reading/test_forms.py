"""Forms of files: packed, and with columns that something else than a comma separates."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from feeder.files.identity import describe_file
from tests.support.reading import read
from timeline.errors import EventError
from timeline.reading import count_lines
from timeline.reading.heads import head_of

ROWS = 'k,t,x\na,1,"p, q"\nb,2,7\na,3,"line\nbreak"\na,4,"say ""x"""\n'
WANTED = [("a", 1, "p, q"), ("b", 2, 7), ("a", 3, "line\nbreak"), ("a", 4, 'say "x"')]


def written(folder: Path, name: str, text: str, pack: Callable[[bytes], bytes] = bytes) -> Path:
    path = folder / name
    path.write_bytes(pack(text.encode()))
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("block", [1, 1 << 20])
def test_columns_are_separated_by_what_the_header_shows(tmp_path: Path, separator: str, block: int) -> None:
    head, *rows = ROWS.split("\n", 1)
    text = head.replace(",", separator) + "\n" + rows[0].replace("p, q", "P").replace(",", separator)
    path = written(tmp_path, "a.csv", text.replace("P", "p, q"))
    rows_read, rejected = read(path, block_bytes=block)
    assert [(key, tick, columns["x"]) for _, key, tick, columns in rows_read] == WANTED
    assert rejected == []
    assert head_of(str(path), "t").names == ("k", "t", "x")


def test_a_stray_quote_beside_a_separator_is_told_from_others(tmp_path: Path) -> None:
    """With ``;`` between columns, a quote behind a comma opens nothing."""
    path = written(tmp_path, "a.csv", 'k;t;x\na;1;p,"q\nb;2;7\n"a";3;8\n')
    rows, rejected = read(path)
    assert [(key, tick, columns["x"]) for _, key, tick, columns in rows] == [
        ("a", 1, 'p,"q'),
        ("b", 2, 7),
        ("a", 3, 8),
    ]
    assert rejected == []


def test_a_tsv_has_tabs_whatever_else(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", "k\tt\tx,y\na\t1\t2,5\n")
    rows, _ = read(path, columns=["x,y"])
    assert [row[3]["x,y"] for row in rows] == ["2,5"]
    with pytest.raises(EventError, match=r"no column 'k' in .*b.tsv; its columns are k,t,x"):
        read(written(tmp_path, "b.tsv", ROWS))


def test_without_the_columns_the_error_names_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(EventError, match=r"no column 'k' in .*a.csv; its columns are card, at, sum;"):
        read(written(tmp_path, "a.csv", "card;at;sum\n1;2;3,5\n"))


PACKS: dict[str, Callable[[bytes], bytes]] = {
    "csv.gz": gzip.compress,
    "csv.zst": zstandard.compress,
    "CSV.ZST": lambda data: b"".join(map(zstandard.compress, data.splitlines(keepends=True))),
}


@pytest.mark.parametrize("name", PACKS)
def test_packed_files_hold_what_is_in_them(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, f"a.{name}", ROWS, PACKS[name])
    rows, rejected = read(path, block_bytes=7)
    assert [(key, tick, columns["x"]) for _, key, tick, columns in rows] == WANTED
    assert (rejected, count_lines(path)) == ([], 6)
    plain = describe_file(written(tmp_path, "plain.csv", ROWS))
    packed = describe_file(path)
    assert (packed["last"], packed["head"]) == (plain["last"], plain["head"])
    assert packed["content"] == plain["content"]


@pytest.mark.parametrize("name", ["csv.gz", "csv.zst"])
@pytest.mark.parametrize(
    "damage", [lambda data: data[:-3], lambda data: data + b"junk", lambda data: b"junk" * 9]
)
def test_a_packed_file_that_is_not_whole_is_an_error(
    tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"a.{name}"
    path.write_bytes(damage(PACKS[name](ROWS.encode())))
    with pytest.raises(EventError, match=r"cannot read .*; is the file whole\?"):
        read(path)
