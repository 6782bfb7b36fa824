"""Every error that Timeline raises on purpose, under one root.

A message says what is wrong, where, what was got and what to do about it. The command line prints
``str(error)`` and never a traceback for any of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Characters of what was got that a message shows, and of a line that a caret stands under.
MAX_SHOWN = 200
MAX_LINE = 160


def shortened(text: str, most: int = MAX_SHOWN) -> str:
    """A text of any length as a message shows it.

    >>> shortened("a" * 1_000_000, 3)
    'aaa... (1000000 characters)'
    """
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


class TimelineError(Exception):
    """Root of all errors raised on purpose; ``str(error)`` is fit to be shown to a user."""


class TimelineWarning(UserWarning):
    """What is likely to be a mistake, or was left out, where there is an answer all the same."""


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a text, of an expression say: 1-based line and column, length in characters."""

    line: int
    column: int
    length: int


class PlacedError(TimelineError):
    """A text that cannot be understood.

    ``message`` says what is wrong; ``span`` where (``None`` for a tree built in Python without
    text); ``expected`` lists what could have stood there; ``suggestion`` is a likely correction.
    """

    def __init__(
        self,
        message: str,
        *,
        span: Span | None = None,
        source: str | None = None,
        expected: Sequence[str] = (),
        suggestion: str | None = None,
    ) -> None:
        self.message = message
        self.span = span
        self.source = source
        self.expected = tuple(expected)
        self.suggestion = suggestion
        super().__init__(message)

    def __str__(self) -> str:
        where = "" if self.span is None else f"line {self.span.line}, column {self.span.column}: "
        text = where + shortened(self.message, 4 * MAX_SHOWN)
        if self.expected:
            text += f"; expected {', '.join(self.expected)}"
        if self.suggestion:
            text += f"; did you mean {shortened(self.suggestion)}?"
        return text

    def caret(self) -> str:
        """The line of the source with a caret under the place; empty without source or span."""
        if self.source is None or self.span is None:
            return ""
        lines = self.source.split("\n") or [""]
        line = lines[self.span.line - 1] if self.span.line <= len(lines) else ""
        column, length = self.span.column - 1, self.span.length
        if len(line) > MAX_LINE:
            begin = max(0, column - MAX_LINE // 2)
            part = line[begin : begin + MAX_LINE]
            column, length = column - begin, min(length, begin + len(part) - column)
            line = part
        pad = "".join("\t" if c == "\t" else " " for c in line[:column])
        return f"{line}\n{pad}{'^' * max(1, length)}"


class ExpressionError(PlacedError):
    """An expression that cannot be understood."""


class KindError(ExpressionError):
    """An expression whose parts do not fit: a State where a Bool is wanted, say."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a spec: ``place`` is a dotted path such as ``limits.shards``."""

    place: str
    message: str


class SpecError(TimelineError):
    """A spec file with one or more problems, all of them in ``problems``."""

    def __init__(self, path: str, problems: Sequence[Problem]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__(path)

    def __str__(self) -> str:
        count = len(self.problems)
        head = f"{self.path}: {count} problem{'s' if count != 1 else ''}"
        return "\n".join([head, *(f"  {p.place}: {p.message}" for p in self.problems)])


class DurationError(TimelineError):
    """A duration or a time that cannot be understood or is out of range."""


class EventError(TimelineError):
    """A file of events that cannot be read at all (absent, unknown format, no such column)."""


class LimitError(TimelineError):
    """A limit was reached; the message says which one and what to raise."""


class BusyError(LimitError):
    """A question took longer than it may; when less goes on, the same may be answered."""


class RequestError(PlacedError):
    """A question over many keys that cannot be understood, or does not fit the outputs."""


class RetentionError(TimelineError):
    """A time was asked for that is older than what the node still holds."""


class NoLifeError(TimelineError):
    """A time was asked for that lies between the lives of a key."""


class QuarantineError(TimelineError):
    """A key has no value, because an operator fails on it; others are not affected."""


class NotFoundError(TimelineError):
    """A name (of a timeline, a node, a key) that nothing is known of."""


class NotCaughtUpError(TimelineError):
    """A timeline that came over running ones does not yet stand where they stood; until then it answers
    nothing, because that would be the answer of a part of what they had."""


class PausedError(TimelineError):
    """A timeline that is paused gets no events until it is resumed."""


class SplitKeyError(TimelineError):
    """A key whose events are in several streams, so that none knows its function."""


class ServiceError(TimelineError):
    """Temporal, a worker or Pulsar is not there or does not answer."""


class UnavailableError(ServiceError):
    """What does not answer now, and may again: a server that restarts, a worker that was killed."""


class EncryptionError(ServiceError):
    """A payload cannot be decrypted here, or the keys are none; no message holds a key."""


class UnknownKeyError(EncryptionError):
    """A payload is encrypted with a key that is not here: the one named ``key``. It is ``genuine`` if its
    sender has one of those that are here."""

    def __init__(self, message: str, key: str, *, genuine: bool = False) -> None:
        super().__init__(message)
        self.key = key
        self.genuine = genuine


class UnboundError(EncryptionError):
    """An encrypted payload does not say for which workflow it is: version 0.2 or one before it wrote it."""


class WireError(TimelineError):
    """Bytes, or what they hold, are no message and no state of ours: damaged, or of an unknown form."""


class LaterFormError(WireError):
    """Bytes of a form that this version does not read yet."""


class StoreError(ServiceError):
    """The store of carried states is not there, or a state is not in it or cannot be put there."""
