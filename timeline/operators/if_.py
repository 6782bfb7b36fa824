"""``if(b, x, y)``: one or the other.

>>> from timeline.language.builder import col
>>> from timeline.language.calls import has_existed, if_
>>> print(if_(has_existed(col("state") == "error"), "broken", "fine"))
if(has_existed(state == "error"), "broken", "fine")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.errors import KindError
from timeline.language.advice import quote
from timeline.language.checking import kind_of
from timeline.language.constants import check_digits
from timeline.language.expression import Call, Constant, Expression
from timeline.language.signatures import CONDITION, Parameter, Signature
from timeline.operators.base import Lowered, Operator, constant, recoded
from timeline.operators.lines import constant_like
from timeline.tables.splicing import align, coalesce, cut
from timeline.tables.table import Table, Window, in_one_unit, values_at
from timeline.values.exact import exact_scalar, fitted
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar

_CHOICES = (Kind.STATE, Kind.BOOL, Kind.NUMERIC, Kind.CONSTANT)


def _kind(call: Call) -> Kind:
    """Of the two choices: that of the timeline among them; two constants are a Bool or a State."""
    _, then, otherwise = call.parts
    if isinstance(then, Constant) and isinstance(otherwise, Constant):
        bools = isinstance(then.value, bool) and isinstance(otherwise.value, bool)
        return Kind.BOOL if bools else Kind.STATE
    return kind_of(otherwise if isinstance(then, Constant) else then)


def _check(call: Call) -> None:
    """Both of one kind, where a constant is of the other's kind if it can be."""
    choices = [(choice, kind_of(choice)) for choice in call.parts[1:]]
    kinds = {kind for _, kind in choices} - {Kind.CONSTANT}
    # A State is easily made one of the others, so that it is the State that is said not to fit.
    wanted = (kinds - {Kind.STATE}).pop() if len(kinds) == 2 and Kind.STATE in kinds else kind_of(call)
    for choice, kind in choices:
        if isinstance(choice, Constant):
            fits = {
                Kind.BOOL: isinstance(choice.value, bool),
                Kind.NUMERIC: choice.value is None or type(choice.value) in (int, float),
            }.get(wanted, True)
        else:
            fits = kind is wanted
        if not fits:
            raise KindError(
                f"if(b, x, y) cannot choose between a {wanted.value} and {quote(choice)}, a {kind.value}",
                span=choice.span,
                expected=(f"a {wanted.value} on both sides",),
                suggestion=_advice(choice, kind, wanted),
            )
    check_digits(call)


def _advice(choice: Expression, kind: Kind, wanted: Kind) -> str | None:
    """What could stand beside the ``wanted`` kind instead of a choice of another kind."""
    text = quote(choice)
    match kind, wanted:
        case Kind.STATE, Kind.NUMERIC:
            return f"{text} + 0"
        case Kind.STATE, Kind.BOOL:
            return f"{text} == ..."
        case Kind.NUMERIC, Kind.BOOL:
            return f"{text} > ..."
        case Kind.BOOL, Kind.NUMERIC:
            return f"duration_where({text}) or count_rises({text})"
    return None


@dataclass(frozen=True)
class If(Operator):
    """At t: x where b is true at t, else y; before the origin y too, but false where they are Bools.

    ``chosen`` is the kind of both; ``choices`` are x and y where they are constants, else ``None``.

    >>> from timeline.local.example import run
    >>> run('if(has_existed(state == "error"), "broken", latest_event_to_state(state))',
    ...     {1: "play", 3: "error", 4: "play"})
    1 s 'play'
    3 s 'broken'
    """

    signature = Signature(
        "if",
        (CONDITION, Parameter("x", _CHOICES), Parameter("y", _CHOICES)),
        _kind,
        rank=11,
        check=_check,
    )
    pointwise = True

    chosen: Kind
    choices: tuple[Constant | None, Constant | None] = (None, None)

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        condition, then, otherwise = part.parts
        timelines = [c for c in (then, otherwise) if not isinstance(c, Constant)]
        return cls(kind_of(part), (constant(then), constant(otherwise))), (condition, *timelines)

    @property
    def kind(self) -> Kind:
        return self.chosen

    def before_origin(self, inputs: Sequence[Scalar]) -> Scalar:
        # The condition is a Bool, and so false there.
        if self.kind is Kind.BOOL:
            return False
        constant = self.choices[1]
        return inputs[-1] if constant is None else constant.value

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        condition, *rest = (cut(table, window) for table in inputs)
        tables = [
            self._constant(constant, condition, own) if constant is not None else rest.pop(0)
            for constant in self.choices
        ]
        x, y = in_one_unit(tables)
        at, (row, row_x, row_y) = align((condition, x, y))
        chosen = condition.value[row]
        if self.kind is Kind.NUMERIC:
            assert x.slope is not None
            assert y.slope is not None
            value = np.where(chosen, values_at(x, row_x, at), values_at(y, row_y, at))
            slope = np.where(chosen, x.slope[row_x], y.slope[row_y])
            return coalesce(Table(self.kind, at, *fitted(value, slope), None, x.unit))
        if self.kind is Kind.STATE:
            assert own.vocabulary is not None
            codes = [recoded(own.vocabulary, table) for table in (x, y)]
            value = np.where(chosen, codes[0][row_x], codes[1][row_y])
            return coalesce(Table(self.kind, at, value, None, own.vocabulary))
        return coalesce(Table(self.kind, at, np.where(chosen, x.value[row_x], y.value[row_y])))

    def _constant(self, constant: Constant, like: Table, own: Table) -> Table:
        if self.kind is Kind.NUMERIC:
            return constant_like(like, exact_scalar(constant.value))
        at = like.at[like.first_rows()]
        if self.kind is Kind.BOOL:
            return Table(Kind.BOOL, at, np.full(len(at), constant.value is True))
        assert own.vocabulary is not None
        code = own.vocabulary.encode([constant.value])[0]
        return Table(Kind.STATE, at, np.full(len(at), code), None, own.vocabulary)
