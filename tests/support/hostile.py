"""Signals that no node can make anything of: what the tests of them send."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import zstandard
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

HUGE = 1 << 63
#: A batch as a leaf of ``state`` gets it, behind (1, 4), where the tests are then.
BATCH: dict[str, Any] = {
    "last": [2, 2],
    "keys": ["k", "l"],
    "key": [0, 1],
    "tick": [9_000, 1],
    "columns": {"state": {"values": ["play", "buffer"], "codes": [1, 2]}},
    "position": [[2, 0], [1, 1]],
}
#: A patch as the parent of that leaf gets it, to begin anew.
PATCH: dict[str, Any] = {
    "position": [2, 2],
    "first_name": 0,
    "names": ["k", "l"],
    "first_value": 1,
    "values": ["play", "buffer"],
    "heard": {"key": [0, 1], "tick": [9_000, 1]},
    "window": {"key": [0, 1], "tick": [0, 0]},
    "rows": {"shape": "state", "at": {"key": [0, 1], "tick": [9_000, 1]}, "value": [1, 2]},
    "more": False,
    "quarantined": {},
    "amends": False,
    "inputs": [0],
}


def with_(message: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A message in which one thing is another; ``...`` takes it away."""
    changed = copy.deepcopy(message)
    *steps, last = path.split(".")
    inner = changed
    for step in steps:
        inner = inner[step]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return changed


def raw(encoding: str, data: bytes, **metadata: bytes) -> RawValue:
    return RawValue(Payload(metadata={"encoding": encoding.encode(), **metadata}, data=data))


def bomb(size: int) -> RawValue:
    """A payload of some bytes that would become ``size``."""
    data = Payload(metadata={"encoding": b"json/plain"}, data=b"[" + b"0," * (size // 2) + b"0]")
    return raw("binary/zstd", zstandard.ZstdCompressor(level=19).compress(data.SerializeToString()))


#: A batch with something in it that is nested so deeply that it could not be written again.
NESTED = raw("json/plain", orjson.dumps(BATCH)[:-1] + b',"more":' + b"[" * 900 + b"]" * 900 + b"}")

NUMBERS: dict[str, Any] = {
    "shape": "numeric",
    "at": {"key": [0, 1], "tick": [9_000, 1]},
    "null": [],
    "value": [1, 2],
    "slope": [0, 0],
}

#: By name: whether the leaf or its parent gets it, the signal, and its arguments.
SIGNALS: dict[str, tuple[str, str, list[Any]]] = {
    "events: nothing": ("leaf", "events", []),
    "events: four arguments": ("leaf", "events", [BATCH, {}, 3, 4]),
    "events: a list": ("leaf", "events", [[1, 2]]),
    "events: empty": ("leaf", "events", [{}]),
    "events: no columns": ("leaf", "events", [with_(BATCH, "columns", ...)]),
    "events: columns of text": ("leaf", "events", [with_(BATCH, "columns", "state")]),
    "events: lengths": ("leaf", "events", [with_(BATCH, "tick", [1])]),
    "events: codes out of range": ("leaf", "events", [with_(BATCH, "columns.state.codes", [1, 9])]),
    "events: codes below 0": ("leaf", "events", [with_(BATCH, "key", [0, -1])]),
    "events: ticks out of range": ("leaf", "events", [with_(BATCH, "tick", [1, 1 << 42])]),
    "events: ticks below 0": ("leaf", "events", [with_(BATCH, "tick", [-5, 9])]),
    "events: ticks of text": ("leaf", "events", [with_(BATCH, "tick", ["a", "b"])]),
    "events: ticks beyond 64 bits": ("leaf", "events", [with_(BATCH, "tick", [HUGE, 1])]),
    "events: a value that is a list": ("leaf", "events", [with_(BATCH, "columns.state.values", [[1], {}])]),
    "events: keys that are numbers": ("leaf", "events", [with_(BATCH, "keys", [1, 2])]),
    "events: a key without a name": ("leaf", "events", [with_(BATCH, "keys", ["", "l"])]),
    "events: a key twice": ("leaf", "events", [with_(BATCH, "keys", ["k", "k"])]),
    "events: a position of one": ("leaf", "events", [with_(BATCH, "last", [9])]),
    "events: a position of three": (
        "leaf",
        "events",
        [with_(with_(BATCH, "last", [2, 2, 2]), "position", [[2, 0], [1, 1], [1, 1]])],
    ),
    "events: a position of text": ("leaf", "events", [with_(BATCH, "last", "2.2")]),
    "events: a position below": ("leaf", "events", [with_(BATCH, "last", [2, -7])]),
    "events: a mark beyond time": ("leaf", "events", [with_(BATCH, "last", [2, 2, -1, 1 << 50])]),
    "events: positions behind the end": ("leaf", "events", [with_(BATCH, "position", [[2, 0], [7, 1]])]),
    "events: positions that fall": ("leaf", "events", [with_(BATCH, "position", [[2, 0], [2, -1]])]),
    "events: settled nowhere": ("leaf", "events", [BATCH, {"settled": ["x"]}]),
    "events: about a list": ("leaf", "events", [BATCH, [1]]),
    "events: a lead of text": ("leaf", "events", [BATCH, {"leader": "zzz"}]),
    "events: a kind of its own": ("leaf", "events", [BATCH | {"kind": "release"}]),
    "events: nested": ("leaf", "events", [NESTED]),
    "events: bad zstd": ("leaf", "events", [raw("binary/zstd", b"nothing of zstd's")]),
    "events: cut zstd": ("leaf", "events", [raw("binary/zstd", zstandard.compress(b"x" * 9_000)[:20])]),
    "events: no payload in zstd": ("leaf", "events", [raw("binary/zstd", zstandard.compress(b"\xff" * 99))]),
    "events: columns that are none": ("leaf", "events", [raw("binary/zstd", b"TLC\x02" + b"\xff" * 40)]),
    "events: a claim on the store": (
        "leaf",
        "events",
        [raw("json/external-storage-reference", b'{"driver_name": "timeline.directory"}')],
    ),
    "events: a claim on the store, marked": (
        "leaf",
        "events",
        [raw("json/plain", b"{}", __temporal_external_storage_reference=b"true")],
    ),
    "events: a claim on the store, as of today": (
        "leaf",
        "events",
        [
            raw(
                "json/protobuf",
                b'{"driverName": "timeline.directory"}',
                messageType=b"temporal.api.sdk.v1.ExternalStorageReference",
            )
        ],
    ),
    "events: what only a worker says": ("leaf", "events", [raw("json/plain", b"{}", others=b"1")]),
    "events: an unknown encoding": ("leaf", "events", [raw("binary/of-tomorrow", b"?")]),
    "events: no JSON": ("leaf", "events", [raw("json/plain", b"{")]),
    "events: a bomb": ("leaf", "events", [bomb(20 << 20)]),
    "events: for an inner node": ("parent", "events", [BATCH]),
    "patch: for a leaf": ("leaf", "patch", [PATCH]),
    "patch: nothing": ("parent", "patch", []),
    "patch: of text": ("parent", "patch", ["patch"]),
    "patch: no rows": ("parent", "patch", [with_(PATCH, "rows", ...)]),
    "patch: inputs that there are not": ("parent", "patch", [with_(PATCH, "inputs", [0, 3])]),
    "patch: no inputs": ("parent", "patch", [with_(PATCH, "inputs", ...)]),
    "patch: of another kind": (
        "parent",
        "patch",
        [with_(PATCH, "rows", {"shape": "bool", "at": {"key": [0], "tick": [0]}, "value": [1]})],
    ),
    "patch: a unit without end": (
        "parent",
        "patch",
        [with_(PATCH, "rows", NUMBERS | {"unit": "1e999999999"})],
    ),
    "patch: values out of range": ("parent", "patch", [with_(PATCH, "rows.value", [1, 5])]),
    "patch: keys out of range": ("parent", "patch", [with_(PATCH, "rows.at.key", [0, 7])]),
    "patch: ticks out of range": ("parent", "patch", [with_(PATCH, "rows.at.tick", [1, 1 << 43])]),
    "patch: rows out of order": ("parent", "patch", [with_(PATCH, "rows.at.key", [1, -1])]),
    "patch: rows without a window": ("parent", "patch", [with_(PATCH, "window", {"key": [0], "tick": [0]})]),
    "patch: one before is missing": ("parent", "patch", [with_(PATCH, "first_name", 40)]),
    "patch: a name twice": ("parent", "patch", [with_(PATCH, "names", ["l", "l"])]),
    "patch: quarantined by a number": ("parent", "patch", [with_(PATCH, "quarantined", {"k": 5})]),
    "patch: a position of three": ("parent", "patch", [with_(PATCH, "position", [2, 2, 2])]),
    "subscribe: nobody": ("leaf", "subscribe", [{}]),
    "subscribe: somebody else's": ("leaf", "subscribe", [{"workflow": "other", "inputs": [0]}]),
    "subscribe: an id that no server takes": (
        "leaf",
        "subscribe",
        [{"workflow": "{source}." + "x" * 1_001 + ".0123456789.0", "inputs": [0]}],
    ),
    "subscribe: an id that no database takes": (
        "leaf",
        "subscribe",
        [{"workflow": "{source}." + "x" * 256 + ".0123456789.0", "inputs": [0]}],
    ),
    "subscribe: inputs of text": ("leaf", "subscribe", [{"workflow": "{parent}", "inputs": "0"}]),
    "subscribe: to a node that is not here": (
        "leaf",
        "subscribe",
        [{"workflow": "{parent}", "inputs": [0], "node": "0123"}],
    ),
    "unsubscribe: a number": ("leaf", "unsubscribe", [7]),
    "limit: below": ("leaf", "limit", [-1]),
    "limit: text": ("leaf", "limit", ["much"]),
    "release: a table": ("leaf", "release", [{"key": "k"}]),
    "release: two": ("leaf", "release", ["k", "l"]),
    "lead: the last there can be": ("leaf", "lead", ["9999999999-me"]),
    "hold: an argument": ("leaf", "hold", [1]),
    "stop: an argument": ("leaf", "stop", ["now"]),
    "a signal that there is not": ("leaf", "explode", [1]),
}


def filled(args: list[Any], parent: str) -> list[Any]:
    """The arguments, with the parent's workflow, or its source, where they name it."""
    source = parent.rsplit(".", 3)[0]
    text = [orjson.dumps(a).decode() if isinstance(a, dict) else a for a in args]
    return [
        orjson.loads(t.replace("{parent}", parent).replace("{source}", source)) if isinstance(a, dict) else a
        for a, t in zip(args, text, strict=True)
    ]
