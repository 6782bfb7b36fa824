"""Numbers as lines: their scale, and the points that a line goes through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from timeline.pictures.lanes import Lane, Span, number_at
from timeline.values.kinds import Kind


@dataclass(frozen=True, slots=True)
class Scale:
    """From where to where numbers go; zero is within, and it is never empty."""

    low: float
    high: float


def scale_of(parts: Sequence[Span]) -> Scale | None:
    """The scale of what is drawn; ``None`` if nothing is.

    >>> scale_of([Span(0, 5, 2.0, 3.0), Span(5, 9, -1.0, -1.0)]), scale_of([])
    (Scale(low=-1.0, high=3.0), None)
    """
    ends = [float(end) for part in parts for end in (part.value, part.last) if isinstance(end, int | float)]
    if not ends:
        return None
    low, high = min(0.0, *ends), max(0.0, *ends)
    return Scale(low, high if high > low else low + 1)


def number_text(value: float) -> str:
    """A number as a scale says it.

    >>> number_text(3.0), number_text(0.25), number_text(1234567.25), number_text(2.5e20)
    ('3', '0.25', '1,234,567', '2.5e+20')
    """
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.5g}"


def points_of(
    lane: Lane, parts: Sequence[Span], start: int, end: int, width: int
) -> Iterator[list[tuple[float, float]]]:
    """Lines of points, in px and numbers; a new one behind what is not known.

    Of more points than there are columns each column keeps its first, lowest, highest and last.
    """
    line: list[tuple[float, float]] = []
    a_tick = width / (end - start)
    for part in parts:
        if not isinstance(part.value, int | float) or part.last is None:
            if line:
                yield _thinned(line, width)
            line = []
            continue
        line.append(((part.start - start) * a_tick, float(part.value)))
        if lane.kind is Kind.RATIO:
            line += _curve(lane, part, start, a_tick)
        line.append(((part.end - start) * a_tick, part.last))
    if line:
        yield _thinned(line, width)


def _curve(lane: Lane, part: Span, start: int, a_tick: float) -> Iterator[tuple[float, float]]:
    """A quotient of two lines is none itself: points of every fourth column."""
    for column in range(int((part.start - start) * a_tick) + 4, int((part.end - start) * a_tick), 4):
        value = number_at(lane, start + round(column / a_tick))
        if value is not None:
            yield float(column), float(value)


def _thinned(line: list[tuple[float, float]], width: int) -> list[tuple[float, float]]:
    if len(line) <= 4 * width:
        return line
    columns: dict[int, list[tuple[float, float]]] = {}
    for point in line:
        columns.setdefault(int(point[0]), []).append(point)
    kept: list[tuple[float, float]] = []
    for points in columns.values():
        lowest, highest = (of(range(len(points)), key=lambda i: points[i][1]) for of in (min, max))
        kept += [points[i] for i in sorted({0, lowest, highest, len(points) - 1})]
    return kept
