"""Looking at events for mistakes of an expression: as long as something seems wrong, and no longer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from timeline.language.expression import Expression
from timeline.language.mistakes import Mistake, Seen, mistakes_in
from timeline.reading.heads import EARLIEST, Head, head_of, unit_mistake
from timeline.reading.model import Block, TimeUnit
from timeline.reading.opening import read_events
from timeline.tables.events import Events
from timeline.values.scalars import type_name

_NAMES = {type(value): type_name(value) for value in ("", True, 1, 1.5)}
#: Where something seems wrong, so much of files is looked at, in blocks of that size.
BLOCKS, BLOCK_BYTES = 16, 1 << 20
#: The heads of so many files say which columns there are.
_HEADS = 10


class Looking:
    """An expression, how its events are read, and what was seen of them so far.

    ``columns`` are those that it reads, ``time`` is that of the time, whose numbers are in ``unit``;
    ``option`` says how one says a unit, and times that say no zone are of ``zone``.

    What an expression says of events can only seem wrong until an event comes that makes it good, so that
    nothing more is looked at once nothing does.
    """

    def __init__(
        self,
        expression: Expression,
        columns: Sequence[str],
        time: str = "time",
        unit: TimeUnit = "ms",
        option: str = 'unit = "{}"',
        zone: str | None = None,
    ) -> None:
        self.expression = expression
        self.columns = columns
        self.time = time
        self.unit: TimeUnit = unit
        self.zone = zone
        self._option = option
        self._types: dict[str, set[str]] = {}
        self._events = 0
        self._newest = -1
        self._wrong = True

    @property
    def suspicious(self) -> bool:
        """Whether anything still seems wrong with the expression."""
        return self._wrong

    @property
    def early(self) -> bool:
        """Whether no event was of our days: they may be times since the start of something, or of another
        unit."""
        return self._newest < EARLIEST * 1_000

    def add(self, events: Events) -> None:
        """Looks at the next events, if need be; of each column at what is distinct among them."""
        if not len(events):
            return
        self._newest = max(self._newest, int(events.tick.max()))
        if not self._wrong:
            return
        self._events += len(events)
        for name in self.columns:
            classes = set(map(type, events.column(name).values[1:]))
            self._types.setdefault(name, set()).update(_NAMES[c] for c in classes if c in _NAMES)
        self._wrong = bool(mistakes_in(self.expression, self.seen()))

    def mistakes(self, head: Callable[[], Head]) -> list[Mistake]:
        """What is wrong, as far as that was seen; ``head`` is asked for only if something is."""
        if not self.early and not self._wrong:
            return []
        found = mistakes_in(self.expression, self.seen())
        if not found and not self.early:
            return []
        known = head()
        if found:
            found = mistakes_in(self.expression, self.seen(known.names))
        unit = unit_mistake(known.times, self.unit, self.time, self._option) if self.early else None
        return found if unit is None else [unit, *found]

    def seen(self, names: Sequence[str] = ()) -> Seen:
        """What the events look like so far that were looked at; ``names`` are those of all columns."""
        return Seen(self._events, {n: frozenset(t) for n, t in self._types.items()}, names)


def heads_of(paths: Sequence[str], time: str) -> Head:
    """What the heads of some files say together."""
    return sum((head_of(path, time) for path in paths[:_HEADS]), Head())


def look_at_files(looking: Looking, paths: Sequence[str], key: str) -> list[Mistake]:
    """The mistakes that the beginnings of files show. Without files, what is one whatever there is.

    Raises:
        EventError: a file cannot be read.
    """
    for block in _beginnings(looking, paths, key):
        looking.add(block.events)
    return looking.mistakes(lambda: heads_of(paths, looking.time))


def _beginnings(looking: Looking, paths: Sequence[str], key: str) -> Iterator[Block]:
    each = max(1, BLOCKS // max(1, len(paths)))
    for path in paths[:BLOCKS]:
        blocks = read_events(
            path,
            key=key,
            time=looking.time,
            columns=looking.columns,
            unit=looking.unit,
            zone=looking.zone,
            block_bytes=BLOCK_BYTES,
        )
        for _, block in zip(range(each), blocks, strict=False):
            yield block
            if not looking.suspicious:
                return
