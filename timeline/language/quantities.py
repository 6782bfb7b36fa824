"""Numbers and durations as they are written."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from timeline.errors import DurationError, ExpressionError, Span
from timeline.language.expression import Constant
from timeline.language.signatures import duration_problem
from timeline.values.ticks import format_seconds, parse_duration

_NUMBER = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number or a duration: which of them, the place where it stands decides."""

    text: str
    span: Span

    def constant(self) -> Constant:
        digits = self.text.removeprefix("-")
        if _NUMBER.fullmatch(digits):
            # float() first: int() of thousands of digits is an error of Python's own.
            value: int | float = float(self.text)
            if math.isfinite(value) and digits.isdecimal():
                value = int(self.text)
            elif value == 0 and re.search("[1-9]", re.split("[eE]", digits)[0]):
                raise ExpressionError("number out of range: nearer to 0 than 4.9e-324", span=self.span)
        elif digits[-1].isalpha():
            value = format_seconds(self._ms())
        else:
            raise ExpressionError(f"not a number: {self.text}; write it as 7, 0.5 or 1e6", span=self.span)
        return Constant(value, span=self.span)

    def duration(self) -> int:
        ms = self._ms()
        if (problem := duration_problem(ms)) is not None:
            raise ExpressionError(problem, span=self.span)
        return ms

    def _ms(self) -> int:
        try:
            return parse_duration(self.text)
        except DurationError as error:
            raise ExpressionError(str(error), span=self.span) from None
