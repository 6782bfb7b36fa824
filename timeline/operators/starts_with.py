"""``starts_with(x, "..")``: whether a text begins so.

>>> from timeline.language.builder import col
>>> from timeline.language.calls import count, starts_with
>>> print(count(starts_with(col("cdn"), "eu-")))
count(starts_with(cdn, "eu-"))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timeline.language.signatures import Signature
from timeline.operators.texts import TEXT, TextTest, check_text, kind_of_test


@dataclass(frozen=True)
class StartsWith(TextTest):
    """Over a State, at t: whether it is a text that begins with ``text``; over a column in a predicate:
    whether the event carries such a text.

    >>> from timeline.local.example import run
    >>> run('starts_with(latest_event_to_state(state), "eu-")', {1: "eu-1", 2: "us-1", 4: 7, 5: "eu-2"})
    1 s True
    2 s False
    5 s True
    >>> run('count(starts_with(state, "eu-"))', {1: "eu-1", 2: "us-1", 4: 7, 5: "eu-2"})
    1 s 1
    5 s 2
    """

    signature = Signature("starts_with", TEXT, kind_of_test, rank=20, check=check_text)

    def ask(self, texts: Sequence[str]) -> Sequence[bool]:
        return [text.startswith(self.text) for text in texts]
