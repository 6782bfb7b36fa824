"""``time_weighted_avg(s)``: the mean of a number over time.

>>> from timeline.language.calls import latest_event_to_state, time_weighted_avg
>>> print(time_weighted_avg(latest_event_to_state("kbps")) < 800)
time_weighted_avg(latest_event_to_state(kbps)) < 800
"""

from __future__ import annotations

from dataclasses import dataclass

from timeline.language import expression as ex
from timeline.language.expression import Call, Compare, Constant, Expression
from timeline.language.signatures import Parameter, Signature
from timeline.operators.arithmetic import Arithmetic
from timeline.operators.base import Lowered
from timeline.values.kinds import Kind


def quotient(part: Expression) -> ex.Arithmetic:
    """What it is in other words: its ``integral``, by how long it was a number."""
    (of,) = part.parts
    is_number = Compare("!=", ex.Arithmetic("+", of, Constant(0)), Constant(None))
    return ex.Arithmetic("/", Call("integral", (of,)), Call("duration_where", (is_number,)))


@dataclass(frozen=True)
class TimeWeightedAvg(Arithmetic):
    """At t: the mean of the State's numbers at every ms from the origin up to (and without) t.

    The time in which it is no number is left out; null before there is any. It is ``integral(s)`` by the
    seconds in which s was a number.

    >>> from timeline.local.example import run
    >>> run('time_weighted_avg(latest_event_to_state(state)) > 3.5', {1: 3, 3: 5, 4: "x", 6: 0.5})
    1 s False
    3.667 s True
    6.167 s False
    """

    signature = Signature("time_weighted_avg", (Parameter("s", (Kind.STATE,)),), Kind.RATIO, rank=17)

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        return super().lower(quotient(part))

    @property
    def name(self) -> str:
        return self.signature.name
