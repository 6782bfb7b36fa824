"""A picture in the formats that people need: SVG, and what is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timeline.errors import NotFoundError
from timeline.pictures.lanes import Panel
from timeline.pictures.svg import svg, xml_text

#: Pixels of a PNG for one of the SVG: text is sharp on every screen.
SCALE = 2.0


@dataclass(frozen=True)
class Picture:
    """The lanes of some keys. A notebook shows it.

    >>> from timeline.local.evaluate import evaluate
    >>> from timeline.tables.events import from_rows
    >>> events = from_rows([("s", 1000, {"state": "play"}), ("s", 4000, {"state": "buffer"})])
    >>> picture = evaluate("latest_event_to_state(state)", events).plot("s")
    >>> picture.to_svg().startswith("<svg "), len(picture.panels)
    (True, 1)
    """

    panels: Sequence[Panel]

    def to_svg(self) -> str:
        """As SVG, with a tooltip on each state."""
        return svg(self.panels)

    def to_html(self) -> str:
        """As a page of its own, which needs nothing else."""
        title = xml_text(", ".join(panel.key for panel in self.panels))
        head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        fits = "<style>svg{max-width:100%;height:auto}</style>"
        return f"{head}{fits}<body>\n{self.to_svg()}</body></html>\n"

    def to_png(self) -> bytes:
        """As PNG.

        Raises:
            NotFoundError: the extra ``pictures`` is not installed.
        """
        try:
            import vl_convert
        except ModuleNotFoundError:
            raise NotFoundError(
                'PNG needs the extra "pictures": pip install "timeline-analytics[pictures]"; SVG needs none'
            ) from None
        png: bytes = vl_convert.svg_to_png(self.to_svg(), scale=SCALE)
        return png

    def _repr_html_(self) -> str:
        return self.to_svg()

    def __repr__(self) -> str:
        keys = ", ".join(repr(panel.key) for panel in self.panels)
        return f"Picture of {keys}: to_svg(), to_html(), to_png()"
