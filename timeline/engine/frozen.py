"""Frozen pieces: what a fragment carries on without writing it again.

A carried state is an *active* part, written anew each time, and *pieces*, which never change: each is a
layer of what became new before it was frozen (`timeline.engine.layers`). When the active part has grown it
becomes a piece. Pieces that are not much larger than the one behind them are written anew together with
it, so that there are few, and a row is written a few times however many there are. Once more than half of
what they hold is superseded, all is written anew as one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from timeline.engine.layers import Following, NodeExtent, joined, put_layer, size_of, to_layer
from timeline.engine.state import NodeState
from timeline.engine.state_wire import LAYERED, from_head, from_whole, opened, to_head
from timeline.errors import WireError
from timeline.tables.bounds import Budget
from timeline.tables.columnar import from_bytes, to_bytes
from timeline.tables.wire import Wire

#: An active part of so many bytes becomes a piece.
FREEZE_AT = 64 << 10
#: A piece is written anew with what comes behind it unless it is so many times as large.
TIMES = 2
#: Of the room that what is read together has (`timeline.tables.bounds`): a piece's and the active part's.
#: There are never as many as 32 pieces: each is `TIMES` as large as the next one.
PIECE_SHARE, ACTIVE_SHARE = 1 / 64, 1 / 2
#: All is written anew once the pieces hold so many times what there is.
WORN = 2


@dataclass(frozen=True, slots=True)
class Piece:
    """A frozen piece: its name and bytes, what part of each node's state it is, and its rows and keys."""

    name: str
    data: bytes
    extents: Sequence[NodeExtent]
    size: int


class Frozen:
    """Writes and reads the states of a fragment's nodes in pieces.

    ``freeze_at`` is from how many bytes on an active part becomes a piece; ``owner`` begins the names of
    those that are made here, which their content completes.
    """

    def __init__(self, states: Sequence[NodeState], owner: str = "", freeze_at: int | None = None) -> None:
        self.pieces: list[Piece] = []
        self._owner = owner
        self.freeze_at = FREEZE_AT if freeze_at is None else freeze_at
        self._states = states
        self._following: list[Following] | None = None

    def measure(self, **rest: Any) -> int:
        """About how many bytes would be carried, with all pieces."""
        return len(self._active(self._extents(), rest)) + sum(len(piece.data) for piece in self.pieces)

    def carry(self, **rest: Any) -> bytes:
        """The active part, to be carried beside the ``pieces``; ``rest`` goes along (it must be JSON)."""
        extents = self._extents()
        active = self._active(extents, rest)
        if len(active) < self.freeze_at:
            return active
        self._freeze(extents)
        return self._active(self._extents(), rest)

    def load(self, active: bytes, pieces: Sequence[tuple[str, bytes]]) -> dict[str, Any]:
        """Puts what was carried, pieces with their names, into the states, which must be new; returns what
        went along.

        Raises:
            TimelineError: it was written by a version that this one does not know, or is not whole.
        """
        budget = Budget.of(len(active) + sum(len(data) for _, data in pieces))
        wire = opened(active, budget=budget)
        if len(pieces) != wire.get("pieces", 0):
            raise WireError(f"a state has {wire.get('pieces', 0)} pieces, got {len(pieces)}")
        if wire["version"] != LAYERED:
            return from_whole(wire, self._states)
        for name, data in pieces:
            piece = from_bytes(data, budget)
            layers = zip(self._states, piece["layers"], strict=True)
            extents = [put_layer(state, layer) for state, layer in layers]
            self.pieces.append(Piece(name, data, extents, piece["size"]))
        self._follow()
        for state, layer in zip(self._states, wire["layers"], strict=True):
            put_layer(state, layer)
        return from_head(wire, self._states)

    def _follow(self) -> list[Following]:
        if self._following is None:
            self._following = [Following(state) for state in self._states]
            if self.pieces:
                self._written()
        return self._following

    def _written(self) -> None:
        for following in self._following or []:
            following.written()

    def _extents(self) -> list[NodeExtent]:
        """What became new since the last piece; that is all if keys or values have other codes since."""
        following = self._follow()
        if any(state.recoded for state in self._states):
            self.pieces = []
            return [NodeExtent.all_of(state) for state in self._states]
        return [each.extent() for each in following]

    def _active(self, extents: Sequence[NodeExtent], rest: dict[str, Any]) -> bytes:
        head = to_head(self._states, rest)
        layers = self._layers(extents)
        return to_bytes(
            head | {"version": LAYERED, "pieces": len(self.pieces), "layers": layers},
            level=3,
            share=ACTIVE_SHARE,
        )

    def _layers(self, extents: Sequence[NodeExtent]) -> list[Wire]:
        return [to_layer(state, extent) for state, extent in zip(self._states, extents, strict=True)]

    def _freeze(self, extents: Sequence[NodeExtent]) -> None:
        """Makes a piece of what became new, and of those before that are not large enough to be left."""
        all_there_is = [NodeExtent.all_of(state) for state in self._states]
        size = size_of(self._states, extents)
        while self.pieces and self.pieces[-1].size < TIMES * size:
            extents = joined([self.pieces.pop().extents, extents])
            size = size_of(self._states, extents)
        whole = size_of(self._states, all_there_is)
        if self.pieces and size + sum(piece.size for piece in self.pieces) > WORN * whole:
            self.pieces = []
            extents, size = all_there_is, whole
        data = to_bytes({"size": size, "layers": self._layers(extents)}, level=3, share=PIECE_SHARE)
        name = f"{self._owner}.{hashlib.sha256(data).hexdigest()}"
        self.pieces.append(Piece(name, data, extents, size))
        self._written()
