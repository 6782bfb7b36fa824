"""What is asked of texts: ``starts_with``, ``matches``. Of what is no text the answer is false."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from timeline.errors import KindError
from timeline.language.advice import quote
from timeline.language.expression import Call, Column, Constant, Expression
from timeline.language.signatures import Parameter
from timeline.operators.base import Lowered, Operator
from timeline.operators.pairs import of_codes
from timeline.tables.packing import Bools
from timeline.tables.splicing import coalesce, cut
from timeline.tables.table import Table, Window
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar
from timeline.values.vocabulary import I64

#: What is asked about, and the text that is asked for.
TEXT = (Parameter("x", (Kind.COLUMN, Kind.STATE)), Parameter("text", (Kind.CONSTANT,)))


def kind_of_test(call: Call) -> Kind:
    """Over a column it is a predicate, over a State a Bool."""
    return Kind.PREDICATE if isinstance(call.parts[0], Column) else Kind.BOOL


def check_text(call: Call) -> None:
    """Checks that what is asked for is text.

    Raises:
        KindError: it is not.
    """
    text = call.parts[1]
    if not isinstance(text, Constant) or not isinstance(text.value, str):
        raise KindError(
            f"{call.name} cannot take {quote(text)}",
            span=text.span,
            expected=("a text in quotes",),
            suggestion=quote(Constant(quote(text))),
        )


@dataclass(frozen=True)
class TextTest(Operator):
    """A pointwise operator over a State, asked once for each of its values."""

    pointwise = True

    text: str

    @classmethod
    def of(cls, part: Expression) -> Self:
        """The operator that a call means, over a State or an event column."""
        text = part.parts[1]
        assert isinstance(text, Constant)
        assert isinstance(text.value, str)
        return cls(text.value)

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        return cls.of(part), part.parts[:1]

    @property
    def kind(self) -> Kind:
        return Kind.BOOL

    @abstractmethod
    def ask(self, texts: Sequence[str]) -> Sequence[bool]:
        """Which of some texts fit."""

    def holds(self, codes: I64, values: Sequence[Scalar]) -> Bools:
        """Of each row, whose value is ``values[code]``, whether it is a text that fits."""
        return of_codes(codes, values, self._ask_all)

    def _ask_all(self, values: Sequence[Scalar]) -> list[bool]:
        fits = iter(self.ask([value for value in values if isinstance(value, str)]))
        return [isinstance(value, str) and next(fits) for value in values]

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        table = cut(inputs[0], window)
        assert table.vocabulary is not None
        return coalesce(Table(Kind.BOOL, table.at, self.holds(table.value, table.vocabulary.values)))
