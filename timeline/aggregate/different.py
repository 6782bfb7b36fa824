"""How many different values there are: all of them while they are few, else estimated from the least hashes.

As of ``distinct(col)``: what is kept depends on which values there are, and on nothing else, so that parts of
an answer may be put together in any way.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from timeline.aggregate.cells import codes_of
from timeline.operators.distinct import EXACT, Hashes, estimate, hash_of
from timeline.tables.table import Table
from timeline.values.vocabulary import I64

#: How far the estimate may be from the number, as a part of it, in 95 of 100 answers.
ACCURACY = 0.044
#: Bytes of a hash.
WIDTH = 8

#: The least hashes of a cell's values, sorted, 8 bytes each: one more than are exact, at the most.
Least: TypeAlias = bytes


@dataclass(frozen=True, slots=True)
class Told:
    """A column of values: ``hashes`` of those that there are, and of each row which it has; -1: null."""

    place: I64
    hashes: Hashes

    def take(self, rows: I64) -> Told:
        return Told(self.place[rows], self.hashes)


def told(table: Table) -> Told:
    """What tells the values of a table (no Ratio), as users see them, from each other."""
    _, first, place = np.unique(codes_of(table), return_index=True, return_inverse=True)
    values = table.python_values(first, table.at[first])
    hashes = np.array([0 if value is None else hash_of(value) for value in values], np.uint64)
    null = np.array([value is None for value in values], bool)
    return Told(np.where(null[place], -1, place), hashes)


def least(column: Told, starts: I64) -> list[Least]:
    """Of each run of rows the least hashes."""
    run = np.zeros(len(column.place), np.int64)
    run[starts[1:]] = 1
    run = np.cumsum(run)
    known = column.place >= 0
    # Sorted by hash, so that a run's values are in the order of their hashes.
    order = np.argsort(column.hashes, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    pairs = np.unique(run[known] * len(order) + rank[column.place[known]])
    data = column.hashes[order][pairs % max(len(order), 1)].astype(">u8").tobytes()
    ends = np.searchsorted(pairs, np.arange(len(starts) + 1) * len(order)).tolist()
    most = EXACT + 1
    return [data[WIDTH * begin : WIDTH * min(end, begin + most)] for begin, end in pairwise(ends)]


def united(a: Least, b: Least) -> Least:
    """Those of two parts of a cell together."""
    every = np.union1d(np.frombuffer(a, ">u8"), np.frombuffer(b, ">u8"))
    return every[: EXACT + 1].astype(">u8").tobytes()


def number(of: Least) -> int:
    """How many different values there are, or about how many."""
    many = len(of) // WIDTH
    return many if many <= EXACT else estimate(int.from_bytes(of[-WIDTH:], "big"))


def is_estimate(of: Least) -> bool:
    """Whether the number is one."""
    return len(of) > EXACT * WIDTH


def to_wire(of: Least) -> str:
    """The hashes as JSON."""
    return b64encode(of).decode()


def from_wire(wire: str) -> Least:
    """The inverse of `to_wire`."""
    return b64decode(wire)
