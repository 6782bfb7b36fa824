"""Lanes: every node's timeline of a key, one below the other over one axis of time, as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timeline.cli.serving.models import Lane, Piece
from timeline.pictures.axis import DATED
from timeline.pictures.colours import NUMBER, TRUE, colours_of

#: Of a lane, between two, above the first (px).
HEIGHT, GAP, TOP = 36, 30, 34
CURSOR = "#ef4444"


def height(lanes: Sequence[Lane]) -> int:
    """How high (px) the chart of so many lanes is."""
    return TOP + len(lanes) * (HEIGHT + GAP) + 10


def chart(lanes: Sequence[Lane], labels: Sequence[str], start: int, end: int, at: int) -> dict[str, Any]:
    """The options of the chart from ``start`` to ``end``, with the cursor at ``at`` (ms)."""
    tops = [TOP + i * (HEIGHT + GAP) for i in range(len(lanes))]
    dates = end >= DATED
    scale = 1 if dates else 1000
    last = len(lanes) - 1
    axis = {"type": "time" if dates else "value", "min": start / scale, "max": end / scale}
    label = {} if dates else {"formatter": "{value} s"}
    return {
        "animation": False,
        "useUTC": True,
        "title": [
            {"text": text, "left": 4, "top": top - 22, "textStyle": {"fontSize": 12, "color": "#888"}}
            for text, top in zip(labels, tops, strict=True)
        ],
        "grid": [{"left": 50, "right": 20, "top": top, "height": HEIGHT} for top in tops],
        "xAxis": [
            axis
            | {"gridIndex": i, "axisLabel": {"show": i == last, **label}, "axisTick": {"show": i == last}}
            | {"splitLine": {"show": False}}
            for i in range(len(lanes))
        ],
        "yAxis": [_y_axis(i, lane) for i, lane in enumerate(lanes)],
        "dataZoom": [{"type": "inside", "xAxisIndex": list(range(len(lanes)))}],
        "series": [_series(i, lane, (start, end), at, scale) for i, lane in enumerate(lanes)],
    }


def _is_number(lane: Lane) -> bool:
    return lane.kind in ("Numeric", "Ratio")


def _y_axis(index: int, lane: Lane) -> dict[str, Any]:
    axis = {"gridIndex": index, "type": "value", "splitNumber": 1, "splitLine": {"show": False}}
    return axis | ({} if _is_number(lane) else {"min": 0, "max": 1, "show": False})


def _series(index: int, lane: Lane, window: tuple[int, int], at: int, scale: int) -> dict[str, Any]:
    start, end = window
    cursor = {
        "silent": True,
        "symbol": "none",
        "label": {"show": False},
        "lineStyle": {"color": CURSOR, "type": "solid", "width": 2},
        "data": [{"xAxis": at / scale}],
    }
    base = {"type": "line", "xAxisIndex": index, "yAxisIndex": index, "showSymbol": False, "markLine": cursor}
    ends = [*(piece.start for piece in lane.pieces[1:]), end]
    spans = [
        (piece, max(piece.start, start), min(after, end))
        for piece, after in zip(lane.pieces, ends, strict=True)
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
