"""Answers over all keys as a chart; and the question as a command and as a request, to copy."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from timeline.pictures.axis import DATED
from timeline.pictures.texts import value_text

#: What the command line calls otherwise.
OPTIONS = {"start": "from", "end": "to", "group_by": "group-by"}
#: Groups and columns that a chart shows; with more it says nothing.
MOST = 40


def command(name: str, words: Mapping[str, str]) -> str:
    """The question as a command.

    >>> command("plays", {"agg": "count", "group_by": "", "where": "x > 1", "at": "8s", "every": ""})
    "timeline query plays --all --agg count --where 'x > 1' --at 8s"
    """
    options = [f"--{OPTIONS.get(word, word)} {shlex.quote(text)}" for word, text in words.items() if text]
    return " ".join(["timeline query", name, "--all", *options])


def request(api: str, name: str, words: Mapping[str, str]) -> str:
    """The question as an address.

    >>> request("http://127.0.0.1:8280/api/v1", "plays", {"agg": "count", "group_by": "a, b"})
    'http://127.0.0.1:8280/api/v1/timelines/plays/aggregate?agg=count&group_by=a&group_by=b'
    """
    said = [(word, text) for word, text in words.items() if text and word != "group_by"]
    groups = [part.strip() for part in words.get("group_by", "").split(",") if part.strip()]
    query = urlencode([*said, *(("group_by", group) for group in groups)])
    return f"{api}/timelines/{name}/aggregate{'?' if query else ''}{query}"


def height(options: Mapping[str, Any]) -> int:
    """How high (px) a chart is."""
    bars = options["yAxis"].get("data")
    return 260 if bars is None else 90 + 26 * len(bars)


def chart(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], group: Sequence[str], timed: Sequence[str]
) -> dict[str, Any] | None:
    """Lines over time, one for each number and group; at one time bars, one for each group; else nothing.

    >>> rows = [{"time": 1000, "cdn": "C1", "count": 2}, {"time": 1000, "cdn": "C2", "count": 5}]
    >>> options = chart(["time", "cdn", "count"], rows, ["cdn"], ["time"])
    >>> options["yAxis"]["data"], options["series"][0]["data"]
    (['C1', 'C2'], [2, 5])
    >>> rows = [{"time": 1000, "count": 2}, {"time": 2000, "count": 3}]
    >>> options = chart(["time", "count"], rows, [], ["time"])
    >>> options["series"][0]["data"]
    [[1.0, 2], [2.0, 3]]
    """
    time = timed[0] if timed else None
    numbers = [
        name
        for name in columns
        if name not in (*timed, "key", *group)
        and any(isinstance(row[name], int | float) and not isinstance(row[name], bool) for row in rows)
    ]
    if not numbers or not rows:
        return None
    if time is not None and len({row[time] for row in rows}) > 1 and "key" not in columns:
        return _lines(time, numbers, rows, group)
    named = list(group) or (["key"] if "key" in columns else [])
    return _bars(numbers, rows[:MOST], named) if named else None


def _name(row: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(value_text(row[name]) for name in names)


LINES = {"splitLine": {"lineStyle": {"color": "#8884"}}}
COMMON: dict[str, Any] = {
    "animation": False,
    # Seen on light and on dark.
    "color": ["#3b82f6", "#f59e0b", "#10b981", "#ec4899", "#8b5cf6", "#f97316", "#06b6d4", "#84cc16"],
    "legend": {"type": "scroll", "top": 0, "textStyle": {"color": "#8b95a5"}},
    "tooltip": {"trigger": "axis", "confine": True},
    "useUTC": True,
}


def _lines(
    time: str, numbers: Sequence[str], rows: Sequence[Mapping[str, Any]], group: Sequence[str]
) -> dict[str, Any]:
    dates = rows[-1][time] >= DATED
    label = {} if dates else {"axisLabel": {"formatter": "{value} s"}}
    lines: dict[str, list[list[Any]]] = {}
    for row in rows:
        for name in numbers:
            of = f"{name} {_name(row, group)}".strip()
            if of in lines or len(lines) < MOST:
                lines.setdefault(of, []).append([row[time] / (1 if dates else 1000), row[name]])
    return COMMON | {
        "grid": {"left": 50, "right": 20, "top": 40, "bottom": 30},
        "xAxis": {"type": "time" if dates else "value", "min": "dataMin", "max": "dataMax", **label},
        "yAxis": {"type": "value", **LINES},
        "series": [
            {"type": "line", "name": name, "data": points, "showSymbol": len(points) < 50}
            for name, points in lines.items()
        ],
    }


def _bars(numbers: Sequence[str], rows: Sequence[Mapping[str, Any]], named: Sequence[str]) -> dict[str, Any]:
    label = {"width": 90, "overflow": "truncate"}
    return COMMON | {
        "grid": {"left": 100, "right": 40, "top": 40, "bottom": 30},
        "xAxis": {"type": "value", **LINES},
        "yAxis": {
            "type": "category",
            "inverse": True,
            "data": [_name(row, named) for row in rows],
            "axisLabel": label,
        },
        "series": [
            {
                "type": "bar",
                "name": name,
                "barMaxWidth": 18,
                "data": [row[name] for row in rows],
                "label": {"show": len(numbers) == 1, "position": "right", "color": "#8b95a5"},
            }
            for name in numbers
        ],
    }
