"""Local evaluation of more events than memory holds: they wait in a file, and go some keys at a time.

What is in memory is the names of the keys and of the values, and about as many events as a part has.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from timeline.engine.admission import Admission, admit, time_before
from timeline.engine.lives import Judged, Lives
from timeline.errors import EventError
from timeline.jobs import cores
from timeline.limits import Limits
from timeline.local.evaluate import compute
from timeline.local.evaluation import Evaluation, Row
from timeline.local.places import no_such_key
from timeline.plan import Plan
from timeline.tables.events import EventColumn, Events
from timeline.values.life_names import LifeKeys, key_named
from timeline.values.vocabulary import I64, Keys, Vocabulary

#: So many events are evaluated together, unless one key has more; fewer are never written to a file.
PART_EVENTS = 1_000_000


class Spill:
    """Events in stream order, added batch by batch, then evaluated: what `evaluate` does at once.

    ``accepted`` and ``refused`` count the events so far. With ``only``, those keys are evaluated, in that
    order; else all, in the order of their names. ``jobs`` is how many cores work on it (all that there are);
    the result does not depend on it. Files lie in the folder for temporary files (TMPDIR) and
    are gone at the end of the ``with`` block.

    >>> from timeline.tables.events import from_rows
    >>> from timeline.plan import make_plan
    >>> with Spill(make_plan('has_existed(state == "play")'), part_events=1) as spill:
    ...     spill.add(from_rows([("b", 1000, {"state": "play"}), ("a", 1500, {"state": "seek"})]))
    ...     spill.add(from_rows([("a", 2000, {"state": "play"})]))
    ...     list(spill.values())
    [Row(key='a', at=2000, value=True), Row(key='b', at=1000, value=True)]
    """

    def __init__(
        self,
        plan: Plan,
        limits: Limits | None = None,
        *,
        only: Sequence[str] | None = None,
        part_events: int = PART_EVENTS,
        jobs: int | None = None,
    ) -> None:
        self.plan = plan
        self.limits = limits or Limits()
        self.accepted = self.refused = 0
        self.only = None if only is None else {name: rank for rank, name in enumerate(dict.fromkeys(only))}
        self.part_events = part_events
        self.jobs = jobs or cores()
        has_lives = self.limits.key_ttl is not None
        # Keys, or their lives.
        self._keys = LifeKeys() if has_lives else Keys()
        self._lives = Lives(self.limits, self._keys) if isinstance(self._keys, LifeKeys) else None
        self._columns = {name: Vocabulary() for name in plan.columns}
        # Of each: its newest and its first event (ms), how many are kept, and what it is part of now.
        self._newest = np.empty(0, np.int64)
        self._begun = np.empty(0, np.int64)
        self._count = np.empty(0, np.int64)
        self._into = np.empty(0, np.int64)
        self._stream_time = -1
        self._earliest: int | None = None
        # Columns: key, time, and a code for each of the plan's.
        self._waiting: list[list[I64]] = []
        self._rows = self._on_disk = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Spill:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def stream_time(self) -> int:
        """The time of the newest event of all (ms); -1: there is none."""
        return self._stream_time

    @property
    def span(self) -> tuple[int, int] | None:
        """The times (ms) of the earliest accepted event and of the newest of all; ``None``: there is none."""
        return None if self._earliest is None else (self._earliest, self._stream_time)

    @property
    def width(self) -> int:
        """Numbers an event: key, time, and a code for each column."""
        return 2 + len(self._columns)

    def add(self, events: Events) -> None:
        """Takes the next batch of the stream.

        Raises:
            EventError: there is no room for the file.
        """
        judged: Admission | Judged
        stream = time_before(events.tick, self._stream_time)
        if self._lives is None:
            key = self._keys.encode(events.keys)[events.key]
            self._grow()
            judged = admit(key, events.tick, self._newest, stream, self.limits)
            key = key[judged.live]
            if self.limits.allowed_lateness is not None:
                np.maximum.at(self._newest, key, events.tick[judged.live])
        else:
            judged = self._lives.judge(
                events.keys, events.key, events.tick, stream, self._begun, self._newest
            )
            self._grow()
            self._into[judged.joined] = judged.into
            self._newest[judged.joined] = -1
            self._begun[judged.touched], self._newest[judged.touched] = judged.begun, judged.newest
            key = judged.life
        self.accepted += len(judged.live)
        self.refused += len(judged.refused)
        self._stream_time = max(self._stream_time, int(events.tick.max(initial=-1)))
        kept = judged.live
        if len(kept):
            earliest = int(events.tick[kept].min())
            self._earliest = earliest if self._earliest is None else min(self._earliest, earliest)
        if self.only is not None:
            wanted = np.fromiter((name in self.only for name in events.keys), bool, len(events.keys))
            wanted = wanted[events.key[kept]]
            kept, key = kept[wanted], key[wanted]
        columns = [key, events.tick[kept]]
        for name, vocabulary in self._columns.items():
            column = events.column(name)
            columns.append(vocabulary.encode(column.values)[column.codes[kept]])
        self._count += np.bincount(columns[0], minlength=len(self._count))
        self._waiting.append(columns)
        self._rows += len(kept)
        if self._rows - self._on_disk > self.part_events:
            self._write_waiting()

    def _grow(self) -> None:
        """Makes room for new keys."""
        first, more = len(self._newest), len(self._keys) - len(self._newest)
        if more:
            self._newest = np.concatenate((self._newest, np.full(more, -1)))
            self._begun = np.concatenate((self._begun, np.full(more, -1)))
            self._count = np.concatenate((self._count, np.zeros(more, np.int64)))
            self._into = np.concatenate((self._into, np.arange(first, first + more)))

    def _has(self, name: str) -> bool:
        """Whether a key has accepted events."""
        if isinstance(self._keys, LifeKeys):
            return bool(self._keys.lives_of(name))
        code = self._keys.find(name)
        return code is not None and bool(self._count[code])

    def values(
        self,
        at: Sequence[int] | None = None,
        *,
        every: int | None = None,
        start: int | None = None,
        end: int | None = None,
        tell: Callable[[int], None] = lambda _: None,
    ) -> Iterator[Row]:
        """Rows as `timeline.local.evaluate.Evaluation.values` gives them; before those of each part ``tell``
        is told how many they are at most.

        Raises:
            NotFoundError: a key of ``only`` without events.
            LimitError: a tick that does not exist.
        """
        for part in self.evaluations():
            only = self.only
            there = set(part.names())
            tell(part.most_rows(len(at or ()), every, start, end))
            keys = None if only is None else [name for name in only if name in there]
            yield from part.values(at, every=every, start=start, end=end, keys=keys)

    def evaluations(self) -> Iterator[Evaluation]:
        """The evaluation of each part of the keys.

        Raises:
            NotFoundError: a key of ``only`` without events.
            EventError: there is no room for the files.
        """
        names = self._keys.names
        for name in self.only or ():
            if not self._has(name):
                plain = {key_named(n) for n in names} if self._lives else names
                raise no_such_key(name, sorted(plain))
        into = self._resolved()
        if not self._on_disk:
            columns = list(map(np.concatenate, zip(*self._waiting, strict=True)))
            self._waiting.clear()
            if columns:
                columns[0] = into[columns[0]]
            yield self._evaluate(self._events(columns or [np.empty(0, np.int64)] * self.width))
            return
        self._write_waiting()
        # A key goes to the part that its first event falls into, with all its lives.
        by_name: dict[str, list[int]] = {}
        for code in np.flatnonzero(self._count).tolist():
            by_name.setdefault(key_named(names[code]) if self._lives else names[code], []).append(code)
        part, until = np.zeros(len(names), np.int64), 0
        for name in sorted(by_name) if self.only is None else self.only:
            part[by_name[name]] = until // self.part_events
            until += int(self._count[by_name[name]].sum())
        used, part = np.unique(part, return_inverse=True)
        self._distribute(part, into, len(used))
        for number in range(len(used)):
            path = self._path(number)
            rows = np.fromfile(path, np.int64).reshape(-1, self.width)
            path.unlink()
            events = self._events([rows[:, i].copy() for i in range(self.width)])
            del rows
            yield self._evaluate(events.compact())

    def _events(self, columns: Sequence[I64]) -> Events:
        key, tick, *codes = columns
        coded = zip(self._columns.items(), codes, strict=True)
        named = {name: EventColumn(column, vocabulary.values) for (name, vocabulary), column in coded}
        return Events(self._keys.names, key, tick, named, key.reshape(-1, 1)[:, :0])

    def _evaluate(self, events: Events) -> Evaluation:
        keys = type(self._keys)(events.keys)
        counts = self.accepted, self.refused, self._stream_time
        return compute(self.plan, events, keys, self.limits, *counts, self.jobs)

    def _resolved(self) -> I64:
        """By code what each life is part of in the end."""
        into = self._into
        while not np.array_equal(further := into[into], into):
            into = further
        return into

    # --- files -----------------------------------------------------------------------------------

    def _path(self, part: int | None = None) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="timeline-")
        return Path(self._folder.name) / ("events" if part is None else f"part-{part}")

    def _append(self, path: Path, rows: I64) -> None:
        try:
            with path.open("ab") as file:
                file.write(np.ascontiguousarray(rows).data)  # tofile says nothing of a full disk
        except OSError as error:
            raise EventError(
                f"{self._rows} events are more than memory may hold, and {path} cannot take them: "
                f"{error.strerror or error}; set TMPDIR to a folder with room"
            ) from None

    def _write_waiting(self) -> None:
        for columns in self._waiting:
            self._append(self._path(), np.column_stack(columns))
        self._waiting.clear()
        self._on_disk = self._rows

    def _distribute(self, part: I64, into: I64, parts: int) -> None:
        """Divides the file: what is in each part's is in stream order."""
        with self._path().open("rb") as file:
            while len(flat := np.fromfile(file, np.int64, self.part_events // 4 * self.width + self.width)):
                rows = flat.reshape(-1, self.width)
                of = part[rows[:, 0]]
                rows[:, 0] = into[rows[:, 0]]
                # numpy sorts numbers of 16 bits by radix.
                rows = rows[np.argsort(of.astype(np.uint16) if parts < 65536 else of, kind="stable")]
                ends = np.concatenate(([0], np.cumsum(np.bincount(of, minlength=parts))))
                for number in range(parts):
                    if ends[number] < ends[number + 1]:
                        self._append(self._path(number), rows[ends[number] : ends[number + 1]])
        self._path().unlink()
