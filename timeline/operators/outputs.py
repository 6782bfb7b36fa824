"""``{name: x, other: y}``: several timelines of one key side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.expression import Scalar
from timeline.operators.base import Operator
from timeline.table import Shape, Table, Window


@dataclass(frozen=True)
class Outputs(Operator):
    """The result of a spec with several outputs: its inputs, all at one position of the stream.

    What is asked of it is read from the tables of its inputs, which therefore keep all of retention;
    its own table only says from when on a key is there. ``initials`` are the inputs' values before that.
    """

    names: tuple[str, ...]
    initials: tuple[Scalar, ...] = ()

    @property
    def name(self) -> str:
        return "outputs"

    @property
    def shape(self) -> Shape:
        return Shape.BOOL

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        return Table(Shape.BOOL, window.at, np.ones(len(window), bool))
