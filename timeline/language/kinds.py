"""Kinds: what an expression stands for."""

from __future__ import annotations

import enum

from timeline.errors import ExpressionError, Span


class Kind(enum.Enum):
    """What an expression stands for; the values are the words that a user sees."""

    STATE = "State"
    BOOL = "Bool"
    NUMERIC = "Numeric"
    RATIO = "Ratio"
    PREDICATE = "predicate over events"
    COLUMN = "column of an event"
    CONSTANT = "constant"
    OUTPUTS = "set of outputs"


#: The kinds that have a value at every tick, and so can be a whole expression.
TIMELINES = (Kind.STATE, Kind.BOOL, Kind.NUMERIC, Kind.RATIO)


#: How deep an expression may be nested; far below Python's own limit, far above what can be read.
MAX_DEPTH = 200


def too_deep(span: Span | None) -> ExpressionError:
    """The error for an expression nested deeper than `MAX_DEPTH`."""
    return ExpressionError(f"nested too deeply: more than {MAX_DEPTH} levels", span=span)
