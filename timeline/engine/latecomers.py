"""Keys that are not known from their origin on: their node was started over others that had forgotten.

Their function begins at ``known_from``; operators with memory count from ``counted_from`` on.
"""

from __future__ import annotations

import numpy as np

from timeline.engine.state import NodeState
from timeline.tables.packing import earliest, key_of, pack, tick_of
from timeline.tables.table import Window
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import I64


def begin_late(state: NodeState, origins: I64, counted: I64) -> None:
    """Takes note of keys that are new here, and of which an input is not known from the origin on.

    ``origins`` and ``counted`` are packed, as in `Patch`. All inputs hold from the latest of their
    beginnings on; an operator that reaches back is exact from that much later on, one that remembers
    begins there.
    """
    new = origins[state.by_key.origin[key_of(origins)] > MAX_TICK]
    if not len(new):
        return
    new = earliest([new])
    codes = key_of(new)
    state.by_key.touch(codes)
    begin = np.zeros(len(codes), np.int64)
    for edge in state.edges:
        heads = edge.table.heads(codes)
        np.maximum.at(begin, np.searchsorted(codes, key_of(heads)), tick_of(heads))
    remembers = state.operator.remembers
    known_from, counted_from = (state.by_key.own(name) for name in ("known_from", "counted_from"))
    known_from[codes] = np.minimum(begin + state.operator.begins_after, MAX_TICK)
    state.by_key.origin[codes] = tick_of(new)
    counted = counted[np.isin(key_of(counted), codes)]
    np.maximum.at(counted_from, key_of(counted), tick_of(counted))
    if remembers:
        counted_from[codes] = np.maximum(counted_from[codes], known_from[codes])


def from_there(state: NodeState, window: Window) -> Window:
    """The window without what lies before a key's function begins."""
    return Window(np.maximum(window.at, pack(window.key, state.by_key.known_from[window.key])))


def late_in(state: NodeState, begin: Window) -> tuple[I64, I64]:
    """``origins`` and ``counted`` of a patch in which keys begin there."""
    key = begin.key[begin.tick > state.by_key.origin[begin.key]]
    counted = key[state.by_key.counted_from[key] > 0]
    return pack(key, state.by_key.origin[key]), pack(counted, state.by_key.counted_from[counted])
