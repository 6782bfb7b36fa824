"""What nodes tell each other: a new end of some keys' timelines, up to a place in the stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from timeline.tables.events import Position
from timeline.tables.history import History
from timeline.tables.packing import earliest as earliest_of
from timeline.tables.packing import key_of, latest, recode
from timeline.tables.splicing import cut
from timeline.tables.table import Table, Window
from timeline.values.scalars import Scalar
from timeline.values.vocabulary import I64

#: About how many rows one message holds, and how many bytes of names and values.
PART_ROWS = 50_000
PART_BYTES = 256 * 1024
_NOWHERE = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Patch:
    """ "Up to ``position``: in this window, my function is these rows."

    A window that begins at tick 0 says that everything of the key is new. Key codes are the sender's:
    ``names`` are those it has not sent before, the first of them with code ``first_name`` (0 begins
    anew); ``values`` and ``first_value`` (1 begins anew) likewise for its vocabulary. ``heard`` packs
    the keys that events came for with the newest tick of each. ``quarantined``: keys that have no
    function from here on, and why; ``None`` for one that has one again. ``more``: further parts up to
    the same position follow. ``amends``: the position was reached before, what is said of it is new.

    ``origins`` packs the keys whose rows here are the first that there are, but begin later than the key
    does, with its origin: what was before is forgotten. ``counted`` packs those of them for which an
    operator with memory began anew, with the tick at which it did.

    ``time`` (ms) is how far the stream's time is, where neither the position nor ``heard`` says it; else -1.
    """

    position: Position
    first_name: int
    names: list[str]
    first_value: int
    values: list[Scalar]
    heard: I64
    window: Window
    rows: Table
    more: bool = False
    quarantined: dict[str, str | None] = field(default_factory=dict)
    amends: bool = False
    origins: I64 = field(default_factory=lambda: _NOWHERE)
    counted: I64 = field(default_factory=lambda: _NOWHERE)
    time: int = -1


@dataclass(frozen=True, slots=True)
class Pending:
    """A patch in the receiver's codes."""

    position: Position
    more: bool
    heard: I64
    window: Window
    rows: Table
    quarantined: dict[int, str | None] = field(default_factory=dict)
    origins: I64 = field(default_factory=lambda: _NOWHERE)
    counted: I64 = field(default_factory=lambda: _NOWHERE)
    time: int = -1

    def then(self, following: Pending) -> Pending:
        """Both as one."""
        rows = History(self.rows)
        rows.splice(following.window, following.rows)
        return Pending(
            following.position,
            following.more,
            latest((self.heard, following.heard)),
            Window(earliest_of((self.window.at, following.window.at))),
            rows.whole(),
            self.quarantined | following.quarantined,
            *following.late_too(self.origins, self.counted),
            max(self.time, following.time),
        )

    def renumbered(self, new: I64) -> Pending:
        """The same with other key codes: ``new`` has one for each old one that goes on."""
        return Pending(
            self.position,
            self.more,
            recode(self.heard, new),
            Window(recode(self.window.at, new)),
            replace(self.rows, at=recode(self.rows.at, new)),
            {int(new[code]): text for code, text in self.quarantined.items()},
            recode(self.origins, new),
            recode(self.counted, new),
            self.time,
        )

    def late_too(self, origins: I64, counted: I64) -> tuple[I64, I64]:
        """``origins`` and ``counted`` of this patch and what came before it: a key may begin anew here."""
        anew = self.window.key[self.window.tick == 0]
        origins, counted = (a[~np.isin(key_of(a), anew)] for a in (origins, counted))
        return np.concatenate((origins, self.origins)), np.concatenate((counted, self.counted))


def parts(patch: Patch, rows: int = PART_ROWS, size: int = PART_BYTES) -> list[Patch]:
    """The patch in pieces of about that many rows, or bytes of names and values, each.

    A key is never divided; all pieces but the last say that ``more`` follows.
    """
    nothing = patch.window.at[:0]
    pieces, rest = [], patch
    for names, values in _texts(patch, size):
        text = replace(rest, names=names, values=values, more=True, quarantined={})
        text = replace(text, origins=nothing, counted=nothing)
        nowhere = Window(nothing)
        pieces.append(replace(text, heard=nothing, window=nowhere, rows=cut(patch.rows, nowhere)))
        rest = _without_texts(replace(rest, names=names, values=values))
    if len(patch.rows) + len(patch.heard) <= rows:
        return [*pieces, rest]
    high = np.searchsorted(patch.rows.at, patch.window.end, side="left")
    # Keys by the piece that their last row falls into; the keys heard of by their own number.
    piece = np.maximum(high - 1, 0) // rows
    heard_piece = np.arange(len(patch.heard)) // rows
    for number in range(int(max([0, *piece[-1:], *heard_piece[-1:]])) + 1):
        window = Window(patch.window.at[piece == number])
        heard = patch.heard[heard_piece == number]
        part = replace(rest, heard=heard, window=window, rows=cut(patch.rows, window), more=True)
        late = [a[np.isin(key_of(a), window.key)] for a in (patch.origins, patch.counted)]
        pieces.append(replace(part, origins=late[0], counted=late[1]))
        rest = replace(_without_texts(rest), quarantined={})
    pieces[-1] = replace(pieces[-1], more=patch.more)
    return pieces


def _without_texts(patch: Patch) -> Patch:
    """What follows a patch whose names and values were sent."""
    return replace(
        patch,
        first_name=patch.first_name + len(patch.names),
        names=[],
        first_value=patch.first_value + len(patch.values),
        values=[],
    )


def _texts(patch: Patch, size: int) -> Iterator[tuple[list[str], list[Scalar]]]:
    """Names, then values, in pieces; none if they all fit in one."""
    name_bytes = [len(name) * 4 for name in patch.names]
    value_bytes = [len(v) * 4 if isinstance(v, str) else 16 for v in patch.values]
    if sum(name_bytes) + sum(value_bytes) <= size:
        return
    for first, last in _pieces(name_bytes, size):
        yield patch.names[first:last], []
    for first, last in _pieces(value_bytes, size):
        yield [], patch.values[first:last]


def _pieces(sizes: Sequence[int], size: int) -> Iterator[tuple[int, int]]:
    first = total = 0
    for index, own in enumerate(sizes):
        if total and total + own > size:
            yield first, index
            first, total = index, 0
        total += own
    if first < len(sizes):
        yield first, len(sizes)
