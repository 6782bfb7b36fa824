"""What a node can be asked: values and timelines of its keys, as of its position."""

from __future__ import annotations

import numpy as np

from timeline.engine.edge import Edge
from timeline.engine.quarantine import Quarantine
from timeline.errors import QuarantineError, RetentionError
from timeline.language.output_names import VALUE
from timeline.limits import Limits
from timeline.operators.base import Operator
from timeline.operators.outputs import Outputs
from timeline.tables.columns import Columns
from timeline.tables.events import Position
from timeline.tables.packing import pack
from timeline.tables.splicing import cut
from timeline.tables.table import Table, Window, lookup
from timeline.values.exact import user_value
from timeline.values.scalars import Scalar, Value
from timeline.values.ticks import format_duration
from timeline.values.vocabulary import I64, Keys


class Answers:
    """The part of a `timeline.engine.node.Node` that is read and not written: how it is asked.

    ``origin`` and ``newest`` (ms) are those of each key code; ``stream_newest`` is that of all.
    ``known_from`` (ms, by code) is where the key's function begins if that is later than its origin,
    because the node was started over others that had forgotten what came before; 0 otherwise.
    ``counted_from`` likewise is where operators with memory began, here or below; 0: at the origin.
    ``quarantined`` are the codes of the keys that have no function, because the operator raises for
    them or a child has none.
    """

    operator: Operator
    outputs: Outputs | None
    edges: list[Edge]
    before_origin: Scalar
    limits: Limits
    position: Position | None
    keys: Keys
    origin: I64
    newest: I64
    known_from: I64
    counted_from: I64
    stream_newest: int
    quarantined: dict[int, Quarantine]
    own: Table

    def idle(self, code: int) -> int:
        """For how long (ms) a key has had no event, by the newest event of its stream."""
        return self.stream_newest - int(self.newest[code])

    def find(self, key: str) -> int:
        """The code of a key that is known, and not forgotten.

        Raises:
            KeyError: no event of the key was heard of.
        """
        code = self.keys.find(key)
        after = self.limits.forgotten_after
        if code is None or self.newest[code] < 0 or (after is not None and self.idle(code) >= after):
            raise KeyError(key)
        return code

    def known_keys(self) -> list[str]:
        """The names of the keys that can be asked for, in order of appearance."""
        return [self.keys.names[code] for code in self._known().tolist()]

    def recent_keys(self, most: int) -> list[str]:
        """The names of up to ``most`` keys with the newest events, newest first."""
        codes = self._known()
        if len(codes) > most:
            codes = codes[np.argpartition(-self.newest[codes], most)[:most]]
        codes = codes[np.argsort(-self.newest[codes], kind="stable")]
        return [self.keys.names[code] for code in codes.tolist()]

    def _known(self) -> I64:
        known = self.newest >= 0
        after = self.limits.forgotten_after
        if after is not None:
            known &= self.stream_newest - self.newest < after
        return np.flatnonzero(known)

    def columns(self) -> Columns:
        """What `timeline.aggregate` asks: all keys of all outputs, as they are at the position."""
        return Columns(
            self.position,
            self.keys.names,
            self._known(),
            self.origin,
            self.newest,
            self.stream_newest,
            self.limits,
            self.quarantined,
            {name: table for name, (table, _) in self.tables().items()},
        )

    def tables(self) -> dict[str, tuple[Table, Scalar]]:
        """The tables that are asked for, by output, each with its value before a key's origin."""
        if self.outputs is None:
            return {VALUE: (self.own, self.before_origin)}
        tables = zip((edge.table for edge in self.edges), self.outputs.initials, strict=True)
        return dict(zip(self.outputs.names, tables, strict=True))

    def value(self, key: str, at: int | None) -> tuple[Value, int, bool]:
        """The value of a key at tick ``at`` (its newest event's where ``None``), that tick, and whether
        no acceptable event can change it any more. Of a set of outputs it is theirs, by name.

        Raises:
            RetentionError: ``at`` is older than what is kept.
            QuarantineError: the key has no function.
            KeyError: no event of the key was heard of, or it is forgotten.
        """
        code = self.find(key)
        self._check(code)
        newest = int(self.newest[code])
        tick = newest if at is None else at
        lateness, ttl = self.limits.allowed_lateness, self.limits.key_ttl
        final = lateness is not None and tick < newest - lateness
        final |= ttl is not None and self.idle(code) >= ttl
        values = {
            name: self._at(table, initial, code, tick) for name, (table, initial) in self.tables().items()
        }
        return values if self.outputs else values[VALUE], tick, final

    def _at(self, table: Table, initial: Scalar, code: int, tick: int) -> Scalar:
        row, held = lookup(table, pack(np.array([code]), np.array([tick])))
        if held[0]:
            return table.python_value(int(row[0]), tick)
        if tick >= self.origin[code]:
            rows = cut(table, Window.of_key(code))
            begin = int(rows.tick[0]) if len(rows) else int(self.known_from[code])
            if self.known_from[code] >= begin:
                raise RetentionError(
                    f"key {self.keys.names[code]!r} is known from {begin} ms on, got {tick} ms: when this "
                    "node was started, the nodes that it shares had forgotten what was before; ask for a "
                    "later time, or register a timeline of its own (another source) and feed it anew"
                )
            raise RetentionError(
                f"key {self.keys.names[code]!r} is kept from {begin} ms on (retention "
                f"{format_duration(self.limits.retention or 0)}), got {tick} ms; "
                "ask for a later time or raise limits.retention"
            )
        return user_value(initial)

    def exact_from(self, key: str) -> dict[str, int]:
        """From when a key's values hold, where that is not its origin: ``exact_from`` (ms) is where they
        begin and are exact; ``counted_from`` is where operators with memory began instead of at the origin.

        Raises:
            KeyError: no event of the key was heard of, or it is forgotten.
        """
        code = self.find(key)
        if self.counted_from[code]:
            return {"counted_from": int(self.counted_from[code])}
        return {"exact_from": int(self.known_from[code])} if self.known_from[code] else {}

    def late_keys(self) -> dict[str, int]:
        """How many keys are not known from their origin on: ``exact_later`` are exact from some tick on,
        for ``counted_later`` operators with memory began anew; without those of which there are none."""
        codes = self._known()
        counted = int(np.count_nonzero(self.counted_from[codes]))
        known = int(np.count_nonzero(self.known_from[codes])) - counted
        return {name: n for name, n in (("exact_later", known), ("counted_later", counted)) if n}

    def timeline(self, key: str) -> tuple[Table, int, int]:
        """A key's rows, its origin and its newest tick. A set of outputs has only where the key begins.

        Raises:
            QuarantineError: the key has no function.
            KeyError: no event of the key was heard of, or it is forgotten.
        """
        code = self.find(key)
        self._check(code)
        rows = cut(self.own, Window.of_key(code))
        return rows, int(self.origin[code]), int(self.newest[code])

    def _check(self, code: int) -> None:
        held = self.quarantined.get(code)
        if held is not None:
            raise QuarantineError(
                f"key {self.keys.names[code]!r} is quarantined since position {list(held.position)}: "
                f"{self._reason(held)}; once that is fixed: timeline release NAME KEY"
            )

    def _reason(self, held: Quarantine) -> str:
        return f"{held.error} (in {self.operator.name})" if held.own else held.error
