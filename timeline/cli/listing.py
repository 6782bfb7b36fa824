"""Lists of one line each, which fit a terminal: long texts are cut there, and whole elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence

from timeline.cli.saying import printable, say

#: To so many characters texts are cut.
LEAST = 12
GAP = "  "


def width() -> int | None:
    """Of the terminal that is written to; ``None`` where there is none."""
    if not sys.stdout.isatty():
        return None
    return int(os.environ.get("COLUMNS") or os.get_terminal_size(sys.stdout.fileno()).columns)


def cut(text: str, most: int | None) -> str:
    """Text of at most so many characters.

    >>> cut("playerStateChange", 9), cut("play", None)
    ('playerSt…', 'play')
    """
    return text if most is None or len(text) <= most else f"{text[: most - 1]}…"


def say_cut(text: str) -> None:
    """Says a line, as much of it as fits."""
    say(cut(printable(text), width()))


def say_listed(
    head: Sequence[str], rows: Sequence[Sequence[str]], long: Collection[str], wide: int | None = None
) -> None:
    """Says rows under their heads; the texts of the columns ``long`` are cut, the widest first, if all are
    wider than the terminal (or ``wide``)."""
    from rich.cells import cell_len, set_cell_size

    texts = [list(map(printable, row)) for row in (head, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]
    room = width() if wide is None else wide
    if room is not None:
        may = [i for i, name in enumerate(head) if name in long]
        while sum(widths) + len(GAP) * (len(head) - 1) > room:
            widest = max(may, key=lambda i: widths[i])
            if widths[widest] <= LEAST:
                break
            widths[widest] -= 1
    for row in texts:
        cells = (
            set_cell_size(text, size - 1) + "…" if cell_len(text) > size else set_cell_size(text, size)
            for text, size in zip(row, widths, strict=True)
        )
        say(GAP.join(cells).rstrip())
