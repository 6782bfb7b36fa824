"""Lanes: every node's timeline of a key, one below the other over one axis of time, as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from timeline.cli.serving.models import Lane, Piece
from timeline.cli.serving.page.drawn import Drawn
from timeline.cli.serving.pieces import value_at
from timeline.pictures.axis import DATED
from timeline.pictures.colours import NUMBER, TRUE, colours_of
from timeline.pictures.texts import value_text

#: Of a lane, between two, above the first, and of what zooms below the last (px).
HEIGHT, GAP, TOP, BELOW = 32, 30, 34, 40
#: Longer values are cut where a lane is named.
LONGEST = 40
#: Pieces of a lane that are drawn, the newest: a chart has about a thousand pixels.
MOST = 2_000


def height(lanes: Sequence[Lane]) -> int:
    """How high (px) the chart of so many lanes is."""
    return TOP + len(lanes) * (HEIGHT + GAP) + BELOW - 16


def scale(drawn: Drawn) -> int:
    """How many ms one of the axis of time is."""
    return 1 if drawn.end >= DATED else 1_000


def moment(tick: int) -> str:
    """A tick as a person reads it: a date where it is one.

    >>> moment(8_000), moment(1_700_000_000_500)
    ('8000 ms', '2023-11-14 22:13:20.500Z')
    """
    if tick < DATED:
        return f"{tick} ms"
    said = datetime.fromtimestamp(tick / 1_000, UTC).isoformat(" ", timespec="milliseconds")
    return said.removesuffix("+00:00").removesuffix(".000") + "Z"


def values(lanes: Sequence[Lane], tick: int) -> list[str]:
    """What each lane is at a moment; or why it is nothing."""
    return [lane.error or value_text(value_at(lane.pieces, tick)) for lane in lanes]


def titles(labels: Sequence[str], said: Sequence[str]) -> list[dict[str, Any]]:
    """What stands above each lane: its value at the cursor, and what it is."""
    return [
        {
            "text": f"{{value|{_plain(value)}}}  {_plain(label)}",
            "left": 4,
            "top": TOP + i * (HEIGHT + GAP) - 22,
            "textStyle": {
                "fontSize": 12,
                "fontWeight": "normal",
                "color": "#8b95a5",
                "rich": {"value": {"fontSize": 12, "fontWeight": "bold", "color": "#ef4444"}},
            },
        }
        for i, (label, value) in enumerate(zip(labels, said, strict=True))
    ]


def _plain(text: str) -> str:
    """A text that has no meaning for the chart's rich texts."""
    cut = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return cut.replace("{", "(").replace("}", ")").replace("|", "\u00a6").replace("\n", " ")


def chart(drawn: Drawn, labels: Sequence[str], at: int) -> dict[str, Any]:
    """The options of the chart; its titles say what the lanes are ``at`` the cursor (ms)."""
    lanes, start, end = drawn.lanes, drawn.start, drawn.end
    tops = [TOP + i * (HEIGHT + GAP) for i in range(len(lanes))]
    dates, per = end >= DATED, scale(drawn)
    last = len(lanes) - 1
    axis = {"type": "time" if dates else "value", "min": start / per, "max": end / per}
    label: dict[str, Any] = {"hideOverlap": True, "color": "#8b95a5"} | (
        {} if dates else {"formatter": "{value} s"}
    )
    zoom = {"xAxisIndex": list(range(len(lanes))), "filterMode": "none", "realtime": True}
    inside = {"type": "inside", "zoomOnMouseWheel": "ctrl", "moveOnMouseMove": False}
    bar = {"type": "slider", "height": 16, "bottom": 8, "left": 50, "right": 20, "showDataShadow": False}
    return {
        "animation": False,
        "useUTC": True,
        "title": titles(labels, values(lanes, at)),
        "grid": [{"left": 50, "right": 20, "top": top, "height": HEIGHT} for top in tops],
        "xAxis": [
            axis
            | {"gridIndex": i, "axisLabel": {"show": i == last, **label}, "axisTick": {"show": i == last}}
            | {"splitLine": {"show": False}}
            for i in range(len(lanes))
        ],
        "yAxis": [_y_axis(i, lane) for i, lane in enumerate(lanes)],
        "dataZoom": [inside | zoom, bar | zoom | {"showDetail": False}],
        "series": [_series(i, lane, (start, end), per) for i, lane in enumerate(lanes)],
    }


def _is_number(lane: Lane) -> bool:
    return lane.kind in ("Numeric", "Ratio")


def _y_axis(index: int, lane: Lane) -> dict[str, Any]:
    axis = {"gridIndex": index, "type": "value", "splitNumber": 1, "splitLine": {"show": False}}
    axis |= {"axisLabel": {"color": "#8b95a5", "showMinLabel": True, "showMaxLabel": True}}
    return axis | ({} if _is_number(lane) else {"min": 0, "max": 1, "show": False})


def _series(index: int, lane: Lane, window: tuple[int, int], scale: int) -> dict[str, Any]:
    start, end = window
    base = {"type": "line", "xAxisIndex": index, "yAxisIndex": index, "showSymbol": False, "silent": True}
    parts = lane.pieces[-MOST:]
    ends = [*(piece.start for piece in parts[1:]), end]
    spans = [
        (piece, max(piece.start, start), min(after, end))
        for piece, after in zip(parts, ends, strict=True)
        if after > start and piece.start < end
    ]
    if _is_number(lane):
        points = [[t / scale, _at(piece, t)] for piece, *both in spans for t in both]
        area = {"areaStyle": {"color": NUMBER, "opacity": 0.2}}
        return base | {"data": points, "lineStyle": {"color": NUMBER}} | area
    colours = colours_of([str(piece.value) for piece in lane.pieces if piece.value is not None])
    areas = [
        [
            {
                "xAxis": begin / scale,
                "name": "" if piece.value is True else str(piece.value),
                "itemStyle": {
                    "color": TRUE if piece.value is True else colours[str(piece.value)],
                    "opacity": 0.85,
                },
            },
            {"xAxis": after / scale},
        ]
        for piece, begin, after in spans
        if piece.value is not None and piece.value is not False
    ]
    shown = {"silent": True, "data": areas, "label": {"color": "#111", "position": "inside"}}
    ground = [[start / scale, 0], [end / scale, 0]]
    return base | {"data": ground, "lineStyle": {"width": 1, "color": "#999"}, "markArea": shown}


def _at(piece: Piece, tick: int) -> float | None:
    if piece.value is None:
        return None
    return float(piece.value) + (piece.slope or 0) * (tick - piece.start) / 1000
