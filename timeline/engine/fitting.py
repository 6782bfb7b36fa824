"""Whether a child's patch can be one for an edge: looked at before anything of it is taken.

The operators compute on columns that are known to be good. So whatever could make them raise, or a table
be out of order, is found here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from timeline.engine.edge import Edge
from timeline.engine.patch import Patch
from timeline.engine.state import NodeState
from timeline.errors import LimitError, WireError, shortened
from timeline.tables.checking import check_scalars, checked_position
from timeline.tables.marks import place_of
from timeline.tables.packing import first_of_keys, key_of
from timeline.values.kinds import Kind
from timeline.values.life_names import is_life
from timeline.values.ticks import MAX_TICK
from timeline.values.vocabulary import I64

#: Digits of a unit's numerator and denominator.
MAX_UNIT = 10**60


def check_slots(slots: Any, count: int) -> None:
    """Looks whether a patch is for inputs that there are, each once.

    Raises:
        WireError: it is not.
    """
    known = isinstance(slots, list) and all(type(slot) is int and 0 <= slot < count for slot in slots)
    if not known or not slots or len(set(slots)) < len(slots):
        raise WireError(f"a patch is for inputs 0 to {count - 1}, got {shortened(str(slots), 80)}")


def check_patch(state: NodeState, index: int, patch: Patch) -> None:
    """Looks whether a patch can be one of the child at ``index``, and the next of it if it is no repeat.

    Raises:
        LimitError: one before it is missing.
        WireError: it is none, or its sender is of a version that knew no lives.
    """
    place, edge = checked_position(patch.position), state.edges[index]
    if edge.repeats(patch):
        return
    if edge.position is not None and len(place_of(edge.position)) != len(place_of(place)):
        raise WireError(f"a patch up to {place}, in a stream whose positions are such as {edge.position}")
    _whole(patch.first_name, "first_name")
    _whole(patch.first_value, "first_value")
    if not isinstance(patch.names, list) or not all(type(name) is str and name for name in patch.names):
        raise WireError("a patch names keys by text that is not empty")
    if len(set(patch.names)) < len(patch.names):
        raise WireError("a patch names a key twice")
    if patch.first_name not in (0, len(edge.codes)):
        raise LimitError(
            f"patch up to {place} names keys from {patch.first_name} on, but "
            f"{len(edge.codes)} are known: a patch before it is missing"
        )
    if state.limits.key_ttl is not None and not all(map(is_life, patch.names)):
        raise WireError(
            f"patch up to {place} names keys where their lives are expected: its sender is of a "
            "version from before lives; remove the timeline and register it anew (docs/upgrading.md)"
        )
    if type(patch.time) is not int or not -1 <= patch.time <= MAX_TICK:
        raise WireError(f"the time of a patch is -1 to {MAX_TICK} ms, got {shortened(repr(patch.time), 80)}")
    check_scalars(patch.values, "the values of a patch")
    if type(patch.more) is not bool or type(patch.amends) is not bool:
        raise WireError("whether a patch has more to follow, or amends, is true or false")
    quarantined: Any = patch.quarantined
    if not isinstance(quarantined, dict) or not all(
        v is None or type(v) is str for v in quarantined.values()
    ):
        raise WireError("why keys of a patch are quarantined is told as text")
    if patch.rows.kind is not edge.table.kind:
        raise WireError(f"a patch is of a {patch.rows.kind.value}, a {edge.table.kind.value} is expected")
    known = patch.first_name + len(patch.names)
    window = _keys(patch.window.at, known, "the window")
    _keys(patch.heard, known, "the keys that were heard of")
    for name, at in (("origins", patch.origins), ("counted", patch.counted)):
        if not np.isin(_keys(np.sort(at), known, name), window).all():
            raise WireError(f"{name} of a patch are of keys that are not in its window")
    _check_rows(patch, known, window)
    _check_values(edge, patch)


def _check_rows(patch: Patch, known: int, window: I64) -> None:
    at = patch.rows.at
    if not len(at):
        return
    if not bool(np.all(at[1:] > at[:-1])):
        raise WireError("the rows of a patch are not in order")
    first = at[first_of_keys(at)]
    keys = _keys(first, known, "the rows")
    place = np.searchsorted(window, keys)
    if not len(window) or (place == len(window)).any() or (window[place] != keys).any():
        raise WireError("a patch has rows of a key that is not in its window")
    if (first < patch.window.at[place]).any():
        raise WireError("a patch has rows that begin before its window")


def _check_values(edge: Edge, patch: Patch) -> None:
    rows = patch.rows
    if rows.kind is Kind.STATE:
        if patch.first_value not in (1, len(edge.value_codes)):
            raise LimitError(
                f"a patch names values from {patch.first_value} on, but {len(edge.value_codes)} are known: a "
                "patch before it is missing"
            )
        count = patch.first_value + len(patch.values)
        if len(rows) and not 0 <= int(rows.value.min()) <= int(rows.value.max()) < count:
            raise WireError(f"a patch has value {int(rows.value.max())}, and {count} are known")
    elif not (rows.unit > 0 and rows.unit.numerator < MAX_UNIT and rows.unit.denominator < MAX_UNIT):
        raise WireError(f"no number has the unit {shortened(str(rows.unit), 80)}")


def _keys(at: I64, known: int, what: str) -> I64:
    """The keys of places, one of each in order and of those that are known."""
    keys = key_of(at)
    if len(keys) and not (int(keys[0]) >= 0 and int(keys[-1]) < known and bool(np.all(keys[1:] > keys[:-1]))):
        raise WireError(f"{what} of a patch: not one of each key, in order, of the {known} that are known")
    return keys


def _whole(number: Any, what: str) -> None:
    if type(number) is not int or number < 0:
        raise WireError(f"{what} of a patch is a whole number, got {shortened(repr(number), 80)}")
