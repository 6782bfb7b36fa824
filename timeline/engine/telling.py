"""What a node tells its parents: what changed in a step, or all that there is."""

from __future__ import annotations

import numpy as np

from timeline.engine.latecomers import late_in
from timeline.engine.patch import Patch
from timeline.engine.state import NodeState
from timeline.tables.packing import pack
from timeline.tables.table import Table, Window
from timeline.values.vocabulary import I64


def patch_of(state: NodeState, heard: I64, window: Window, rows: Table, said: dict[int, str | None]) -> Patch:
    """What changed at the state's position: ``rows`` on the window. Names and values in it count
    as sent."""
    assert state.position is not None
    vocabulary = state.own.vocabulary
    values = [] if vocabulary is None else vocabulary.values
    patch = Patch(
        state.position,
        state.sent_names,
        state.keys.since(state.sent_names),
        state.sent_values,
        values[state.sent_values :],
        heard,
        window,
        rows,
        quarantined={state.keys.name(code): reason for code, reason in said.items()},
    )
    state.sent_names = len(state.keys)
    state.sent_values = max(1, len(values))
    return patch


def snapshot_of(state: NodeState) -> Patch | None:
    """The whole table as one patch, for a new subscriber; ``None`` before the first batch."""
    if state.position is None:
        return None
    known = np.flatnonzero(state.by_key.newest >= 0)
    vocabulary = state.own.vocabulary
    values = [] if vocabulary is None else vocabulary.values
    # After shrinking, the next patch says all names and values anew, and the snapshot must too.
    names = state.keys.names[: state.sent_names or None]
    rows = state.own.whole()
    begin = Window(rows.at[rows.first_rows()])
    origins, counted = late_in(state, begin)
    return Patch(
        state.position,
        0,
        names,
        1,
        values[1 : state.sent_values if state.sent_values > 1 else None],
        pack(known, state.by_key.newest[known]),
        begin,
        rows,
        quarantined={state.keys.name(c): q.told(state.operator.name) for c, q in state.quarantined.items()},
        origins=origins,
        counted=counted,
        time=state.stream_time,
    )
