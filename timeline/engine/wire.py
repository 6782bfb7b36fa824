"""Patches as columnar JSON: see `timeline.tables.wire`."""

from __future__ import annotations

import numpy as np

from timeline.engine.patch import Patch, Pending
from timeline.tables.wire import (
    Wire,
    from_places,
    from_table,
    from_window,
    to_places,
    to_table,
    to_window,
    understood,
)
from timeline.values.vocabulary import I64


def to_patch(patch: Patch) -> Wire:
    """A ``patch`` signal, without the inputs that it is for."""
    return {
        "position": list(patch.position),
        "first_name": patch.first_name,
        "names": patch.names,
        "first_value": patch.first_value,
        "values": patch.values,
        "heard": to_places(patch.heard),
        "window": to_window(patch.window, patch.rows),
        "rows": to_table(patch.rows),
        "more": patch.more,
        "quarantined": patch.quarantined,
        "amends": patch.amends,
        **to_late(patch),
        **({"time": patch.time} if patch.time >= 0 else {}),
    }


def from_patch(wire: Wire) -> Patch:
    """The inverse of `to_patch`; the rows are still in the sender's codes, without a vocabulary.

    Raises:
        WireError: it is no patch.
    """
    with understood("a patch"):
        rows = from_table(wire["rows"], None)
        return Patch(
            tuple(wire["position"]),
            wire["first_name"],
            wire["names"],
            wire["first_value"],
            wire["values"],
            from_places(wire["heard"]),
            from_window(wire["window"], rows),
            rows,
            wire["more"],
            # Patches of version 1 say nothing of these.
            wire.get("quarantined", {}),
            wire.get("amends", False),
            *from_late(wire),
            wire.get("time", -1),
        )


def to_late(patch: Patch | Pending) -> Wire:
    """Keys whose past is forgotten, if there are any: patches and states of before 0.3 know of none."""
    late = {"origins": patch.origins, "counted": patch.counted}
    return {name: to_places(at) for name, at in late.items() if len(at)}


def from_late(wire: Wire) -> tuple[I64, I64]:
    origins, counted = (
        from_places(wire[name]) if name in wire else np.empty(0, np.int64) for name in ("origins", "counted")
    )
    return origins, counted
