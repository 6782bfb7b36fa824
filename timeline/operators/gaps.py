"""``gaps(d)``: how many times the key has fallen silent.

>>> from timeline.language.calls import gaps
>>> print(gaps("5m") >= 3)
gaps(5m) >= 3
"""

from __future__ import annotations

from dataclasses import dataclass

from timeline.language.expression import Call, Expression, Not
from timeline.language.signatures import DURATION, Signature, arguments_of
from timeline.operators.base import Lowered
from timeline.operators.count_rises import CountRises
from timeline.values.kinds import Kind


@dataclass(frozen=True)
class Gaps(CountRises):
    """At t: how many silences have begun at or before t: how many times `alive(d)` turned false.

    A silence begins d after the event before it, also if it has not ended by t.

    >>> from timeline.local.example import run
    >>> run('gaps(5s)', {1: "play", 3: None, 10: "seek"})
    1 s 0
    8 s 1
    15 s 2
    """

    signature = Signature("gaps", (DURATION,), Kind.NUMERIC, rank=11)

    @classmethod
    def lower(cls, part: Expression) -> Lowered:
        # At its origin, which is an event, a key is alive: none of the rises is the origin's.
        return cls(), (Not(Call("alive", arguments_of(part))),)
