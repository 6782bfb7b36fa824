"""What a node can be asked: values and timelines of its keys, as of its position."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from timeline.engine.state import NodeState
from timeline.errors import NoLifeError, QuarantineError, RetentionError
from timeline.language.output_names import VALUE
from timeline.limits import Limits
from timeline.tables.columns import Columns
from timeline.tables.history import History
from timeline.tables.lateness import final_until, is_closed, is_forgotten, now
from timeline.tables.packing import pack
from timeline.tables.table import Table, Window, lookup
from timeline.values.exact import user_value
from timeline.values.scalars import Scalar, Value
from timeline.values.ticks import format_duration
from timeline.values.vocabulary import I64


class Answers:
    """What a node says of its keys when it is asked; nothing here changes its state."""

    def __init__(self, state: NodeState) -> None:
        self.state = state

    def is_closed(self, code: int) -> bool:
        """Whether no acceptable event can reach what a code stands for."""
        return bool(is_closed(*self._of(code))[0])

    def _of(self, code: int) -> tuple[Limits, I64, int]:
        """What `timeline.tables.lateness` is to tell of a key, or life."""
        state = self.state
        return state.limits, state.by_key.newest[code : code + 1], state.stream_time

    def lives(self, key: str) -> list[int]:
        """The codes of the lives of a key that are known, in order of time; without ``key_ttl`` its one code.

        Raises:
            KeyError: no event of the key was heard of, or it is forgotten.
        """
        state = self.state
        codes = np.array(state.codes_of(key), np.int64)
        newest = state.by_key.newest[codes]
        known = (newest >= 0) & ~is_forgotten(state.limits, newest, state.stream_time)
        if not known.any():
            raise KeyError(key)
        codes = codes[known]
        return [int(code) for code in codes[np.argsort(newest[known], kind="stable")]]

    def find(self, key: str, at: int | None = None) -> int:
        """The code that says the value of a key at a tick: that of the life which covers it. The first covers
        what is before it too, the last what is behind it, and the newest event (``None``).

        Raises:
            KeyError: no event of the key was heard of, or it is forgotten.
            NoLifeError: the tick lies between two lives.
            RetentionError: the life that may have covered it is forgotten.
        """
        by_key, lives, limits = self.state.by_key, self.lives(key), self.state.limits
        ttl, after = limits.key_ttl, limits.forgotten_after
        if at is None or ttl is None:
            return lives[-1]
        begun = np.minimum(by_key.origin[lives], by_key.newest[lives]).tolist()
        place = max(bisect_right(begun, at) - 1, 0)
        if after is not None and at < begun[0] and at < self.state.stream_time - after + ttl:
            raise RetentionError(
                f"of key {key!r} the lives that ended before {self.state.stream_time - after + ttl} ms are "
                f"forgotten (retention {format_duration(limits.retention or 0)}), got {at} ms; ask for a "
                "later time or raise limits.retention"
            )
        end = int(by_key.newest[lives[place]]) + ttl
        if at >= end and place + 1 < len(lives):
            raise NoLifeError(
                f"key {key!r} has no life at {at} ms: one ends at {end} ms, the next begins at "
                f"{begun[place + 1]} ms; ask for a time within a life (timeline lives NAME KEY lists them)"
            )
        return lives[place]

    def known_keys(self) -> list[str]:
        """The names of the keys that can be asked for, in order of appearance."""
        names = map(self.state.key_of_code, self._known().tolist())
        return list(dict.fromkeys(names)) if self.state.limits.key_ttl is not None else list(names)

    def recent_keys(self, most: int) -> list[str]:
        """The names of up to ``most`` keys with the newest events, newest first."""
        state = self.state
        codes = self._latest(self._known())
        if len(codes) > most:
            codes = codes[np.argpartition(-state.by_key.newest[codes], most)[:most]]
        codes = codes[np.argsort(-state.by_key.newest[codes], kind="stable")]
        return [state.key_of_code(code) for code in codes.tolist()]

    def _known(self) -> I64:
        state = self.state
        newest = state.by_key.newest
        return np.flatnonzero((newest >= 0) & ~is_forgotten(state.limits, newest, state.stream_time))

    def _latest(self, known: I64) -> I64:
        """Of known lives the newest of each key."""
        state = self.state
        if state.limits.key_ttl is None:
            return known
        by_time = known[np.argsort(state.by_key.newest[known], kind="stable")].tolist()
        last = {state.key_of_code(code): code for code in by_time}
        return np.sort(np.array(list(last.values()), np.int64))

    def columns(self) -> Columns:
        """What `timeline.aggregate` asks: all keys of all outputs, as they are at the position."""
        state, known = self.state, self._known()
        names = state.keys.names
        if state.limits.key_ttl is not None:
            names = list(map(state.key_of_code, range(len(names))))
        return Columns(
            state.position,
            names,
            known,
            self._latest(known),
            state.by_key.origin,
            state.by_key.newest,
            state.by_key.known_from,
            state.by_key.counted_from,
            state.stream_time,
            state.limits,
            state.quarantined,
            {name: table.whole() for name, (table, _) in self.tables().items()},
            {name: initial for name, (_, initial) in self.tables().items()},
        )

    def tables(self) -> dict[str, tuple[History, Scalar]]:
        """The tables that are asked for, by output, each with its value before a key's origin."""
        state = self.state
        if state.outputs is None:
            return {VALUE: (state.own, state.before_origin)}
        tables = zip((edge.table for edge in state.edges), state.outputs.initials, strict=True)
        return dict(zip(state.outputs.names, tables, strict=True))

    def value(self, key: str, at: int | None) -> tuple[Value, int, bool]:
        """The value of a key at tick ``at`` (where ``None`` at its newest event, or the stream's time, as
        `timeline.tables.lateness.now` says), that tick, and whether no acceptable
        event can change it any more. Of a set of outputs it is theirs, by name.

        Raises:
            RetentionError: ``at`` is older than what is kept.
            QuarantineError: the key has no function.
            NoLifeError: the tick lies between two lives of the key.
            KeyError: no event of the key was heard of, or it is forgotten.
        """
        return self.value_of(self.find(key, at), at)

    def value_of(self, code: int, at: int | None) -> tuple[Value, int, bool]:
        """`value` of the key, or life, that a code stands for."""
        state = self.state
        self._check(code)
        about = self._of(code)
        tick = int(now(*about)[0]) if at is None else at
        final = tick < int(final_until(*about)[0])
        values = {
            name: self._at(table, initial, code, tick) for name, (table, initial) in self.tables().items()
        }
        return values if state.outputs else values[VALUE], tick, final

    def _at(self, history: History, initial: Scalar, code: int, tick: int) -> Scalar:
        state = self.state
        at = pack(np.array([code]), np.array([tick]))
        table = history.view(at)
        row, held = lookup(table, at)
        if held[0]:
            return table.python_value(int(row[0]), tick)
        if tick >= state.by_key.origin[code]:
            rows = history.cut(Window.of_key(code))
            begin = int(rows.tick[0]) if len(rows) else int(state.by_key.known_from[code])
            if state.by_key.known_from[code] >= begin:
                raise RetentionError(
                    f"key {state.key_of_code(code)!r} is known from {begin} ms on, got {tick} ms: when this "
                    "node was started, the nodes that it shares had forgotten what was before; ask for a "
                    "later time, or register a timeline of its own (another source) and feed it anew"
                )
            raise RetentionError(
                f"key {state.key_of_code(code)!r} is kept from {begin} ms on (retention "
                f"{format_duration(state.limits.retention or 0)}), got {tick} ms; "
                "ask for a later time or raise limits.retention"
            )
        return user_value(initial)

    def exact_from(self, key: str) -> dict[str, int]:
        """From when a key's values hold, where that is not its origin: ``exact_from`` (ms) is where they
        begin and are exact; ``counted_from`` is where operators with memory began instead of at the origin.

        Raises:
            KeyError: no event of the key was heard of, or it is forgotten.
        """
        return self.exact_from_of(self.find(key))

    def exact_from_of(self, code: int) -> dict[str, int]:
        """`exact_from` of the key, or life, that a code stands for."""
        state = self.state
        if state.by_key.counted_from[code]:
            return {"counted_from": int(state.by_key.counted_from[code])}
        return {"exact_from": int(state.by_key.known_from[code])} if state.by_key.known_from[code] else {}

    def late_keys(self) -> dict[str, int]:
        """How many keys are not known from their origin on: ``exact_later`` are exact from some tick on,
        for ``counted_later`` operators with memory began anew; without those of which there are none."""
        state = self.state
        codes = self._known()
        counted = int(np.count_nonzero(state.by_key.counted_from[codes]))
        known = int(np.count_nonzero(state.by_key.known_from[codes])) - counted
        return {name: n for name, n in (("exact_later", known), ("counted_later", counted)) if n}

    def timeline(self, key: str, at: int | None = None) -> tuple[Table, int, int]:
        """A key's rows, its origin and its newest tick, of the life that covers a tick (the newest where
        ``None``). A set of outputs has only where the key begins.

        Raises:
            QuarantineError: the key has no function.
            KeyError: no event of the key was heard of, or it is forgotten.
        """
        return self.life(self.find(key, at))

    def life(self, code: int) -> tuple[Table, int, int]:
        """`timeline` of the key, or life, that a code stands for."""
        state = self.state
        self._check(code)
        rows = state.own.cut(Window.of_key(code))
        return rows, int(state.by_key.origin[code]), int(state.by_key.newest[code])

    def _check(self, code: int) -> None:
        state = self.state
        held = state.quarantined.get(code)
        if held is not None:
            raise QuarantineError(
                f"key {state.key_of_code(code)!r} is quarantined since position {list(held.position)}: "
                f"{held.told(state.operator.name)}; once that is fixed: timeline release NAME KEY"
            )
