"""Pictures as commands give them: lanes in the terminal, or a file on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from timeline.cli.options import Drawn, UsageError
from timeline.cli.saying import say
from timeline.local.evaluation import Evaluation
from timeline.pictures import Panel, Picture

#: So many keys are drawn, unless some are named.
MAX_KEYS = 3


def panels_of(
    results: Iterable[Evaluation], keys: Sequence[str] | None, start: int | None, end: int | None
) -> tuple[list[Panel], int]:
    """What is to be drawn of the given keys of a local evaluation in parts, or of the first few; and how many
    more keys there are."""
    found: list[Panel] = []
    count = 0
    for result in results:
        names = result.names() if keys is None else [k for k in keys if result.keys.find(k) is not None]
        most = len(names) if keys is not None else max(0, MAX_KEYS - count)
        found += [result.panel(name, start, end) for name in names[:most]]
        count += len(names)
    return found, count - len(found)


def print_picture(panels: Sequence[Panel], more: int, format: Drawn) -> None:
    """Draws some keys, and says how many more there are.

    Raises:
        UsageError: a PNG that would go to a terminal.
        NotFoundError: a PNG without what makes it.
    """
    if format is Drawn.LANES:
        from timeline.cli.lanes import draw
        from timeline.cli.render import console

        out = console()
        for panel in panels:
            draw(out, panel)
    elif format is Drawn.PNG:
        if sys.stdout.isatty():
            raise UsageError("a PNG is no text for a terminal; send it to a file: > picture.png")
        sys.stdout.buffer.write(Picture(panels).to_png())
    else:
        picture = Picture(panels)
        # As every reader takes it, whatever the terminal's encoding.
        sys.stdout.buffer.write((picture.to_svg() if format is Drawn.SVG else picture.to_html()).encode())
    if more:
        say(f"... and {more} more keys; choose with --key", err=format is not Drawn.LANES)
