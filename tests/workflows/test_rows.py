"""Rows on their way to a file: pieces of bounded size, each of one set of columns."""

from __future__ import annotations

from workflows.rows import _parts


def test_rows_of_one_piece_have_the_same_columns() -> None:
    rows = [{"at": 0}, {"at": 1}, {"at": 2, "excluded_keys": 1}, {"at": 3}]
    assert list(_parts(rows, 1_000)) == [rows[:2], rows[2:3], rows[3:]]
    assert list(_parts(rows, 10)) == [[row] for row in rows]
