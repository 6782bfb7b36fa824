"""What a sink is given to write, who writes it, and what is said of it.

A further kind of sink is a `Writer` in one file; `workflows.writing.activity` opens it by its kind.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any, NotRequired, Protocol, TypeAlias, TypedDict

from timeline.language.output_names import name_of_time

Row: TypeAlias = dict[str, Any]


class Batch(TypedDict):
    """Rows on their way: ``number`` counts batches and ``first`` rows, both from 0; ``offset`` is where the
    file ends before it (bytes), ``name`` the file or producer, of this life of the sink alone; ``types``
    are those of the columns, as `timeline.sinks.emission.Emission.types` says them.

    In rows that a workflow has, and carries, the time is ``at``; a writer gets them as `given_out`."""

    kind: str
    place: str
    name: str
    number: int
    first: int
    offset: int
    types: dict[str, str]
    rows: list[Row]


class Written(TypedDict):
    """What became of a batch: where its file ends now (bytes; 0 if there is none), whether a repeat of it
    would change nothing (``None``: not known, or the reader's business), and how many of its first ``rows``
    are written, if not all."""

    offset: int
    exactly_once: bool | None
    rows: NotRequired[int]


class Writer(Protocol):
    """Writes batches of one sink on one stream; all methods block.

    A batch may be written again: by another writer, and by one that was thought dead. A writer sees to it
    that this changes nothing, as far as the place lets it.
    """

    def write(self, batch: Batch) -> Written:
        """Writes a batch, or the first of its rows, and says whether each of them is there once.

        Raises:
            ServiceError: it is not written, and must be tried again.
        """
        ...

    def close(self) -> None: ...


#: Opens a writer at a place (a folder, a topic), for what has this name there: a file, a producer.
Open: TypeAlias = Callable[[str, str], Writer]


def given_out(row: Row, time: str) -> Row:
    """A row as readers have it: with its time under that name.

    >>> given_out({"id": "i", "at": 5, "x": 1}, "time")
    {'id': 'i', 'time': 5, 'x': 1}
    """
    return {time if name == "at" else name: value for name, value in row.items()}


def write_batch(open_writer: Open, batch: Batch) -> Written:
    """Opens a writer where a batch is to go, writes it, and closes. Blocks.

    Raises:
        ServiceError: it is not written, and must be tried again.
    """
    time = name_of_time(batch["types"])
    batch = {**batch, "rows": [given_out(row, time) for row in batch["rows"]]}
    with closing(open_writer(batch["place"], batch["name"])) as writer:
        return writer.write(batch)
