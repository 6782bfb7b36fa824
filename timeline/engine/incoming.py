"""A child's patch as its parent reads it: with the parent's codes of keys and values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from timeline.engine.edge import Edge
from timeline.engine.patch import Patch, Pending
from timeline.engine.state import NodeState
from timeline.errors import WireError
from timeline.tables.marks import mark_of
from timeline.tables.packing import recode
from timeline.tables.table import Window


def understood(state: NodeState, edge: Edge, patch: Patch) -> Pending:
    """The patch in the parent's codes, of which it gets new ones for what is named for the first time.

    Raises:
        WireError: two of its keys are one here.
    """
    known = edge.codes if patch.first_name else np.empty(0, np.int64)
    codes = np.concatenate((known, state.encode(patch.names)))
    at = recode(patch.rows.at, codes)
    rows = replace(patch.rows, at=at, vocabulary=edge.table.vocabulary)
    if not bool(np.all(at[1:] >= at[:-1])):
        rows = rows.take(np.argsort(at, kind="stable"))
    if not bool(np.all(rows.at[1:] > rows.at[:-1])):
        raise WireError(f"patch up to {patch.position} has rows of one key under two names")
    edge.codes = codes
    if edge.table.vocabulary is not None:
        if patch.first_value == 1:
            edge.value_codes = np.zeros(1, np.int64)
        values = edge.table.vocabulary.encode(patch.values)
        edge.value_codes = np.concatenate((edge.value_codes, values))
        rows = replace(rows, value=edge.value_codes[rows.value])
    window = Window(np.sort(recode(patch.window.at, edge.codes)))
    heard = recode(patch.heard, edge.codes)
    names = state.encode(list(patch.quarantined)).tolist()
    apart = dict(zip(names, patch.quarantined.values(), strict=True))
    origins, counted = recode(patch.origins, edge.codes), recode(patch.counted, edge.codes)
    time = max(patch.time, mark_of(patch.position) or -1)
    return Pending(patch.position, patch.more, heard, window, rows, apart, origins, counted, time)
