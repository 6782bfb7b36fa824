"""Questions over intervals: how long, how often, and what on the average, from the functions themselves.

Time is cut wherever an interval ends or a function begins a new segment. Of such a *stretch* of a key every
output has one value, or is one line, so that sums over its ticks are exact however many it has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from timeline.aggregate.cells import busy, codes_of, combined, forgotten_before
from timeline.aggregate.different import least, told
from timeline.aggregate.functions import KEY
from timeline.aggregate.instants import CHUNK, COUNTED, MAX_VALUES, QUARANTINED, TOO_OLD, UNKNOWN
from timeline.aggregate.measures import Measure, State, measures_of
from timeline.aggregate.numbers import Numbers, extremes, numbers, sums
from timeline.aggregate.parts import Partial, cells_of, merge_cells
from timeline.aggregate.request import Request, with_key
from timeline.aggregate.steps import Steps, steps_of
from timeline.aggregate.where import names_in, parse_where, table_of
from timeline.errors import LimitError
from timeline.tables.columns import Columns
from timeline.tables.packing import (
    Bools,
    first_of_runs,
    follows_in_key,
    key_of,
    pack,
    packed,
    start_of,
    tick_of,
)
from timeline.tables.spans import spans
from timeline.tables.table import Table, Window, lookup, values_at
from timeline.values.kinds import Kind
from timeline.values.vocabulary import I64, Vocabulary

#: The name of the table that says where the condition holds; no output has it.
_WHERE = ""
_ROOM = 1 << 62


def over_intervals(columns: Columns, request: Request, in_time: Callable[[], bool]) -> Partial:
    """What `timeline.aggregate.stream.partial` answers to a question over intervals.

    Raises:
        BusyError: there was no time to go on.
        LimitError: too many stretches to look at, or too many cells.
    """
    made = Partial(columns.position, len(columns.latest), forgotten_before=forgotten_before(columns))
    edges = request.edges()
    lived = _lived(columns, edges)
    tables = _tables(columns, request, lived)
    count = len(lived.code) * len(edges) + sum(map(len, tables.values()))
    if count > MAX_VALUES:
        raise LimitError(
            f"{len(lived.code)} keys in {len(edges) - 1} intervals are {count} stretches of time to look at, "
            f"and a stream takes {MAX_VALUES}; ask for fewer intervals or outputs"
        )
    changing = {a.output for a in request.aggregates if a.function == "change" and a.output is not None}
    steps = {name: steps_of(name, columns) for name in changing}
    late: list[I64] = [np.empty(0, np.int64)]
    for part in lived.parts(max(1, CHUNK // len(edges))):
        if not in_time():
            raise busy(len(columns.codes))
        stretches = _stretches(part, edges, tables)
        stretches = _known(columns, stretches, tables, steps, made.excluded, request.exact)
        if len(stretches):
            _fold(made, stretches, tables, steps, request)
            late.append(np.unique(stretches.code[columns.counted_from[stretches.code] > 0]))
    if len(counted := np.unique(np.concatenate(late))):
        made.counted, made.counted_from = len(counted), int(columns.counted_from[counted].max())
    return made


@dataclass(frozen=True, slots=True)
class _Lived:
    """Of keys (or lives) that are there in the time asked for, from where to where (ms)."""

    code: I64
    begin: I64
    end: I64

    def parts(self, size: int) -> Iterator[_Lived]:
        for first in range(0, len(self.code), size):
            rows = slice(first, first + size)
            yield _Lived(self.code[rows], self.begin[rows], self.end[rows])


def _lived(columns: Columns, edges: I64) -> _Lived:
    code = columns.codes
    begin = np.maximum(columns.origin[code], edges[0])
    end = np.full(len(code), edges[-1])
    if columns.limits.key_ttl is not None:
        end = np.minimum(end, columns.newest[code] + columns.limits.key_ttl)
    if columns.quarantined:
        # Where one begins that never had a function is not known: it is left out of all.
        apart = np.isin(code, list(columns.quarantined)) & (begin > edges[-1])
        begin, end = np.where(apart, edges[0], begin), np.where(apart, edges[-1], end)
    there = begin < end
    return _Lived(code[there], begin[there], end[there])


def _tables(columns: Columns, request: Request, lived: _Lived) -> dict[str, Table]:
    """Those that the question is about, with one for the key and one for the condition if need be."""
    outputs = {*request.group_by, *(a.output for a in request.aggregates if a.output is not None)}
    condition = None
    if request.where is not None:
        kinds = {name: table.kind for name, table in columns.tables.items()}
        condition = parse_where(request.where, with_key(kinds, True))
    every = dict(columns.tables)
    looked_at = outputs | (set() if condition is None else names_in(condition))
    if KEY in looked_at and KEY not in every:
        names = Vocabulary()
        codes = names.encode([columns.names[code] for code in columns.codes.tolist()])
        every[KEY] = Table(Kind.STATE, start_of(columns.codes), codes, None, names)
    tables = {name: every[name] for name in every if name in looked_at}
    if not tables and every:
        # What a function has from when on says from when a key is known.
        name = next(iter(every))
        tables[name] = every[name]
    if condition is not None:
        window = Window(_held_from(lived, list(tables.values())))
        tables[_WHERE] = table_of(condition, window, tables)
    return tables


def _held_from(lived: _Lived, tables: Sequence[Table]) -> I64:
    """The place of each key from which on all tables say something, of those of which they do: operators
    are handed windows that their inputs cover."""
    at = packed(lived.code, lived.begin)
    there = np.ones(len(at), bool)
    for table in tables:
        first = np.searchsorted(table.at, start_of(lived.code))
        ends = np.searchsorted(table.at, start_of(lived.code + 1))
        there &= first < ends
        if len(table):
            at = np.maximum(at, table.at[np.minimum(first, len(table) - 1)])
    return at[there]


@dataclass(frozen=True, slots=True)
class _Stretches:
    """Of keys, by ``code``, from ``at`` (packed) on for ``ticks`` ms, in the interval ``index``."""

    code: I64
    index: I64
    at: I64
    ticks: I64

    def __len__(self) -> int:
        return len(self.at)

    def take(self, rows: I64 | Bools) -> _Stretches:
        return _Stretches(self.code[rows], self.index[rows], self.at[rows], self.ticks[rows])


def _stretches(lived: _Lived, edges: I64, tables: dict[str, Table]) -> _Stretches:
    begin, end = pack(lived.code, lived.begin), packed(lived.code, lived.end - 1) + 1
    first = np.searchsorted(edges, lived.begin, side="right")
    count = np.searchsorted(edges, lived.end, side="left") - first
    places = [begin, packed(np.repeat(lived.code, count), edges[spans(first, count)])]
    for table in tables.values():
        low = np.searchsorted(table.at, begin, side="right")
        places.append(table.at[spans(low, np.searchsorted(table.at, end, side="left") - low)])
    at = np.unique(np.concatenate(places))
    code = key_of(at)
    last = end[np.searchsorted(lived.code, code)]
    until = last.copy()
    follows = follows_in_key(at)
    until[:-1][follows] = at[1:][follows]
    index = np.searchsorted(edges, tick_of(at), side="right") - 1
    return _Stretches(code, index, at, until - at)


def _known(
    columns: Columns,
    stretches: _Stretches,
    tables: dict[str, Table],
    steps: dict[str, Steps],
    excluded: Counter[tuple[int, str]],
    exact: bool,
) -> _Stretches:
    """Without keys in intervals that are not known from their beginning on; these are counted."""
    apart = np.isin(stretches.code, list(columns.quarantined))
    late = (columns.counted_from[stretches.code] > 0) & exact
    missing = np.zeros(len(stretches), bool)
    for name, table in tables.items():
        if name != _WHERE:
            row, held = lookup(table, stretches.at)
            missing |= ~held
            if name in steps and len(table):
                missing |= steps[name].unknown[row] & (table.at[row] == stretches.at)
    unknown = missing & (tick_of(stretches.at) < columns.known_from[stretches.code])
    reasons = ((QUARANTINED, apart), (COUNTED, late), (UNKNOWN, unknown), (TOO_OLD, missing))
    pair = stretches.code * (int(stretches.index.max(initial=0)) + 1) + stretches.index
    left = np.ones(len(stretches), bool)
    for reason, mask in reasons:
        if not mask.any():
            continue
        gone = np.isin(pair, np.unique(pair[mask & left])) & left
        _, one_of_each = np.unique(pair[gone], return_index=True)
        for index, many in Counter(stretches.index[gone][one_of_each].tolist()).items():
            excluded[index, reason] += many
        left &= ~gone
    return stretches if left.all() else stretches.take(left)


@dataclass(frozen=True, slots=True)
class _Lines:
    """An output on stretches: its numbers where each begins and at its last tick, which of them begin where a
    segment of its does, and by how much it changes, if that is asked for."""

    begin: Numbers
    last: Numbers
    new: Bools
    changes: Numbers | None = None


def _fold(
    made: Partial,
    stretches: _Stretches,
    tables: dict[str, Table],
    steps: dict[str, Steps],
    request: Request,
) -> None:
    """Takes stretches into the cells of a partial."""
    if _WHERE in tables:
        where = tables[_WHERE]
        row, held = lookup(where, stretches.at)
        stretches = stretches.take(held & where.value[row] if len(where) else held)
    if not len(stretches):
        return
    at = start_of(np.arange(len(stretches)))
    rows = {name: lookup(table, stretches.at)[0] for name, table in tables.items() if name != _WHERE}
    groups = {n: _one_each(tables[n], rows[n], stretches.at, at) for n in request.group_by}
    cell, _ = combined([stretches.index, *map(codes_of, groups.values())])
    order = np.argsort(cell, kind="stable")
    starts = first_of_runs(cell[order])
    heads = order[starts]
    measures = measures_of(request.aggregates)
    lines: dict[str | None, _Lines] = {
        name: _lines(tables[name], rows[name], stretches, order, steps.get(name))
        for name in {m.output for m in measures if m.output is not None and m.kind != "distinct"}
    }
    ordered = stretches.take(order)
    states = [
        least(told(_one_each(tables[m.output], rows[m.output], stretches.at, at)).take(order), starts)
        if m.kind == "distinct" and m.output is not None
        else _states(m, lines.get(m.output), ordered, starts)
        for m in measures
    ]
    values = [table.python_values(heads, table.at[heads]) for table in groups.values()]
    cells = cells_of(stretches.index[heads].tolist(), values)
    more = dict(zip(cells, zip(*states, strict=True), strict=True))
    merge_cells(made.cells, more, measures, request.most)


def _one_each(table: Table, row: I64, places: I64, at: I64) -> Table:
    value = values_at(table, row, places)
    slope = None if table.slope is None else np.zeros(value.shape, value.dtype)
    return Table(table.kind, at, value, slope, table.vocabulary, table.unit)


def _lines(table: Table, row: I64, stretches: _Stretches, order: I64, steps: Steps | None) -> _Lines:
    at = start_of(np.arange(len(stretches)))
    begin = numbers(_one_each(table, row, stretches.at, at)).take(order)
    last = numbers(_one_each(table, row, stretches.at + stretches.ticks - 1, at)).take(order)
    new = table.at[row] == stretches.at
    changes = None if steps is None else steps.changes(row, new, stretches.ticks).take(order)
    return _Lines(begin, last, new[order], changes)


def _states(measure: Measure, lines: _Lines | None, stretches: _Stretches, starts: I64) -> list[State]:
    """What a measure knows of each run of stretches."""
    if lines is None:
        if measure.kind == "keys":
            return _distinct(stretches.code, starts)
        return _sum(stretches.ticks, starts)
    known, value = lines.begin.known, lines.begin.value
    match measure.kind:
        case "held":
            return _sum(stretches.ticks * value, starts)
        case "defined":
            return _sum(stretches.ticks * known, starts)
        case "rises":
            return _sum((lines.new & (value != 0)).astype(np.int64), starts)
        case "change":
            assert lines.changes is not None
            return sums(lines.changes, starts)
        case "area":
            return sums(_areas(lines, stretches.ticks), starts)
    largest = measure.kind == "max"
    ends = [extremes(one, starts, largest=largest) for one in (lines.begin, lines.last)]
    return [measure.merged(a, b) for a, b in zip(*ends, strict=True)]


def _areas(lines: _Lines, ticks: I64) -> Numbers:
    """The sum of the numbers of all ticks of each stretch; of a line that is half of first and last together,
    times the ticks, in half of the unit."""
    begin, last = lines.begin, lines.last
    first, final = np.where(begin.known, begin.value, 0), np.where(begin.known, last.value, 0)
    most = max((abs(int(v)) for v in (first.min(), first.max(), final.min(), final.max())), default=0)
    if 2 * most * int(ticks.max()) >= _ROOM:
        first, final, ticks = first.astype(object), final.astype(object), ticks.astype(object)
    return Numbers((first + final) * ticks, begin.known, begin.unit / 2)


def _sum(values: I64, starts: I64) -> list[int]:
    total: list[int] = np.add.reduceat(values, starts).tolist()
    return total


def _distinct(code: I64, starts: I64) -> list[int]:
    """How many keys there are in each run; a key is in one part only, and its stretches are in order."""
    sizes = np.diff(np.append(starts, len(code)))
    run = np.repeat(np.arange(len(starts)), sizes)
    order = np.lexsort((code, run))
    new = np.ones(len(code), bool)
    new[1:] = (code[order][1:] != code[order][:-1]) | (run[order][1:] != run[order][:-1])
    return _sum(new.astype(np.int64), starts)
