"""Whole timelines as pieces in the units that people use."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from timeline.cli.serving.models import Piece
from timeline.values.exact import user_fraction


def pieces(rows: Sequence[Sequence[Any]]) -> list[Piece]:
    """The rows of a table (`Table.json_rows`: thousandths, and those a ms) as numbers, and numbers a second.

    >>> [(p.start, p.value, p.slope) for p in pieces([[0, 0, 0], [7000, 500, 1], [9000, None, 0]])]
    [(0, 0, 0), (7000, 0.5, 1), (9000, None, None)]
    >>> [(p.value, p.slope) for p in pieces([[0, "play"], [5, True]])]
    [('play', None), (True, None)]
    >>> pieces([[0, [1000, 3000], [0, 1]]])[0].value
    0.3333333333333333
    """
    return [_piece(*row) for row in rows]


def _piece(start: int, value: Any, slope: Any = None) -> Piece:
    if slope is None:
        return Piece(start=start, value=value)
    if isinstance(value, list):
        above, below = value
        known = above is not None and below is not None and Fraction(below) != 0
        return Piece(start=start, value=_number(Fraction(above) / Fraction(below)) if known else None)
    if value is None:
        return Piece(start=start, value=None)
    # A thousandth a ms is one a second.
    return Piece(start=start, value=_number(Fraction(value) / 1000), slope=_number(Fraction(slope)))


def _number(exact: Fraction) -> int | float | None:
    return user_fraction(exact.numerator, exact.denominator)


def value_at(parts: Sequence[Piece], tick: int) -> Any:
    """The value at a tick; ``None`` before the first piece.

    >>> parts = pieces([[0, 0, 0], [7000, 0, 1]])
    >>> value_at(parts, 10_000), value_at(parts, -1)
    (3, None)
    """
    held = [part for part in parts if part.start <= tick]
    if not held:
        return None
    last = held[-1]
    if not last.slope:
        return last.value
    return _number(Fraction(last.value) + Fraction(last.slope) * (tick - last.start) / 1000)
