"""Lanes in a terminal: every node's timeline of one key, drawn one under the other over one axis of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil

from rich.console import Console
from rich.text import Text

from timeline.cli.saying import printable
from timeline.pictures.axis import DATED, marks
from timeline.pictures.lanes import Lane, Panel, Span, number_at, shares, spans
from timeline.pictures.texts import value_text
from timeline.values.exact import user_fraction
from timeline.values.kinds import Kind

#: Cells of a line, and those beside it for what it says at its end.
MOST_CELLS, LEAST_CELLS, BESIDE = 80, 20, 12
#: Letters of a label, and what lanes have at least before labels are cut.
MOST_LABEL, LEAST_LABEL, CELLS = 60, 24, 50
#: Cells that a state needs, on average of those drawn, to be told from the next; else its values have a line
#: each, which says how much of a cell's time they take, and so many of them have one.
CELLS_A_STATE, MOST_VALUES = 3, 4
_BARS = "▁▂▃▄▅▆▇█"
_STATE_STYLES = ("black on cyan", "black on yellow", "black on magenta", "black on green")


def draw(out: Console, panel: Panel) -> None:
    """Draws the lanes of a key."""
    # Of a narrow terminal labels take what lanes leave.
    most_label = min(MOST_LABEL, max(out.width - 2 - BESIDE - CELLS, LEAST_LABEL))
    label_width = min(max(len(lane.label) for lane in panel.lanes), most_label)
    width = max(LEAST_CELLS, min(out.width - label_width - 2 - BESIDE, MOST_CELLS))
    out.print(Text(printable(panel.key), style="bold"))
    for lane in panel.lanes:
        label = lane.label if len(lane.label) <= label_width else lane.label[: label_width - 1] + "…"
        for line in _lines(lane, panel, width):
            out.print(Text(label.ljust(label_width) + "  ") + line)
            label = ""
    zone = "UTC" if panel.end >= DATED else ""
    out.print(Text(zone.rjust(label_width) + "  ", style="dim") + _axis(panel, width))
    out.print()


def _lines(lane: Lane, panel: Panel, width: int) -> Iterator[Text]:
    if lane.is_number:
        yield _number_line(lane, panel, width)
        return
    parts = list(spans(lane, panel.start, panel.end))
    if lane.kind is Kind.BOOL:
        yield _bool_line(parts, panel, width)
    elif len(parts) * CELLS_A_STATE <= width:
        yield _state_line(parts, panel, width)
    else:
        yield from _density_lines(parts, panel, width)


def _bool_line(parts: Sequence[Span], panel: Panel, width: int) -> Text:
    """A cell says how much of its time is true."""
    text = Text()
    known = shares(parts, panel.start, panel.end, width)
    true = known.get("true", [0.0] * width)
    false = known.get("false", [0.0] * width)
    for yes, no in zip(true, false, strict=True):
        if yes + no <= _ROUNDING:
            text.append(" ")
        else:
            text.append(
                "─" if yes <= _ROUNDING else _bar(yes / (yes + no)), "dim" if yes <= _ROUNDING else "green"
            )
    return text


#: Shares are sums of floats.
_ROUNDING = 1e-9


def _bar(share: float) -> str:
    """The whole block says that it is all, and no other."""
    return "█" if share >= 1 - _ROUNDING else _BARS[min(int(share * 7), 6)]


def _state_line(parts: Sequence[Span], panel: Panel, width: int) -> Text:
    """Each state begins in the first cell at whose beginning it holds, and is named if there is room."""

    def cell(tick: int) -> int:
        return -(-(tick - panel.start) * width // (panel.end - panel.start))

    text = Text(" " * (cell(parts[0].start) if parts else width))
    for number, part in enumerate(parts):
        room = cell(part.end) - cell(part.start)
        if part.value is None:
            text.append("·" * room, style="dim")
        else:
            name = printable(value_text(part.value))
            # Where there are no colours, a blank says that another state begins.
            text.append(name[: max(room - 1, 1)][:room].ljust(room), style=_STATE_STYLES[number % 4])
    return text


def _density_lines(parts: Sequence[Span], panel: Panel, width: int) -> Iterator[Text]:
    """A line for each of the values that last longest, and one for all others."""
    known = list(shares(parts, panel.start, panel.end, width).items())
    lines = [(printable(name), held) for name, held in known[:MOST_VALUES]]
    if others := known[MOST_VALUES:]:
        lines.append(
            (f"{len(others)} others", [sum(one) for one in zip(*(h for _, h in others), strict=True)])
        )
    for number, (name, held) in enumerate(lines):
        bars = "".join(" " if share <= _ROUNDING else _bar(share) for share in held)
        shown = name if len(name) < BESIDE else name[: BESIDE - 2] + "…"
        yield Text(bars, style=_STATE_STYLES[number % 4].rpartition(" ")[2]) + Text(f" {shown}", style="bold")


def _number_line(lane: Lane, panel: Panel, width: int) -> Text:
    """Bars of the highest that the number is within each cell, and what it is at the end."""
    highest: list[float | None] = [None] * width
    a_tick = width / (panel.end - panel.start)
    for part in spans(lane, panel.start, panel.end):
        if not isinstance(part.value, int | float) or part.last is None:
            continue
        first, last = (part.start - panel.start) * a_tick, (part.end - panel.start) * a_tick
        slope = (part.last - part.value) / (last - first)
        for column in range(int(first), min(ceil(last), width)):
            ends = (part.value + slope * (at - first) for at in (max(first, column), min(last, column + 1)))
            highest[column] = max(highest[column] or 0.0, *map(abs, ends))
    top = max((value for value in highest if value is not None), default=0) or 1
    text = Text()
    for value in highest:
        if value is None:
            text.append("·", style="dim")
        else:
            bar = "_" if value == 0 else _BARS[min(7, int(value / top * 8))]
            text.append(bar, style="dim" if value == 0 else "blue")
    final = number_at(lane, panel.end)
    if final is not None:
        shown = user_fraction(final.numerator, final.denominator)
        text.append(f" {shown:.6g}" if isinstance(shown, float) else f" {shown}", style="bold")
    return text


def _axis(panel: Panel, width: int) -> Text:
    """Marks where round times are, each with as much of its time as is new."""
    line = day = ""
    for mark in marks(panel.start, panel.end, width // (16 if panel.end >= DATED else 12)):
        cell = (mark.tick - panel.start) * width // (panel.end - panel.start)
        day = mark.day or day
        if cell < len(line):
            continue
        label, day = (f"{day} {mark.label}" if day else mark.label), ""
        line = f"{line.ljust(cell)}|{label} "
    return Text(line.rstrip(), style="dim")
