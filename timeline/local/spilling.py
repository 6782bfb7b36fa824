"""Local evaluation of more events than memory holds: they wait in a file, and go some keys at a time.

What is in memory is the names of the keys and of the values, and about as many events as a part has.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from timeline.engine.admission import admit
from timeline.errors import EventError
from timeline.jobs import cores
from timeline.limits import Limits
from timeline.local.evaluate import Evaluation, Row, compute, no_such_key
from timeline.plan import Plan
from timeline.tables.events import EventColumn, Events
from timeline.tables.packing import Bools
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
        self._keys = Keys()
        self._columns = {name: Vocabulary() for name in plan.columns}
        # Of each key: its newest event (ms), how many are kept, and where in the file it last began anew.
        self._newest = np.empty(0, np.int64)
        self._count = np.empty(0, np.int64)
        self._begin = np.empty(0, np.int64)
        self._stream_newest = -1
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
    def _judges(self) -> bool:
        """Whether an event may be refused or end a key's life, so that keys' newest events matter."""
        return self.limits.allowed_lateness is not None or self.limits.key_ttl is not None

    @property
    def width(self) -> int:
        """Numbers an event: key, time, and a code for each column."""
        return 2 + len(self._columns)

    def add(self, events: Events) -> None:
        """Takes the next batch of the stream.

        Raises:
            EventError: there is no room for the file.
        """
        recode = self._keys.encode(events.keys)
        more = len(self._keys) - len(self._newest)
        if more:
            self._newest = np.concatenate((self._newest, np.full(more, -1)))
            self._count = np.concatenate((self._count, np.zeros(more, np.int64)))
            self._begin = np.concatenate((self._begin, np.zeros(more, np.int64)))
        key = recode[events.key]
        judged = admit(key, events.tick, self._newest, self._stream_newest, self.limits)
        self.accepted += judged.accepted
        self.refused += len(judged.refused)
        if self._judges:
            np.maximum.at(self._newest, key, events.tick)
        self._stream_newest = max(self._stream_newest, int(events.tick.max(initial=-1)))
        self._begin[judged.reborn] = self._rows
        self._count[judged.reborn] = 0
        kept = judged.live
        if self.only is not None:
            wanted = np.fromiter((name in self.only for name in events.keys), bool, len(events.keys))
            kept = kept[wanted[events.key[kept]]]
        columns = [key, events.tick]
        for name, vocabulary in self._columns.items():
            column = events.column(name)
            columns.append(vocabulary.encode(column.values)[column.codes])
        if len(kept) < len(events):
            columns = [column[kept] for column in columns]
        self._count += np.bincount(columns[0], minlength=len(self._count))
        self._waiting.append(columns)
        self._rows += len(kept)
        if self._rows - self._on_disk > self.part_events:
            self._write_waiting()

    def values(
        self,
        at: Sequence[int] | None = None,
        *,
        every: int | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> Iterator[Row]:
        """Rows as `timeline.local.evaluate.Evaluation.values` gives them.

        Raises:
            NotFoundError: a key of ``only`` without events.
            LimitError: a tick that does not exist.
        """
        for part in self.evaluations():
            only = self.only
            keys = None if only is None else [name for name in only if part.keys.find(name) is not None]
            yield from part.values(at, every=every, start=start, end=end, keys=keys)

    def evaluations(self) -> Iterator[Evaluation]:
        """The evaluation of each part of the keys.

        Raises:
            NotFoundError: a key of ``only`` without events.
            EventError: there is no room for the files.
        """
        names = self._keys.names
        for name in self.only or ():
            code = self._keys.find(name)
            if code is None or not self._count[code]:
                raise no_such_key(name, sorted(names))
        if not self._on_disk:
            columns = list(map(np.concatenate, zip(*self._waiting, strict=True)))
            self._waiting.clear()
            if self._begin.any():
                live = self._is_live(columns[0], 0)
                columns = [column[live] for column in columns]
            yield self._evaluate(self._events(columns or [np.empty(0, np.int64)] * self.width))
            return
        self._write_waiting()
        ranked = self._keys.encode(sorted(names) if self.only is None else list(self.only))
        ranked = ranked[self._count[ranked] > 0]
        until = np.cumsum(self._count[ranked])
        part = np.zeros(len(names), np.int64)
        # A key goes to the part that its first event falls into.
        part[ranked] = (until - self._count[ranked]) // self.part_events
        used, part = np.unique(part, return_inverse=True)
        self._distribute(part, len(used))
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
        return compute(
            self.plan, events, self.limits, self.accepted, self.refused, self._stream_newest, self.jobs
        )

    def _is_live(self, key: I64, first: int) -> Bools:
        """Whether an event is not one of a key that began anew behind it; ``first`` is the first's place."""
        live: Bools = np.arange(first, first + len(key)) >= self._begin[key]
        return live

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

    def _distribute(self, part: I64, parts: int) -> None:
        """Divides the file: what is in each part's is in stream order."""
        with self._path().open("rb") as file:
            first = 0
            while len(flat := np.fromfile(file, np.int64, self.part_events // 4 * self.width + self.width)):
                rows = flat.reshape(-1, self.width)
                live = rows[self._is_live(rows[:, 0], first)]
                first += len(rows)
                of = part[live[:, 0]]
                # numpy sorts numbers of 16 bits by radix.
                live = live[np.argsort(of.astype(np.uint16) if parts < 65536 else of, kind="stable")]
                ends = np.concatenate(([0], np.cumsum(np.bincount(of, minlength=parts))))
                for number in range(parts):
                    if ends[number] < ends[number + 1]:
                        self._append(self._path(number), live[ends[number] : ends[number + 1]])
        self._path().unlink()
