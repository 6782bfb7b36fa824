"""``distinct(col)``: how many different values the events have carried.

>>> from timeline.language.calls import distinct
>>> print(distinct("ip") > 20)
distinct(ip) > 20
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from timeline.language.signatures import COLUMN, Signature
from timeline.operators.base import OfColumn
from timeline.tables.events import Events
from timeline.tables.history import History
from timeline.tables.packing import Bools, begin_of, first_of_runs, key_of, start_of
from timeline.tables.spans import spans
from timeline.tables.splicing import coalesce, merge
from timeline.tables.table import Table, Window, empty, lookup
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar, canonical
from timeline.values.vocabulary import I64, NULL_CODE, Vocabulary, distinct

#: Up to so many different values of a key are counted exactly.
EXACT = 2_048
_DIGITS = 16
_ALL = 1 << 64

Hashes: TypeAlias = NDArray[np.uint64]


def hash_of(value: Scalar) -> int:
    """64 bits that stand for a value.

    >>> hash_of(1) == hash_of(1.0), hash_of(1) == hash_of("1"), hash_of(1) == hash_of(True)
    (True, False, False)
    """
    return int.from_bytes(blake2b(orjson.dumps(canonical(value)), digest_size=8).digest(), "big")


def estimate(least: int) -> int:
    """About how many values there are if the least `EXACT` and one of their hashes reach up to ``least``.

    >>> estimate(_ALL // 100 - 1) == 100 * EXACT
    True
    """
    return max(EXACT + 1, EXACT * _ALL // (least + 1))


@dataclass(frozen=True)
class Distinct(OfColumn):
    """At t: how many different values of ``column`` the events at or before t carry; 1 and 1.0 are one.

    It is exact up to 2 048. Above, it is an estimate from the 2 049 least hashes of the values, with a
    standard error of 2.2 %. The same events give the same estimate, in whatever order and batches they come.
    Raw rows have the hashes of the values that were first seen at their tick, 16 hex digits each.

    >>> from timeline.local.example import run
    >>> run('distinct(state)', {1: "play", 2: "seek", 4: "play", 6: 7}, late={3: 7})
    1 s 1
    2 s 2
    3 s 3
    """

    signature = Signature("distinct", (COLUMN,), Kind.NUMERIC, rank=18)

    needs_whole = True

    @property
    def kind(self) -> Kind:
        return Kind.NUMERIC

    def empty_raw(self) -> Table:
        return empty(Kind.STATE, Vocabulary())

    def read(self, events: Events, at: I64, raw: Table) -> Table:
        column = events.column(self.column)
        rows = np.flatnonzero(column.codes != NULL_CODE)
        used, place = np.unique(column.codes[rows], return_inverse=True)
        values = column.as_scalars()
        hashes = np.array([hash_of(values[code]) for code in used.tolist()], np.uint64)
        return _rows(*_firsts(at[rows], hashes[place]), raw)

    def absorb(self, raw: Table, new: Table) -> Table:
        if not len(raw):
            return new
        new = _that_matter(raw, new)
        row, held = lookup(raw, new.at)
        known = held & (raw.at[row] == new.at)
        if known.any():
            assert raw.vocabulary is not None
            texts = raw.vocabulary.values
            pairs = zip(raw.value[row[known]].tolist(), new.value[known].tolist(), strict=True)
            value = new.value.copy()
            value[known] = raw.vocabulary.encode([f"{texts[old]}{texts[more]}" for old, more in pairs])
            keep = np.ones(len(raw), bool)
            keep[row[known]] = False
            raw, new = raw.take(keep), replace(new, value=value)
        return merge(raw, new)

    def thin(self, raw: Table) -> Table:
        at, hashes = _elements(raw)
        first_at, firsts = _firsts(at, hashes)
        return raw if len(first_at) == len(at) else _rows(first_at, firsts, raw)

    def forget(self, raw: History, horizon: I64) -> None:
        """Values that are not among the least at the horizon, though they were before, are not needed."""
        keys = np.flatnonzero(raw.rows_of(np.arange(len(horizon))) > 2 * EXACT)
        if not len(keys):
            return
        seen = raw.view(start_of(keys))
        at, hashes = _elements(seen)
        kept = _among_least(at, hashes, horizon[key_of(at)])
        raw.replace(seen, _rows(at[kept], hashes[kept], seen))

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        at, hashes = _elements(inputs[0])
        places = np.unique(np.concatenate((window.at, at)))
        start = window.at[np.minimum(np.searchsorted(window.key, key_of(places)), len(window) - 1)]
        places = places[(key_of(start) == key_of(places)) & (places >= start)]
        begin = np.searchsorted(at, begin_of(places))
        number = np.searchsorted(at, places, side="right") - begin
        for first in np.unique(begin[number > EXACT]).tolist():
            rows = np.flatnonzero((begin == first) & (number > EXACT))
            number[rows] = _estimates(hashes[first:], number[rows])
        return coalesce(Table(Kind.NUMERIC, places, number * 1_000, np.zeros(len(places), np.int64)))


def _elements(raw: Table) -> tuple[I64, Hashes]:
    """The places and hashes of all values of raw rows, sorted by place."""
    assert raw.vocabulary is not None
    used, place = distinct(raw.value, len(raw.vocabulary))
    texts = [str(raw.vocabulary.values[code]) for code in used.tolist()]
    lengths = np.fromiter(map(len, texts), np.int64, len(texts)) // _DIGITS
    hashes = np.frombuffer(bytes.fromhex("".join(texts)), ">u8").astype(np.uint64)
    count = lengths[place]
    return np.repeat(raw.at, count), hashes[spans((np.cumsum(lengths) - lengths)[place], count)]


def _rows(at: I64, hashes: Hashes, like: Table) -> Table:
    """Raw rows of values, which are sorted by place and hash."""
    assert like.vocabulary is not None
    first = first_of_runs(at)
    count = np.diff(np.append(first, len(at)))
    # Most rows are of one value, and many of those of the same one.
    one = count == 1
    used, place = np.unique(hashes[first[one]], return_inverse=True)
    codes = np.empty(len(first), np.int64)
    codes[one] = like.vocabulary.encode(_texts(used, np.ones(len(used), np.int64)))[place]
    several = hashes[spans(first[~one], count[~one])]
    codes[~one] = like.vocabulary.encode(_texts(several, count[~one]))
    return Table(Kind.STATE, at[first], codes, None, like.vocabulary)


def _texts(hashes: Hashes, count: I64) -> list[str]:
    """The texts of rows of so many hashes each."""
    text, ends = hashes.astype(">u8").tobytes().hex(), (np.cumsum(count) * _DIGITS).tolist()
    return [text[begin:end] for begin, end in pairwise([0, *ends])]


def _that_matter(raw: Table, new: Table) -> Table:
    """New raw rows without values of full keys that come behind all others, and are not among the least."""
    full = raw.at[raw.first_rows()][np.diff(np.append(raw.first_rows(), len(raw))) > EXACT]
    if not len(full):
        return new
    at, hashes = _elements(new)
    kept = np.ones(len(at), bool)
    for key in key_of(full).tolist():
        mine = raw.take(slice(*np.searchsorted(raw.at, [start_of(key), start_of(key + 1)]).tolist()))
        bound = np.partition(_elements(mine)[1], EXACT)[EXACT]
        kept &= (key_of(at) != key) | (at < mine.at[-1]) | (hashes < bound)
    return new if kept.all() else _rows(at[kept], hashes[kept], new)


def _firsts(at: I64, hashes: Hashes) -> tuple[I64, Hashes]:
    """Each value of a key once, where it is first, sorted by place and hash."""
    order = np.lexsort((at, hashes, key_of(at)))
    at, hashes = at[order], hashes[order]
    again = np.zeros(len(at), bool)
    again[1:] = (hashes[1:] == hashes[:-1]) & (key_of(at[1:]) == key_of(at[:-1]))
    at, hashes = at[~again], hashes[~again]
    order = np.lexsort((hashes, at))
    return at[order], hashes[order]


def _among_least(at: I64, hashes: Hashes, horizon: I64) -> Bools:
    """Which values are among the least of their key when they come, or at the horizon if that is later."""
    kept = np.ones(len(at), bool)
    first = first_of_runs(key_of(at))
    for begin, end in pairwise([*first.tolist(), len(at)]):
        if end - begin <= EXACT + 1:
            continue
        mine, when = hashes[begin:end].tolist(), np.maximum(at[begin:end], horizon[begin:end])
        least = sorted(mine[: int(np.searchsorted(when, when[0], side="right"))])[: EXACT + 1]
        known = set(least)
        done = int(np.searchsorted(when, when[0], side="right"))
        kept[begin : begin + done] = [value in known for value in mine[:done]]
        for place in range(done, end - begin):
            kept[begin + place] = len(least) <= EXACT or mine[place] < least[-1]
            if kept[begin + place]:
                insort(least, mine[place])
                del least[EXACT + 1 :]
    return kept


def _estimates(hashes: Hashes, number: I64) -> list[int]:
    """The estimate of each of some growing numbers of values, which are the first of ``hashes``."""
    least = np.sort(hashes[: int(number[0])])[: EXACT + 1].tolist()
    done, found = int(number[0]), []
    for many in number.tolist():
        for value in hashes[done:many].tolist():
            if value < least[-1]:
                insort(least, value)
                del least[EXACT + 1 :]
        done = many
        found.append(estimate(least[-1]))
    return found
