"""Lanes: every node's timeline of one key, drawn one under the other over one axis of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.text import Text

from timeline.cli.render import console, short_text, value_text
from timeline.cli.saying import printable
from timeline.local.evaluation import Evaluation
from timeline.plan import Plan, PlanNode
from timeline.values.exact import user_fraction
from timeline.values.kinds import Kind
from timeline.values.ticks import format_seconds

MAX_KEYS = 3
_BARS = "▁▂▃▄▅▆▇█"
_STATE_STYLES = ("black on cyan", "black on yellow", "black on magenta", "black on green")


@dataclass(frozen=True, slots=True)
class Lane:
    """One node's rows (as `timeline.tables.table.Table.json_rows` gives them) with its label."""

    label: str
    kind: Kind
    rows: list[list[Any]]


def plan_lanes(plan: Plan, rows_of: dict[int, list[list[Any]]]) -> list[Lane]:
    """The lanes of a plan, results first, each node under what it is for."""
    lanes: list[Lane] = []

    def add(node: PlanNode, lead: str, tail: str) -> None:
        rows = rows_of.get(node.index, [])
        lanes.append(Lane(lead + short_text(node, plan), node.operator.kind, rows))
        for number, index in enumerate(node.inputs):
            last = number == len(node.inputs) - 1
            add(plan.nodes[index], tail + ("└ " if last else "├ "), tail + ("  " if last else "│ "))

    for name, output in plan.outputs.items():
        add(output, "" if output is plan.result else f"{name}: ", "")
    return lanes


def print_evaluations(
    results: Iterable[Evaluation], keys: Sequence[str] | None, start: int | None, end: int | None
) -> None:
    """Lanes of the given keys of a local evaluation in parts, or of the first few."""
    out = console()
    count = 0
    for result in results:
        names = result.names() if keys is None else [k for k in keys if result.keys.find(k) is not None]
        for name in names[: max(0, MAX_KEYS - count)]:
            rows = {n.index: result.timeline(name, n).json_rows() for n in result.plan.nodes}
            origin, newest = result.span(name)
            draw(out, name, plan_lanes(result.plan, rows), origin, newest, start, end)
        count += len(names)
    if count > MAX_KEYS:
        out.print(f"... and {count - MAX_KEYS} more keys; choose with --key")


def draw(
    out: Console,
    key: str,
    lanes: Sequence[Lane],
    origin: int,
    newest: int,
    start: int | None = None,
    end: int | None = None,
) -> None:
    """Draws lanes from ``start`` (the origin) to ``end`` (a little behind the last change), ms."""
    start = origin if start is None else start
    if end is None:
        last = max([newest, *(row[0] for lane in lanes for row in lane.rows)])
        end = last + max((last - start) // 4, 1)
    end = max(end, start + 1)
    label_width = min(max(len(lane.label) for lane in lanes), 60)
    width = max(20, min(out.width - label_width - 2, 80))
    ticks = [start + (end - start) * i // width for i in range(width + 1)]
    out.print(Text(printable(key), style="bold"))
    for lane in lanes:
        label = lane.label if len(lane.label) <= label_width else lane.label[: label_width - 1] + "…"
        out.print(Text(label.ljust(label_width) + "  ") + _cells(lane, ticks))
    out.print(Text(" " * (label_width + 2)) + _axis(start, end, width))
    out.print()


def _cells(lane: Lane, ticks: list[int]) -> Text:
    """One cell for each ``[ticks[i], ticks[i + 1])``."""
    if lane.kind is Kind.BOOL:
        return _bool_cells(lane.rows, ticks)
    if lane.kind is Kind.STATE:
        return _state_cells(lane.rows, ticks)
    return _numeric_cells(lane.rows, ticks)


def _row_at(rows: list[list[Any]], tick: int) -> list[Any] | None:
    found = None
    for row in rows:
        if row[0] > tick:
            break
        found = row
    return found


def _bool_cells(rows: list[list[Any]], ticks: list[int]) -> Text:
    text = Text()
    for tick in ticks[:-1]:
        row = _row_at(rows, tick)
        if row is None:
            text.append(" ")
        else:
            text.append("█" if row[1] else "─", style="green" if row[1] else "dim")
    return text


def _state_cells(rows: list[list[Any]], ticks: list[int]) -> Text:
    text = Text()
    width = len(ticks) - 1
    # Each state begins in the first cell whose tick it holds at, and is named if there is room.
    begins: list[tuple[int, Any, int]] = []
    for number, row in enumerate(rows):
        cell = next((i for i in range(width) if ticks[i] >= row[0]), width)
        begins.append((cell, row[1], number))
    text.append(" " * (begins[0][0] if begins else width))
    for number, (cell, value, index) in enumerate(begins):
        end = begins[number + 1][0] if number + 1 < len(begins) else width
        room = end - cell
        if value is None:
            text.append("·" * room, style="dim")
        else:
            name = printable(value_text(value))
            text.append(name[:room].ljust(room), style=_STATE_STYLES[index % 4])
    return text


def _numeric_cells(rows: list[list[Any]], ticks: list[int]) -> Text:
    values = [_number_at(_row_at(rows, tick), tick) for tick in ticks[:-1]]
    top = max([abs(v) for v in values if v is not None], default=0) or 1
    text = Text()
    for value in values:
        if value is None:
            text.append("·", style="dim")
        else:
            bar = "_" if value == 0 else _BARS[min(7, int(abs(value) / top * 8))]
            text.append(bar, style="dim" if value == 0 else "blue")
    final = _number_at(_row_at(rows, ticks[-1]), ticks[-1])
    if final is not None:
        shown = user_fraction(final.numerator, final.denominator)
        text.append(f" {shown:.6g}" if isinstance(shown, float) else f" {shown}", style="bold")
    return text


def _number_at(row: list[Any] | None, tick: int) -> Fraction | None:
    """The number that a row of a Numeric or Ratio stands for at a tick."""
    if row is None or row[1] is None or row[1] == [None, None]:
        return None
    start, value, slope = row
    pairs = zip(value, slope, strict=True) if isinstance(value, list) else [(value, slope)]
    parts: list[Fraction] = [Fraction(v) + Fraction(s) * (tick - start) for v, s in pairs]
    if len(parts) == 1:
        return parts[0] / 1000
    return parts[0] / parts[1] if parts[1] else None


def _axis(start: int, end: int, width: int) -> Text:
    """Marks in seconds: absolute for data with an origin of its own, else from the start on."""
    relative = start > 10**11
    marks = [" "] * (width + 12)
    position = 0
    for part in range(5):
        cell = width * part // 4
        tick = start + (end - start) * part // 4
        label = f"+{format_seconds(tick - start)}s" if relative else f"{format_seconds(tick)}s"
        if cell < position:
            continue
        for offset, letter in enumerate("|" + label):
            if cell + offset < len(marks):
                marks[cell + offset] = letter
        position = cell + len(label) + 2
    return Text("".join(marks).rstrip(), style="dim")
