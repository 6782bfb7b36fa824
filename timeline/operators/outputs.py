"""``{name: x, other: y}``: several timelines of one key side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from timeline.language import expression as ex
from timeline.language.expression import Expression
from timeline.operators.base import Lowered, Operator
from timeline.tables.table import Table, Window
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar


@dataclass(frozen=True)
class Outputs(Operator):
    """At t: the value of each input at t, by name; all stand for one position of the stream.

    What is asked of it is read from the tables of its inputs, which therefore keep all of retention;
    its own table only says from when on a key is there. ``initials`` are the inputs' values before that.

    >>> from timeline.local.example import run
    >>> run('{state: latest_event_to_state(state), errors: count(state == "error")}',
    ...     {1: "play", 3: "error"})
    state: 1 s 'play'
    state: 3 s 'error'
    errors: 1 s 0
    errors: 3 s 1
    """

    name = "outputs"
    kind = Kind.BOOL

    names: tuple[str, ...]
    initials: tuple[Scalar, ...] = ()

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        assert isinstance(part, ex.Outputs)
        return cls(part.names), part.operands

    def over(self, initials: Sequence[Scalar]) -> Operator:
        return replace(self, initials=tuple(initials))

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        return Table(Kind.BOOL, window.at, np.ones(len(window), bool))
