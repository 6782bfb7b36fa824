"""What commands say: nothing that comes from data, names or files steers the terminal."""

from __future__ import annotations

import re

import typer

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: Of those what JSON does not escape by itself.
_IN_JSON = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Text of the data with what would steer a terminal written as escapes.

    >>> print(printable("a\x1b[31m\n☃"))
    a\x1b[31m\n☃
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def printable_lines(text: str) -> str:
    """The same for text of several lines, which stay lines."""
    return "\n".join(map(printable, text.split("\n")))


def printable_json(text: str) -> str:
    r"""JSON that says the same, with what would steer a terminal written as escapes.

    >>> print(printable_json('{"a": "\x9b31m"}'))
    {"a": "\u009b31m"}
    """
    return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def say(text: str, *, err: bool = False) -> None:
    """Says lines on standard output, or standard error."""
    typer.echo(printable_lines(text), err=err)  # noqa: TID251
