"""A CSV row counts or not by itself: whatever stands beside it, and wherever a piece of the file begins."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.reading import Row, read, text_file
from timeline.reading import records

Read = tuple[list[Row], list[tuple[int, str]]]
HEADER = b"k,t,x\n"
#: What rows of these are made of; each has been read in two ways somewhere.
TOKENS = [b"a", b"1", b",", b",1,2", b"a,1,1\n", b"\n", b"\r", b"\r\n", b'"', b'""', b'"x"', b" ", b"\0"]
TOKENS += [b"\xef\xbb\xbf", b"\xc3\xa9", b"\xff"]


def in_pieces(path: Path, block_bytes: int, leaf_bytes: int) -> Read:
    """The file with blocks and pieces of other sizes than usual."""
    with patch.object(records, "LEAF_BYTES", leaf_bytes):
        return read(path, block_bytes=block_bytes)


@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
@pytest.mark.parametrize("before", [b"", b"b,5,5\n", b"\n", b'b,5,"5"\n', b"b,5,\r5\n"])
@pytest.mark.parametrize("after", [b"", b"c,6,6\n", b"\r\r\n", b'c,6,"\r"\n'])
@pytest.mark.parametrize(
    ("row", "keys"),
    [(b"\ra,1,1\n", []), (b"a,1,1\r\r\n", ["a"]), (b"\xef\xbb\xbfa,1,1\n", ["\ufeffa"]), (b"a,1,1\n", ["a"])],
)
def test_a_row_is_judged_by_itself(
    tmp_path: Path, row: bytes, keys: list[str], before: bytes, after: bytes, block_bytes: int
) -> None:
    rows, rejected = read(text_file(tmp_path, HEADER + before + row + after), block_bytes=block_bytes)
    line = 2 + before.count(b"\n")
    assert [key for at, key, *_ in rows if at == line] == keys
    assert (line in [at for at, _ in rejected]) == (not keys)


@settings(max_examples=200)
@given(st.lists(st.sampled_from(TOKENS), max_size=25))
@example([b"\n", b"\r", b"a,1,1\n"])
@example([b"a,1,1\n", b"\xef\xbb\xbf", b"a,1,1\n"])
@example([b'"', b"a", b'"', b"\r", b'"', b"\n", b'"', b",1,2"])
@example([b'"', b"\n", b'"', b"\r", b"1", b"\n", b"a", b'"', b"a", b"\n"])
def test_pieces_of_any_size_give_the_same(tokens: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = text_file(Path(folder), HEADER + b"".join(tokens))
        want = in_pieces(path, 1 << 20, 1 << 18)
        assert [in_pieces(path, *sizes) for sizes in ((1 << 20, 0), (1, 1 << 18), (7, 0))] == [want] * 3


def test_a_long_field_that_is_not_read_does_not_matter(tmp_path: Path) -> None:
    row = f"a,1,{'y' * 200_000}\n"
    path = text_file(tmp_path, "k,t,y\n" + row + "b,2,\xff\n" + "\rc,3,\n" + row)
    assert [at for at, *_ in read(path)[0]] == [2, 3, 5]


@pytest.mark.parametrize("block_bytes", [1, 1 << 18, 1 << 24])
def test_a_quote_open_for_too_long_is_stray_whatever_a_block_holds(tmp_path: Path, block_bytes: int) -> None:
    filler = "z" * 1000 + "\n"
    path = text_file(tmp_path, 'k,t,y\na,1,"\n' + filler * 1_100 + '"\nb,2,\n')
    rows, rejected = read(path, block_bytes=block_bytes)
    assert [at for at, *_ in rows] == [1_104]
    assert len(rejected) == 1_102
