"""A question over all keys: the form, the rows, and the same as a command and as a request, to copy."""

from __future__ import annotations

import shlex
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from timeline.cli.render import value_text
from timeline.cli.serving.page.shell import complain
from timeline.errors import TimelineError
from timeline.pictures.axis import DATED
from timeline.spec.spec import Spec
from timeline.values.ticks import parse_duration, parse_time
from workflows.client import Client

#: Rows that are shown.
MOST = 1_000
API = "http://127.0.0.1:8280/api/v1"


def command(name: str, words: dict[str, str]) -> str:
    """The question as a command.

    >>> command("plays", {"agg": "count", "group_by": "", "where": "x > 1", "at": "8s", "every": ""})
    "timeline query plays --all --agg count --where 'x > 1' --at 8s"
    """
    options = [f"--{word.replace('_', '-')} {shlex.quote(text)}" for word, text in words.items() if text]
    return " ".join(["timeline query", name, "--all", *options])


def request(name: str, words: dict[str, str]) -> str:
    """The question as a request.

    >>> request("plays", {"agg": "count", "where": "x > 1"})
    'curl "http://127.0.0.1:8280/api/v1/timelines/plays/aggregate?agg=count&where=x+%3E+1"'
    """
    query = urlencode({word: text for word, text in words.items() if text})
    return f'curl "{API}/timelines/{name}/aggregate{"?" if query else ""}{query}"'


def form(timelines: Client, spec: Spec) -> None:
    """The form with its answer below."""
    outputs = ", ".join(f"{name} ({node.kind.value})" for name, node in spec.plan.outputs.items())
    ui.label(f"Outputs: {outputs}").classes("text-caption")
    with ui.row().classes("items-end"):
        fields = {
            "agg": ui.input("Columns", value="count", placeholder="count, avg"),
            "group_by": ui.input("Group by"),
            "where": ui.input("Where"),
            "at": ui.input("At", placeholder="8s"),
            "every": ui.input("Every", placeholder="5s"),
        }
        ui.button("Ask", on_click=lambda: ask())
    answer = ui.column().classes("w-full")

    async def ask() -> None:
        words = {word: str(field.value or "").strip() for word, field in fields.items()}
        answer.clear()
        with answer:
            try:
                await _answer(timelines, spec, words)
            except TimelineError as error:
                complain(error)


async def _answer(timelines: Client, spec: Spec, words: dict[str, str]) -> None:
    group = [word.strip() for word in words["group_by"].split(",") if word.strip()]
    asked = await timelines.questions.request(
        spec,
        agg=words["agg"] or None,
        group_by=group,
        where=words["where"] or None,
        top=None,
        by=None,
        at=[parse_time(words["at"])] if words["at"] else None,
        every=parse_duration(words["every"]) if words["every"] else None,
    )
    result = await timelines.questions.aggregate(spec, asked)
    columns: list[dict[str, Any]] = [
        {"name": name, "label": name, "field": name, "align": "left", "sortable": True}
        for name in result.columns
    ]
    rows = [
        {"id": i, **{name: value_text(row[name]) for name in result.columns}}
        for i, row in enumerate(result.rows[:MOST])
    ]
    if "at" in result.columns and len(result.rows) > 1:
        ui.echart(_chart(result.columns, result.rows, group)).classes("w-full").style("height: 260px")
    ui.table(columns=columns, rows=rows, row_key="id", pagination=20).classes("w-full").props("flat dense")
    places = ", ".join("-" if p is None else ".".join(map(str, p)) for p in result.positions)
    more = f"; the first {MOST} of {len(result.rows)} rows" if len(result.rows) > MOST else ""
    ui.label(f"{result.keys} keys; positions {places}{more}").classes("text-caption")
    ui.label(command(spec.name, words)).classes("tl-mono")
    ui.label(request(spec.name, words)).classes("tl-mono")


def _chart(columns: tuple[str, ...], rows: list[dict[str, Any]], group: list[str]) -> dict[str, Any]:
    """A line for each number and group over time."""
    dates = rows[-1]["at"] >= DATED
    label = {} if dates else {"axisLabel": {"formatter": "{value} s"}}
    lines: dict[str, list[list[Any]]] = {}
    for row in rows:
        of = ", ".join(value_text(row[name]) for name in group)
        for name in columns:
            if name not in ("at", *group) and isinstance(row[name], int | float):
                lines.setdefault(f"{name} {of}".strip(), []).append(
                    [row["at"] / (1 if dates else 1000), row[name]]
                )
    return {
        "animation": False,
        "legend": {"type": "scroll", "top": 0, "textStyle": {"color": "#888"}},
        "tooltip": {"trigger": "axis"},
        "grid": {"left": 50, "right": 20, "top": 40, "bottom": 30},
        "useUTC": True,
        "xAxis": {"type": "time" if dates else "value", "min": "dataMin", "max": "dataMax", **label},
        "yAxis": {"type": "value"},
        "series": [
            {"type": "line", "name": name, "data": points, "showSymbol": len(points) < 50}
            for name, points in lines.items()
        ],
    }
