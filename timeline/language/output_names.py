"""Names of outputs, and ``@name``: what one output may say of another."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable

from timeline.errors import ExpressionError, Span
from timeline.language.signatures import LOOKALIKES

#: The most outputs of one spec, and the most parts that all of them have once ``@name`` is put in.
MAX_OUTPUTS = 100
MAX_PARTS = 10_000
#: What the one result of a plain expression is called where outputs have names.
VALUE = "value"
#: What rows and requests call something else.
RESERVED = {
    "closed": "says whether a key is closed",
    "key": "is the column of the key",
    "at": "is the column of the time beside an output named time",
    **dict.fromkeys(
        ("true", "false", "null", "not", "and", "or", "col", *LOOKALIKES), "is a word of the language"
    ),
}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def name_problem(name: str, others: Collection[str] = ()) -> str | None:
    """What is wrong with the name of an output beside ``others``; ``None`` when nothing is.

    >>> name_problem("cdn"), name_problem("closed"), name_problem("cdn", ["cdn"])
    (None, 'an output cannot be named closed: that says whether a key is closed', \
'two outputs are named cdn')
    """
    if not _NAME.fullmatch(name):
        return (
            f"an output cannot be named {name!r}: use the letters A to Z, digits and _, 63 at most, and "
            "begin with no digit"
        )
    if (why := RESERVED.get(name)) is not None:
        return f"an output cannot be named {name}: that {why}"
    return f"two outputs are named {name}" if name in others else None


def name_of_time(others: Collection[str]) -> str:
    """What the column of the time is called in rows of an answer, beside their ``others``: SQL needs no
    quotes for it. Timelines that run may have an output named time.

    >>> name_of_time(["key", "cdn"]), name_of_time(["key", "time"])
    ('time', 'at')
    """
    return "at" if "time" in others else "time"


def unknown_output(name: str, known: Iterable[str], span: Span | None = None) -> ExpressionError:
    """The error for a name that no output has.

    >>> str(unknown_output("rebufering", ["cdn", "rebuffering"]))
    'there is no output rebufering; expected cdn, rebuffering; did you mean rebuffering?'
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return ExpressionError(
        f"there is no output {name}",
        span=span,
        expected=known,
        suggestion=close[0] if close else None,
    )
