"""``matches(x, "..")``: whether a regular expression is found in a text.

>>> from timeline.language.calls import latest_event_to_state, matches
>>> print(matches(latest_event_to_state("cdn"), "^eu-[0-9]+$"))
matches(latest_event_to_state(cdn), "^eu-[0-9]+$")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timeline.errors import ExpressionError
from timeline.language.expression import Call, Constant
from timeline.language.signatures import Signature
from timeline.operators.texts import TEXT, TextTest, check_text, kind_of_test

#: The most characters of a pattern.
MAX_PATTERN = 1_000


def _check(call: Call) -> None:
    check_text(call)
    pattern = call.parts[1]
    assert isinstance(pattern, Constant)
    assert isinstance(pattern.value, str)
    if len(pattern.value) > MAX_PATTERN:
        raise ExpressionError(
            f"a regular expression has at most {MAX_PATTERN} characters, got {len(pattern.value)}",
            span=pattern.span,
        )
    try:
        found_in(pattern.value, [""])
    except ValueError as error:
        raise ExpressionError(f"{error} (it is in the syntax of RE2)", span=pattern.span) from None


def found_in(pattern: str, texts: Sequence[str]) -> list[bool]:
    """In which of some texts a regular expression is found.

    It is that of RE2, whose time does not explode: there are no backreferences and no looking ahead.

    Raises:
        ValueError: it is none, or is too large.

    >>> found_in("^a+b", ["aab", "xaab"])
    [True, False]
    """
    import pyarrow as pa  # which takes 50 ms to import, and most expressions have none of these
    import pyarrow.compute as pc

    try:
        found = pc.match_substring_regex(pa.array(texts, pa.string()), pattern)
    except pa.ArrowInvalid as error:
        raise ValueError(str(error)[0].lower() + str(error)[1:]) from None
    return [one is True for one in found.to_pylist()]


@dataclass(frozen=True)
class Matches(TextTest):
    """Over a State, at t: whether it is a text in which ``text``, a regular expression, is found; over a
    column in a predicate: whether the event carries such a text.

    It is found anywhere, unless ``^`` and ``$`` say where; ``(?i)`` at its begin takes capitals for small.

    >>> from timeline.local.example import run
    >>> run('matches(latest_event_to_state(state), "^eu-[0-9]+$")', {1: "eu-1", 2: "eu-x", 4: 7, 5: "eu-22"})
    1 s True
    2 s False
    5 s True
    >>> run('has_existed(matches(state, "(?i)ERROR"))', {1: "ok", 2: "an error"})
    1 s False
    2 s True
    """

    signature = Signature("matches", TEXT, kind_of_test, rank=21, check=_check)

    def ask(self, texts: Sequence[str]) -> Sequence[bool]:
        return found_in(self.text, texts)
