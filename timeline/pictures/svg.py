"""Lanes as SVG, without any library."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from timeline.pictures.axis import DATED, marks
from timeline.pictures.colours import NUMBER, OTHER, TRUE, colours_of
from timeline.pictures.lanes import Lane, Panel, Span, shares, spans
from timeline.pictures.numbers import number_text, points_of, scale_of
from timeline.pictures.texts import value_text
from timeline.pictures.times import duration_text, time_text
from timeline.values.kinds import Kind

#: Of the plot, in px; of what is right of it.
PLOT, RIGHT = 760, 90
#: Heights of lanes of states and of numbers, and of what lies between.
STATE_LANE, NUMBER_LANE, GAP = 22, 44, 12
TITLE, AXIS, LEGEND, MARGIN = 30, 42, 20, 12
#: Widths (px) of letters: of labels, which are monospaced, and of others, about.
MONO, SANS = 7.3, 6.6
MOST_LABEL = 60
#: Narrower (px) than this on average, states are drawn by how much of a column's time each takes.
NARROW, COLUMN, LEAST = 2.0, 2, 0.8
#: About so far apart are marks of the axis.
MARK = 95
_STYLE = (
    "text{font:12px sans-serif;fill:#1f2937}.m{font:12px monospace}.t{font-weight:bold;font-size:14px}"
    ".s{font-size:10px;fill:#6b7280}.g{stroke:#e5e7eb}.n{fill:none;stroke-width:1.5;stroke-linejoin:round}"
)
_NO_XML = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the plot of a panel is, and which time."""

    left: float
    start: int
    end: int

    def x(self, tick: int) -> float:
        return self.left + (tick - self.start) * PLOT / (self.end - self.start)


def svg(panels: Sequence[Panel]) -> str:
    """The lanes of some keys, one below the other, as an SVG of a size of its own."""
    labels = [_cut(lane.text, MOST_LABEL - len(lane.lead)) for panel in panels for lane in panel.lanes]
    leads = [len(lane.lead) for panel in panels for lane in panel.lanes]
    widest = max((len(text) + lead for text, lead in zip(labels, leads, strict=True)), default=0)
    left = MARGIN + widest * MONO + 56
    colours, legend = _legend(panels)
    body: list[str] = []
    top = float(MARGIN)
    for panel in panels:
        frame = _Frame(left, panel.start, panel.end)
        drawn, top = _panel(panel, frame, top, colours)
        body += drawn
    drawn, top = _legend_rows(legend, left, top)
    width, height = left + PLOT + RIGHT, top + MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">'
    )
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([head, f"<style>{_STYLE}</style>", ground, *body, *drawn, "</svg>"]) + "\n"


def _panel(panel: Panel, frame: _Frame, top: float, colours: Mapping[str, str]) -> tuple[list[str], float]:
    """What a panel draws, and where it ends."""
    places: list[tuple[Lane, float, int]] = []
    y = top + TITLE
    for lane in panel.lanes:
        height = NUMBER_LANE if lane.is_number else STATE_LANE
        places.append((lane, y, height))
        y += height + GAP
    out = [_text(MARGIN, top + 14, panel.key, "t"), *_axis(frame, top + TITLE - 4, y)]
    out += _tree(places)
    for lane, at, height in places:
        x = MARGIN + len(lane.lead) * MONO
        out.append(
            _text(x, at + height / 2 + 4, _cut(lane.text, MOST_LABEL - len(lane.lead)), "m", lane.text)
        )
        parts = list(spans(lane, panel.start, panel.end))
        if lane.is_number:
            out += _numbers(lane, parts, frame, at)
        else:
            out += _states(lane, parts, frame, at, colours)
    return out, y + AXIS


def _tree(places: Sequence[tuple[Lane, float, int]]) -> Iterator[str]:
    """The lines from each node to those it reads."""
    middles = [(len(lane.lead) // 2, at + height / 2, at + height) for lane, at, height in places]
    for number, (depth, middle, _) in enumerate(middles):
        if not depth:
            continue
        above = next(one for one in reversed(middles[:number]) if one[0] < depth)
        x = MARGIN + (depth - 1) * 2 * MONO + 4
        yield f'<path class="n" stroke="#9ca3af" d="M{x:.1f} {above[1] + 9:.1f}V{middle:.1f}h8"/>'


def _axis(frame: _Frame, top: float, bottom: float) -> Iterator[str]:
    dated = frame.end >= DATED
    before = -1e9
    for mark in marks(frame.start, frame.end, PLOT // MARK):
        x = frame.x(mark.tick)
        yield f'<path class="g" d="M{x:.1f} {top:.1f}V{bottom:.1f}"/>'
        yield _text(x, bottom + 12, mark.label, "s", anchor="middle")
        # Days that lie close to one another would cover each other.
        if mark.day and x - before > MARK * 0.7:
            yield _text(x, bottom + 24, mark.day, "s", anchor="middle")
            before = x
    if dated:
        yield _text(frame.left + PLOT + 8, bottom + 12, "UTC", "s")


def _states(
    lane: Lane, parts: Sequence[Span], frame: _Frame, top: float, colours: Mapping[str, str]
) -> Iterator[str]:
    dense = len(parts) * NARROW > PLOT
    middle = top + STATE_LANE / 2
    if parts:
        x, end = frame.x(parts[0].start), frame.x(parts[-1].end)
        line = top + STATE_LANE if dense else middle
        yield f'<path d="M{x:.1f} {line:.1f}H{end:.1f}" stroke="#d1d5db"/>'
    if dense:
        yield from _density(lane, parts, frame, top, colours)
        return
    for part in parts:
        if part.value is None or (lane.kind is Kind.BOOL and part.value is False):
            continue
        x, width = frame.x(part.start), frame.x(part.end) - frame.x(part.start)
        value = value_text(part.value)
        colour = _colour(lane, value, colours)
        # Nothing that was is so short that it cannot be seen.
        shown = max(width, LEAST)
        yield (
            f'<rect x="{x:.2f}" y="{top:.1f}" width="{shown:.2f}" height="{STATE_LANE}" fill="{colour}">'
            f"<title>{xml_text(value)}: {_when(part)}</title></rect>"
        )
        if lane.kind is Kind.STATE and len(value) * SANS + 6 <= width:
            yield _text(x + 4, middle + 4, value)


def _density(
    lane: Lane, parts: Sequence[Span], frame: _Frame, top: float, colours: Mapping[str, str]
) -> Iterator[str]:
    """Columns in which each value has as much of the height as it has of the time."""
    count = PLOT // COLUMN
    used = [0.0] * count
    for value, held in shares(parts, frame.start, frame.end, count).items():
        if lane.kind is Kind.BOOL and value == "false":
            continue
        boxes = []
        for column, share in enumerate(held):
            if share > 0:
                used[column] += share
                y = top + STATE_LANE * max(1 - used[column], 0)
                # What was so short is a line all the same.
                x, high = frame.left + column * COLUMN, max(STATE_LANE * share, LEAST)
                boxes.append(f"M{x:.1f} {y:.1f}h{COLUMN}v{high:.1f}h-{COLUMN}z")
        yield (
            f'<path fill="{_colour(lane, value, colours)}" d="{"".join(boxes)}">'
            f"<title>{xml_text(value)}: height is share of time</title></path>"
        )


def _numbers(lane: Lane, parts: Sequence[Span], frame: _Frame, top: float) -> Iterator[str]:
    scale = scale_of(parts)
    if scale is None:
        return
    for value, at in ((scale.high, top + 8), (scale.low, top + NUMBER_LANE)):
        yield _text(frame.left - 6, at, number_text(value), "s", anchor="end")
    a_unit = NUMBER_LANE / (scale.high - scale.low)

    def y_of(value: float) -> float:
        return top + NUMBER_LANE - (value - scale.low) * a_unit

    zero = y_of(0.0)
    yield f'<path class="g" d="M{frame.left:.1f} {zero:.1f}h{PLOT}"/>'
    for line in points_of(lane, parts, frame.start, frame.end, PLOT):
        points = [(frame.left + x, y_of(y)) for x, y in line]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        area = f"M{points[0][0]:.1f} {zero:.1f}L{path}L{points[-1][0]:.1f} {zero:.1f}z"
        yield f'<path fill="{NUMBER}" fill-opacity=".15" d="{area}"/>'
        yield f'<path class="n" stroke="{NUMBER}" d="M{path}"/>'
    if parts[-1].last is not None:
        yield _text(frame.left + PLOT + 6, y_of(parts[-1].last) + 4, number_text(parts[-1].last))


def _colour(lane: Lane, value: str, colours: Mapping[str, str]) -> str:
    return TRUE if lane.kind is Kind.BOOL else colours.get(value, OTHER)


def _legend(panels: Sequence[Panel]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Colours of all states, and what the legend says of them."""
    held: dict[str, float] = {}
    true = False
    for panel in panels:
        for lane in panel.lanes:
            if lane.kind is Kind.STATE and not lane.is_number:
                for value, [share] in shares(
                    list(spans(lane, panel.start, panel.end)), panel.start, panel.end, 1
                ).items():
                    held[value] = held.get(value, 0.0) + share
            true = true or lane.kind is Kind.BOOL
    colours = colours_of(sorted(held, key=lambda value: -held[value]))
    named = [(value, colour) for value, colour in colours.items() if colour != OTHER]
    others = len(colours) - len(named)
    rows = [("true", TRUE)] if true else []
    rows += named
    return colours, rows + ([(f"{others} others", OTHER)] if others else [])


def _legend_rows(legend: Sequence[tuple[str, str]], left: float, top: float) -> tuple[list[str], float]:
    out: list[str] = []
    x = left
    for value, colour in legend:
        text = _cut(value, 30)
        width = 18 + len(text) * SANS + 14
        if x + width > left + PLOT + RIGHT and x > left:
            x, top = left, top + LEGEND
        out.append(f'<rect x="{x:.1f}" y="{top:.1f}" width="12" height="12" rx="2" fill="{colour}"/>')
        out.append(_text(x + 18, top + 10.5, text, whole=value))
        x += width
    return out, top + (LEGEND if legend else 0)


def _when(part: Span) -> str:
    return f"{time_text(part.start)} to {time_text(part.end)} ({duration_text(part.end - part.start)})"


def _text(x: float, y: float, text: str, of: str = "", whole: str = "", anchor: str = "") -> str:
    attributes = (f' class="{of}"' if of else "") + (f' text-anchor="{anchor}"' if anchor else "")
    title = f"<title>{xml_text(whole)}</title>" if whole and whole != text else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{title}{xml_text(text)}</text>'


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(most, 2) - 1] + "…"


def xml_text(text: str) -> str:
    """Text as XML has it; what XML cannot have, and what turns writing round, as escapes."""
    return html.escape(_NO_XML.sub(lambda found: found[0].encode("unicode_escape").decode(), text))
