"""All that one node of a plan knows on one stream, and the one place where it is kept.

`Node` computes with it, `Answers` reads it, `Shrinking` decides what of it may be forgotten, and
`timeline.engine.state_wire` carries it; none of them knows how keys get other codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from timeline.engine.admission import Refused
from timeline.engine.edge import Edge
from timeline.engine.key_columns import FIRST, KeyColumn, KeyColumns
from timeline.engine.lives import Lives
from timeline.engine.mark_log import MarkLog
from timeline.engine.quarantine import Quarantine
from timeline.limits import Limits
from timeline.operators.base import Leaf, Operator, own_table
from timeline.operators.outputs import Outputs
from timeline.tables.changes import Changes, Notes, distinct_of
from timeline.tables.events import Position
from timeline.tables.history import History
from timeline.tables.packing import begin_of, first_of_keys, key_of, packed, recode, start_of, tick_of
from timeline.tables.table import Table, Window, empty
from timeline.values.kinds import Kind
from timeline.values.life_names import LifeKeys, key_named
from timeline.values.scalars import Scalar
from timeline.values.shared_keys import SharedKeys
from timeline.values.vocabulary import I64, NULL_CODE, Keys, Vocabulary


class NodeState:
    """``position`` is the place in the stream that the node's table stands for (``None`` before the first
    batch), ``own`` that table; ``edges`` are what is known of the inputs (a leaf's one is its raw events).

    ``stream_time`` (ms) is the newest event of all, or a later mark; -1: there was none. ``quarantined`` are
    the codes of the keys that have no function, because the operator raises for them or a child has none.
    ``sent_names`` and ``sent_values`` are how many names and values the parents know.
    """

    def __init__(
        self,
        operator: Operator,
        kinds: Sequence[Kind],
        limits: Limits,
        before_origin: Scalar = None,
        columns: Mapping[str, KeyColumn] | None = None,
    ) -> None:
        self.operator = operator
        self.before_origin = before_origin
        self.limits = limits
        self.position: Position | None = None
        has_lives = limits.key_ttl is not None
        #: With ``key_ttl`` every life is a key of its own.
        self.keys: Keys = LifeKeys() if has_lives else SharedKeys()
        self.lives = Lives(limits, LifeKeys()) if self.leaf is not None and has_lives else None
        self.by_key = KeyColumns({**(columns or {}), **({"first": FIRST} if self.lives else {})})
        self.stream_time = -1
        #: A leaf's.
        self.marks = MarkLog()
        self.accepted = 0
        self.refused = Refused()
        self.name([])
        self.quarantined: dict[int, Quarantine] = {}
        if self.leaf is not None:
            inputs = [self.leaf.empty_raw()]
        else:
            inputs = [empty(k, Vocabulary() if k is Kind.STATE else None) for k in kinds]
        self.edges = [Edge(History(table)) for table in inputs]
        self.own = History(own_table(operator, inputs[0].vocabulary))
        self.sent_names = 0
        self.sent_values = 1
        #: Whether keys or values have other codes than when the state was last written.
        self.recoded = True

    @property
    def leaf(self) -> Leaf | None:
        """The operator if it reads events."""
        return self.operator if isinstance(self.operator, Leaf) else None

    @property
    def outputs(self) -> Outputs | None:
        """The operator if it is a set of outputs."""
        return self.operator if isinstance(self.operator, Outputs) else None

    # --- keys ------------------------------------------------------------------------------------

    def name(self, names: Sequence[str]) -> None:
        """Gives the codes from 0 on to these keys, and to no others."""
        self.keys = type(self.keys)(names)
        if self.lives is not None:
            assert isinstance(self.keys, LifeKeys)
            self.lives.become(self.keys)

    def key_of_code(self, code: int) -> str:
        """The key that a code stands for, or a life of which it stands for."""
        name = self.keys.name(code)
        return key_named(name) if isinstance(self.keys, LifeKeys) else name

    def codes_of(self, key: str) -> Sequence[int]:
        """The code of a key, or those of its lives, in order of appearance."""
        if isinstance(self.keys, LifeKeys):
            return self.keys.lives_of(key)
        code = self.keys.find(key)
        return [] if code is None else [code]

    def encode(self, names: Sequence[str]) -> I64:
        """The codes of keys, new ones added."""
        codes = self.keys.encode(names)
        self.by_key.grow(len(self.keys))
        return codes

    def hear(self, heard: I64) -> None:
        """Takes note of the newest events of keys, packed, one a key."""
        key, tick = key_of(heard), tick_of(heard)
        self.by_key.touch(key)
        self.by_key.newest[key] = np.maximum(self.by_key.newest[key], tick)
        if len(tick):
            self.stream_time = max(self.stream_time, int(tick.max()))

    def join(self, joined: I64, into: I64) -> I64:
        """Moves the raw rows of lives that are part of others now; returns where those begin in these.

        Such a life lies above the watermark: all its raw rows are still there.
        """
        assert self.leaf is not None
        raw = self.edges[0].table
        every = np.union1d(joined, into)
        codes = np.arange(len(self.keys))
        codes[joined] = into
        rows = raw.behind(Window(start_of(every)))
        rows = replace(rows, at=recode(rows.at, codes))
        rows = self.leaf.thin(rows.take(np.argsort(rows.at, kind="stable")))
        raw.put(Window(start_of(np.unique(into))), rows)
        raw.remove(joined)
        return packed(into, self.by_key["first"][joined])

    def bear(self, codes: I64) -> dict[int, str | None]:
        """Forgets the function of keys that begin anew; returns those that are no longer set apart."""
        if not len(codes):
            return {}
        self.own.remove(codes)
        self.by_key.bear(codes)
        released: dict[int, str | None] = {}
        for code in codes.tolist():
            held = self.quarantined.get(code)
            if held is not None and held.own:
                del self.quarantined[code]
                released[code] = None
        return released

    def bury(self, codes: I64) -> dict[int, str | None]:
        """Forgets lives that are part of others now; returns those that are no longer set apart."""
        released = self.bear(codes)
        self.by_key.newest[codes] = -1
        return released

    def absorb(self, new: Table) -> I64:
        """Folds the raw rows of a batch into a leaf's; returns where those that matter begin, by key."""
        assert self.leaf is not None
        raw = self.edges[0].table
        begin = new.at[new.first_rows()]
        # A row more than those that they come among: whether it still matters may depend on them.
        seen = raw.view(begin_of(begin)) if self.leaf.needs_whole else raw.view(begin, more=1)
        folded = self.leaf.thin(self.leaf.absorb(seen, new))
        raw.replace(seen, folded)
        new_at = new.at[np.isin(new.at, folded.at, assume_unique=True)]
        return new_at[first_of_keys(new_at)]

    def forget(self, dead: I64) -> None:
        """Drops all rows of keys (their codes stay)."""
        self.own.remove(dead)
        for edge in self.edges:
            edge.table.remove(dead)
        for code in dead.tolist():
            self.quarantined.pop(code, None)
            for edge in self.edges:
                edge.quarantined.pop(code, None)

    def named_by_children(self) -> I64:
        """The codes that a child may still speak of, or has."""
        codes = [code for edge in self.edges for code in edge.named()]
        return np.unique(np.concatenate([np.empty(0, np.int64), *codes]))

    def renumber(self, kept: I64) -> None:
        """Only the keys of these codes stay, in their order; the next patch says all names anew."""
        new = np.full(len(self.keys), -1, np.int64)
        new[kept] = np.arange(len(kept))
        self.by_key.renumber(kept)
        self.name([self.keys.name(code) for code in kept.tolist()])
        rows = self.own.whole()
        self.own.become(replace(rows, at=recode(rows.at, new)))
        self.quarantined = {int(new[code]): held for code, held in self.quarantined.items()}
        for edge in self.edges:
            edge.renumber(new)
        self.sent_names = 0
        self.recoded = True

    # --- values ----------------------------------------------------------------------------------

    def vocabularies(self) -> Sequence[Vocabulary]:
        """Those of the tables, each once."""
        tables = [self.own, *(edge.table for edge in self.edges)]
        found = {id(t.vocabulary): t.vocabulary for t in tables if t.kind is Kind.STATE}
        return [v for v in found.values() if v is not None]

    def used_values(self, vocabulary: Vocabulary) -> I64:
        """The codes of a vocabulary that a row has, or a child may still name."""
        used = np.zeros(len(vocabulary), bool)
        used[NULL_CODE] = True
        for table in (self.own.whole(), *(t for edge in self.edges for t in edge.tables())):
            if table.vocabulary is vocabulary:
                used[table.value] = True
        for edge in self.edges:
            if edge.table.vocabulary is vocabulary:
                used[edge.value_codes] = True
        return np.flatnonzero(used)

    def rewrite(self, vocabulary: Vocabulary, kept: I64) -> None:
        """Only the values of these codes stay; the next patch says all values anew if they are its own."""
        new = np.full(len(vocabulary), -1, np.int64)
        new[kept] = np.arange(len(kept))
        smaller = Vocabulary([vocabulary.values[code] for code in kept.tolist()[1:]])

        def rewritten(table: Table) -> Table:
            if table.vocabulary is not vocabulary:
                return table
            return replace(table, value=new[table.value], vocabulary=smaller)

        self.recoded = True
        if self.own.vocabulary is vocabulary:
            self.sent_values = 1
        self.own.become(rewritten(self.own.whole()))
        for edge in self.edges:
            if edge.table.vocabulary is vocabulary:
                edge.value_codes = new[edge.value_codes]
            edge.table.become(rewritten(edge.table.whole()))
            edge.pending = [replace(p, rows=rewritten(p.rows)) for p in edge.pending]

    # --- changes ---------------------------------------------------------------------------------

    @property
    def tables(self) -> list[History]:
        """Its own, and those of its inputs."""
        return [self.own, *(edge.table for edge in self.edges)]

    def follow(self) -> None:
        """Notes from now on what changes."""
        self.by_key.changes = Notes(distinct_of)
        for table in self.tables:
            table.changes = Changes()

    def size(self) -> int:
        """Rows, keys and values that the node holds."""
        size = len(self.own) + len(self.keys) + sum(len(edge.table) for edge in self.edges)
        return size + sum(len(v) for v in self.vocabularies())
