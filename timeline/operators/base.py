"""What every operator is: one vectorized function from its inputs on a window to its table there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

import numpy as np

from timeline.language.expression import Column, Constant, Expression
from timeline.language.signatures import Signature, arguments_of
from timeline.tables.events import Events
from timeline.tables.history import History
from timeline.tables.packing import Bools, first_of_runs, last_of_runs, same_key, stable_order
from timeline.tables.splicing import cut, merge
from timeline.tables.table import Table, Window, empty, lookup
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar
from timeline.values.vocabulary import I64, Vocabulary


@dataclass(frozen=True)
class Operator(ABC):
    """A node of a plan, as a function.

    The whole history is the window that begins at every key's origin; a batch, or a late event, is
    one that begins later. Any way of cutting any input into windows gives the table of one pass.
    """

    #: How it is written; comparisons, arithmetic and sets of outputs have a syntax of their own instead.
    signature: ClassVar[Signature]
    #: Whether the value at a tick is made of the inputs' values at that tick alone.
    pointwise: ClassVar[bool] = False
    #: Whether it lives with whoever consumes it, being too small to be a workflow of its own.
    connective: ClassVar[bool] = False
    #: Whether a value may depend on what the inputs were at any time since the origin. Such an operator over
    #: inputs that are not known from the origin on begins where they are known.
    remembers: ClassVar[bool] = False

    @property
    def begins_after(self) -> int:
        """How many ms behind where its inputs begin it does, if that is later than the origin."""
        return 0 if self.remembers else self.reach

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        """The operator of a part of an expression, and the sub-expressions that are its inputs.

        As it is here: durations are the operator's, everything else is an input.
        """
        durations = [a for a in arguments_of(part) if isinstance(a, int)]
        return cls(*durations), part.parts

    @property
    def name(self) -> str:
        """The operator's name, which is the type of its workflows."""
        return self.signature.name

    @property
    def kind(self) -> Kind:
        """What the operator's own table holds."""
        result = self.signature.result
        assert isinstance(result, Kind), f"{self.name} has no kind of its own"
        return result

    @property
    def reach(self) -> int:
        """How many ms before a window the inputs must still be known."""
        return 0

    def before_origin(self, inputs: Sequence[Scalar]) -> Scalar:
        """The value, as a user sees it, of a key that has no events yet, given that of the inputs."""
        return {Kind.BOOL: False, Kind.STATE: None, Kind.NUMERIC: 0}[self.kind]

    def over(self, initials: Sequence[Scalar]) -> Operator:
        """The operator over inputs that have these values before a key's origin; most do not care."""
        return self

    @abstractmethod
    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        """The operator's table on ``window``, coalesced, with a row at the start of every key.

        ``inputs`` are known at least from ``reach`` before the window on, and of the keys of the window;
        ``own`` is the operator's table so far, of which only what lies before the window is looked at.
        """


@dataclass(frozen=True)
class Leaf(Operator):
    """An operator that reads events.

    Its one input is a table of *raw* rows: what the events at a (key, tick) say, folded into one
    row. Rows that a late event could bring back into sight stay in it (`thin`).
    """

    #: Whether a new raw row, and the table from a place on, depend on all raw rows of their key.
    needs_whole: ClassVar[bool] = False

    @property
    @abstractmethod
    def columns(self) -> frozenset[str]:
        """The event columns that it reads."""

    @abstractmethod
    def empty_raw(self) -> Table:
        """A raw table without rows."""

    @abstractmethod
    def read(self, events: Events, at: I64, raw: Table) -> Table:
        """The raw rows of a batch. ``at`` packs key and tick of its events; ``raw`` has the vocabulary."""

    def absorb(self, raw: Table, new: Table) -> Table:
        """The raw table with a later batch folded in: at one (key, tick) the later event wins."""
        if not len(raw):
            return new
        row, held = lookup(raw, new.at)
        known = held & (raw.at[row] == new.at)
        if known.any():
            keep = np.ones(len(raw), bool)
            keep[row[known]] = False
            raw = raw.take(keep)
        return merge(raw, new)

    def forget(self, raw: History, horizon: I64) -> None:
        """Drops the raw rows that no acceptable event can bring back: nothing new can come, and
        no window can look, before ``horizon`` (packed, one a key code)."""
        raw.collapse(horizon)

    def thin(self, raw: Table) -> Table:
        """The raw table without rows that can never matter again, whatever comes."""
        return raw


Lowered: TypeAlias = tuple[Operator, Sequence[Expression]]


@dataclass(frozen=True)
class OfColumn(Leaf):
    """A leaf whose one argument is the event column that it reads."""

    column: str

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        (column,) = part.parts
        assert isinstance(column, Column)
        return cls(column.column), ()

    @property
    def columns(self) -> frozenset[str]:
        return frozenset((self.column,))


def constant(part: Expression) -> Constant | None:
    """The part if it is a constant, wherever it stands; else ``None``."""
    return replace(part, span=None) if isinstance(part, Constant) else None


def sort_rows(at: I64, *, keep: str) -> I64:
    """Indices that sort ``at`` with one row a place: the ``"first"`` or ``"last"`` in stream order."""
    if len(at) < 2:
        return np.arange(len(at))
    runs = first_of_runs if keep == "first" else last_of_runs
    if bool(np.all(at[1:] >= at[:-1])):
        return runs(at)
    order = stable_order(at)
    return order[runs(at[order])]


def with_start(table: Table, window: Window) -> Table:
    """``table`` cut to the window, with the initial value (null, false) where nothing holds at a start."""
    table = cut(table, window)
    _, held = lookup(table, window.at)
    if held.all():
        return table
    missing = window.at[~held]
    return merge(
        table,
        Table(
            table.kind,
            missing,
            np.zeros(len(missing), table.value.dtype),
            None,
            table.vocabulary,
        ),
    )


def before(own: Table, window: Window) -> tuple[I64, Bools]:
    """The row of ``own`` that holds one tick before each key's window, and whether there is one."""
    return just_before(own, window.at)


def just_before(table: Table, at: I64) -> tuple[I64, Bools]:
    """The row that holds one tick before each packed place, and whether there is one of its key."""
    row, held = lookup(table, at - 1)
    if len(table):
        held &= same_key(table.at[row], at)
    return row, held


def recoded(vocabulary: Vocabulary, table: Table) -> I64:
    """The values of a State or Bool as codes of ``vocabulary``, which gets those that it lacks."""
    if table.vocabulary is vocabulary:
        return table.value
    values = (False, True) if table.vocabulary is None else table.vocabulary.values
    used, index = np.unique(table.value.astype(np.int64), return_inverse=True)
    codes: I64 = vocabulary.encode([values[code] for code in used])[index]
    return codes


def own_table(operator: Operator, of_input: Vocabulary | None) -> Table:
    """An operator's table without rows: a leaf's State has the vocabulary of what it reads."""
    if operator.kind is not Kind.STATE:
        return empty(operator.kind)
    return empty(operator.kind, of_input if isinstance(operator, Leaf) else Vocabulary())
