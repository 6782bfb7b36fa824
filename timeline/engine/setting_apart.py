"""Keys without a function: this node's operator raises for them, or a child has none of them."""

from __future__ import annotations

import numpy as np

from timeline.engine.quarantine import Quarantine
from timeline.engine.state import NodeState
from timeline.tables.packing import packed
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import I64


def set_apart_own(state: NodeState, code: int, error: Exception) -> None:
    """Sets a key apart for which the operator raised."""
    assert state.position is not None
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    state.quarantined[code] = Quarantine(text[:500], state.position, own=True)


def pass_on(state: NodeState, changes: dict[int, str | None], starts: list[I64]) -> dict[int, str | None]:
    """Sets apart the keys of which a child has no function, and takes back those that have all.

    Returns what the parents must know of it.
    """
    assert state.position is not None
    said: dict[int, str | None] = {}
    for code in changes:
        reasons = [e.quarantined[code] for e in state.edges if code in e.quarantined]
        held = state.quarantined.get(code)
        if reasons and (held is None or held.own):
            apart = Quarantine(reasons[0], state.position, own=False)
            if held is not None:
                # What this node's own operator has missed it has missed all the same.
                apart.since, apart.anew = held.since, held.anew
            state.quarantined[code] = apart
            said[code] = reasons[0]
        elif not reasons and held is not None and not held.own:
            if held.since is None:
                held.own = True  # what it would be rebuilt from is gone
                continue
            del state.quarantined[code]
            said[code] = None
            if held.since <= MAX_TICK:
                starts.append(np.array([packed(code, held.since)]))
    return said
