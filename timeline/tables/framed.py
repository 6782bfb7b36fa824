"""What answers with rows is a table to others: to whatever speaks Arrow, to a person, to a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from timeline.errors import NotFoundError
from timeline.values.kinds import Kind

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

#: So many rows of an answer are shown, and so many characters of a value.
SHOWN_ROWS = 10
SHOWN_CHARS = 40


class Framed:
    """Gives what has ``to_arrow`` to dataframes, and shows its first rows."""

    __slots__ = ()

    def to_arrow(self) -> pyarrow.Table:
        """The rows as a table."""
        raise NotImplementedError

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows for whatever speaks Arrow: ``polars.DataFrame(answer)``, or DuckDB by its name."""
        table: Any = self.to_arrow()
        stream: object = table.__arrow_c_stream__(requested_schema)
        return stream

    def to_pandas(self, **when: Any) -> pandas.DataFrame:
        """``to_arrow(**when)`` as a DataFrame of pandas.

        Raises:
            NotFoundError: pandas is not installed.
        """
        try:
            return self.to_arrow(**when).to_pandas()
        except ModuleNotFoundError:
            raise _missing("pandas") from None

    def to_polars(self, **when: Any) -> polars.DataFrame:
        """``to_arrow(**when)`` as a DataFrame of Polars.

        Raises:
            NotFoundError: Polars is not installed.
        """
        try:
            import polars
        except ModuleNotFoundError:
            raise _missing("polars") from None
        return polars.DataFrame(self.to_arrow(**when))

    def _head(self) -> tuple[pyarrow.Table, int]:
        """The first rows, and how many there are."""
        table = self.to_arrow()
        return table.slice(0, SHOWN_ROWS), table.num_rows

    def _title(self) -> str:
        """A line over the rows."""
        raise NotImplementedError

    def __repr__(self) -> str:
        names, rows, more = self._shown()
        widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
        lines = (
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
            for line in (names, *rows)
        )
        return "\n".join([self._title(), *lines, *more])

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        names, rows, more = self._shown()

        def row(tag: str, texts: Sequence[str]) -> str:
            return f"<tr>{''.join(f'<{tag}>{html.escape(text)}</{tag}>' for text in texts)}</tr>"

        body = "".join(row("td", texts) for texts in rows)
        below = "".join(f"<p>{html.escape(line)}</p>" for line in more)
        title = html.escape(self._title())
        return f"<table><caption>{title}</caption>{row('th', names)}{body}</table>{below}"

    def _shown(self) -> tuple[list[str], list[list[str]], list[str]]:
        table, count = self._head()
        rows = [[_text(value) for value in row.values()] for row in table.to_pylist()]
        more = count - len(rows)
        return table.column_names, rows, [f"... and {many(more, 'more row')}"] if more else []


def many(count: int, what: str) -> str:
    """How many there are.

    >>> many(1, "key"), many(2_000, "key")
    ('1 key', '2,000 keys')
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _text(value: Any) -> str:
    if isinstance(value, str):
        text = value
    elif isinstance(value, datetime):
        text = value.isoformat(timespec="milliseconds" if value.microsecond else "seconds")
    else:
        text = orjson.dumps(value, default=str).decode()
    # One line each, whatever is in it.
    text = text.encode("unicode_escape").decode() if not text.isprintable() else text
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"


def _missing(package: str) -> NotFoundError:
    return NotFoundError(f"{package} is not installed; pip install {package}, or take to_arrow()")


def arrow_column(values: Sequence[Any], kind: Kind) -> pyarrow.Array[Any]:
    """The values of an output of a kind, as users see them: Bools ``bool``, numbers ``float64``. A State has
    the type of its values: text, numbers or booleans; where they differ, every value is JSON text.

    >>> arrow_column(["a", None], Kind.STATE).type, arrow_column([1, True], Kind.STATE).to_pylist()
    (DataType(string), ['1', 'true'])
    """
    import pyarrow as pa

    if kind is Kind.STATE:
        return _states(values)
    if kind is Kind.BOOL:
        return pa.array(values, pa.bool_())
    # Arrow refuses whole numbers that no float is equal to.
    return pa.array([None if v is None else float(v) for v in values], pa.float64())


def _states(values: Sequence[Any]) -> pyarrow.Array[Any]:
    import pyarrow as pa

    known = [v for v in values if v is not None]
    kinds = {bool if isinstance(v, bool) else str if isinstance(v, str) else float for v in known}
    if len(kinds) > 1:
        return pa.array([None if v is None else orjson.dumps(v).decode() for v in values], pa.string())
    if kinds != {float}:
        return pa.array(values, pa.bool_() if kinds == {bool} else pa.string())
    if all(isinstance(v, int) and abs(v) < 1 << 63 for v in known):
        return pa.array(values, pa.int64())
    return pa.array([None if v is None else float(v) for v in values], pa.float64())


def time_column(ticks: Any, zone: str | None) -> pyarrow.Array[Any]:
    """Ticks as timestamps of a zone ("": without one), or as numbers (``None``).

    >>> time_column([1000], "UTC").type, time_column([1000], None).type
    (TimestampType(timestamp[ms, tz=UTC]), DataType(int64))
    """
    import pyarrow as pa

    times = pa.array(ticks, pa.int64())
    return times if zone is None else times.cast(pa.timestamp("ms", zone or None))
