"""What a question over all keys comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from timeline.aggregate.request import Request
from timeline.tables.events import Position
from timeline.tables.framed import Framed, many
from timeline.values.kinds import Kind

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True, slots=True)
class Excluded:
    """How many keys had no value at a tick (``at`` is ``None`` for each key's newest event), and why."""

    at: int | None
    reason: str
    keys: int

    def to_json(self) -> dict[str, Any]:
        return {"time": self.at, "reason": self.reason, "keys": self.keys}


@dataclass(frozen=True, slots=True, repr=False)
class Result(Framed):
    """An answer. ``columns`` are the names of what every row has; ``positions`` those of the streams
    that it stands on, in the order of the partials.

    ``timed`` are the columns that say when (ms): ``time``, or ``from`` and ``to``, or none; ``at`` beside an
    output named time.

    ``errors`` has the columns that are not exact, with how far from the true value they may be, as a
    part of it. ``forgotten_before`` (ms): keys without an event since then may be in no count.
    ``kinds`` are those of the outputs, as far as whoever merged knew them. ``counted``: of how many keys in
    it operators with memory began later than at the key's origin (rows of keys say so each); the last of
    them at ``counted_from`` (ms).
    """

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    positions: list[Position | None]
    keys: int
    excluded: list[Excluded]
    errors: dict[str, float] = field(default_factory=dict)
    forgotten_before: int | None = None
    request: Request = field(default_factory=Request)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    counted: int = 0
    counted_from: int | None = None
    timed: tuple[str, ...] = ()
    #: That of times in tables, as of `timeline.tables.framed.time_column`.
    zone: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The answer as JSON, its positions by the number of the stream."""
        return {
            "columns": list(self.columns),
            "rows": self.rows,
            "positions": {str(stream): position for stream, position in enumerate(self.positions)},
            "keys": self.keys,
            "excluded": [one.to_json() for one in self.excluded],
            "errors": self.errors,
            "forgotten_before": self.forgotten_before,
            **({"counted": {"keys": self.counted, "from": self.counted_from}} if self.counted else {}),
        }

    def inexact(self) -> list[str]:
        """What to say of each column that is not exact."""
        functions = {a.label: a.function for a in self.request.aggregates}
        often = {label: ", in 95 of 100 answers" for label in functions if functions[label] == "distinct"}
        return [
            f"{label} is within {error:.1%} of its value{often.get(label, '')}"
            for label, error in self.errors.items()
        ]

    def _title(self) -> str:
        return f"{many(len(self.rows), 'row')} of {many(self.keys, 'key')}"

    def to_arrow(self) -> pyarrow.Table:
        """The rows as a table: `timeline.aggregate.arrow.to_arrow` says which types its columns have. If some
        keys were counted from later than their origin, the table's metadata say ``counted_keys`` and
        ``counted_from``.

        >>> from timeline.aggregate import kinds_of, merge, partial
        >>> from timeline.local.evaluate import evaluate
        >>> from timeline.tables.events import from_rows
        >>> local = evaluate("{cdn: latest_event_to_state(cdn)}", from_rows([("s", 1, {"cdn": "A"})]))
        >>> request = Request.parse(kinds_of(local.plan), group_by=["cdn"])
        >>> merge(request, [partial(local, request)]).to_arrow().to_pydict()
        {'cdn': ['A'], 'count': [1]}
        """
        from timeline.aggregate.arrow import to_arrow

        functions = {a.label: a.function for a in self.request.aggregates}
        table = to_arrow(self.columns, self.rows, functions, self.kinds, self.timed, self.zone)
        if self.counted:
            late = {"counted_keys": str(self.counted), "counted_from": str(self.counted_from)}
            table = table.replace_schema_metadata(late)
        return table
