"""Payloads of at most 2 MiB that would become far more; run as a program, reads one as a worker does and
prints how much memory that took (MiB)."""

from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zstandard
from pcodec import standalone
from temporalio.api.common.v1 import Payload

from timeline.engine import state_wire
from timeline.engine.fragment import LiveFragment
from timeline.engine.frozen import Frozen
from timeline.errors import TimelineError
from timeline.fragments import fragments_of
from timeline.limits import Limits
from timeline.plan import make_plan
from timeline.tables import columnar
from workflows.payloads.guarded import WorkerCodec, WorkerPayloadConverter

MIB = 1 << 20


def packed(text: bytes) -> Payload:
    """A JSON payload as our codec compresses it, as much of it as becomes 2 MiB."""
    inner = Payload(metadata={"encoding": b"json/plain"}, data=text).SerializeToString()
    return Payload(metadata={"encoding": b"binary/zstd"}, data=zstandard.compress(inner, 3))


def columns(numbers: int, plain: int | None = None) -> Payload:
    column = standalone.simple_compress(np.zeros(numbers, np.int64), columnar._config())
    text = b"[null,[[[],%d,%d]]]" % (numbers, len(column))
    data = columnar.MAGIC + struct.pack("<II", plain or len(text), len(text)) + text + column
    return Payload(metadata={"encoding": b"binary/zstd"}, data=data)


def lying(size: int) -> Payload:
    """A frame that says that it is of few bytes and is of many."""
    frame = bytearray(zstandard.ZstdCompressor(write_content_size=True).compress(b"\0" * size))
    frame[5:9] = struct.pack("<I", 100)
    return Payload(metadata={"encoding": b"binary/zstd"}, data=bytes(frame))


BOMBS: dict[str, Callable[[], Payload]] = {
    "zeros": lambda: packed(b"[" + b"0," * (150 * MIB) + b"0]"),
    "numbers": lambda: packed(b"[" + b"257," * (2 * MIB - 100) + b"0]"),
    "lists": lambda: packed(b"[" + b"[]," * (2 * MIB - 100) + b"0]"),
    "tables": lambda: packed(b"[" + b'{"a":1},' * (MIB) + b"0]"),
    "texts": lambda: packed(b"[" + b'"abc",' * (2 * MIB - 100) + b"0]"),
    "nested": lambda: packed(b"[" * (7 * MIB)),
    "columns": lambda: columns(30 << 20),
    "columns that fit": lambda: columns(4 << 20),
    "long text": lambda: columns(64, (1 << 32) - 1),
    "lying": lambda: lying(400 * MIB),
    "plain": lambda: Payload(metadata={"encoding": b"json/plain"}, data=b"[" + b"[]," * (600_000) + b"0]"),
}


def largest(rows: int, names: int) -> bytes:
    """The state of a node with so many rows and keys, as regular as can be: it is as long as it must be."""
    from timeline.tables.events import EventColumn, Events

    live = node()
    key, tick = np.arange(rows) % names, 1_000 * np.arange(rows)
    column = EventColumn(np.ones(rows, np.int64), [None, 1])
    keys = [f"{i:06}" for i in range(names)]
    live.accept(Events(keys, key, tick, {"a": column}, np.arange(rows)[:, None]), (rows,))
    return state_wire.to_state(live.states)


def old(items: bytes) -> bytes:
    """A state of version 0.2 whose bytes are noise: by them it may become more."""
    noise = np.random.default_rng(0).bytes(1_900_000).hex().encode()
    return zstandard.compress(b'["' + noise + b'",' + items + b"1]")


def node() -> LiveFragment:
    plan = make_plan("count(a == 1)")
    return LiveFragment(plan, fragments_of(plan, "stream")[-1], Limits(None, None))


#: States as a start may carry them.
STATES: dict[str, Callable[[], bytes]] = {
    "rows": lambda: largest(650_000, 10),
    "keys": lambda: largest(450_000, 450_000),
    "rows and keys": lambda: largest(600_000, 400_000),
    "columns": lambda: columns(30 << 20).data,
    "lists": lambda: _text(b"[]," * (20 * MIB) + b"[]"),
    "tables": lambda: _text(b'{"a":1},' * (2 * MIB) + b"1"),
    "texts": lambda: _text(b'"a",' * (5 * MIB) + b"1"),
    "long text": lambda: _text(b'"' + b"a" * (60 * MIB) + b'"'),
    "old lists": lambda: zstandard.compress(b"[" + b"[]," * (20 * MIB) + b"1]"),
    "old numbers": lambda: zstandard.compress(b"[" + b"257," * (15 * MIB) + b"1]"),
    "old numbers beside noise": lambda: old(b"257," * 3_000_000),
    "old texts beside noise": lambda: old(b'"a",' * 500_000),
    "old lists beside noise": lambda: old(b"[]," * 390_000),
    "old tables beside noise": lambda: old(b'{"a":1},' * 390_000),
    "old texts": lambda: zstandard.compress(b"[" + b'"a",' * (15 * MIB) + b"1]"),
}


def _text(items: bytes) -> bytes:
    plain = b"[[" + items + b"],[]]"
    stored = zstandard.compress(plain)
    return columnar.MAGIC + struct.pack("<II", len(plain), len(stored)) + stored


def peak(pid: int | str) -> int:
    """The most memory (MiB) that a process has had; what its parent had does not count."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM"))


def main(kind: str) -> None:
    sys.stdin.buffer.read(1)  # who starts us has made the bomb: making it takes memory too
    data = sys.stdin.buffer.read()
    try:
        {"payload": _payload, "state": _state}[kind](data)
        what = "read"
    except (TimelineError, ValueError) as error:
        what = str(error)
    print(peak("self"), what)


def _payload(data: bytes) -> None:
    [decoded] = asyncio.run(WorkerCodec().decode([Payload.FromString(data)]))
    WorkerPayloadConverter().from_payload(decoded)


def _state(data: bytes) -> None:
    Frozen(node().states).load(data, [])


if __name__ == "__main__":
    main(sys.argv[1])
