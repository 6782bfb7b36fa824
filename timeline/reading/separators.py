"""What separates the columns of a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection

from timeline.reading.files import PACKED

#: In this order they are tried.
SEPARATORS = (",", ";", "\t", "|")
TAB = "\t"


def separator_of(path: str, head: str, needed: Collection[str]) -> str:
    """That by which the header has all columns that are needed, given the beginning of a file; of a ``.tsv``
    the tab. If there is none, that by which the header has most columns.

    >>> separator_of("a.csv", "card;at;sum\\n7;1,5;2\\n", ["card", "at"])
    ';'
    """
    name = path.lower()
    for suffix in PACKED:
        name = name.removesuffix(suffix)
    if name.endswith(".tsv"):
        return TAB
    columns = {separator: _columns(head, separator) for separator in SEPARATORS}
    fitting = (separator for separator, names in columns.items() if set(needed) <= set(names))
    return next(fitting, max(SEPARATORS, key=lambda separator: len(columns[separator])))


def _columns(head: str, separator: str) -> list[str]:
    try:
        return next((row for row in csv.reader(io.StringIO(head), delimiter=separator) if row), [])
    except csv.Error:
        return []  # the reader says what is wrong with it
