"""A console of rich's that passes nothing on to the terminal but what rich itself makes."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.control import Control
from rich.segment import Segment

from timeline.cli.saying import printable_lines


class _Escaped:
    """What something is drawn as, with the control characters of its texts as escapes."""

    def __init__(self, of: ConsoleRenderable) -> None:
        self.of = of

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.of, options):
            text = segment.text if segment.control else printable_lines(segment.text)
            yield Segment(text, segment.style, segment.control)


class _Escaping(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [of if isinstance(of, Control) else _Escaped(of) for of in renderables]


def make_console(*, width: int | None = None) -> Console:
    """Standard output, which is what it prints; of this width, or the terminal's."""
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=width)
    console.push_render_hook(_Escaping())
    return console
