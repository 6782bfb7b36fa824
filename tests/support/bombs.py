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

from timeline.tables import columnar

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


def peak(pid: int | str) -> int:
    """The most memory (MiB) that a process has had; what its parent had does not count."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM"))


def main(name: str) -> None:
    from timeline.errors import TimelineError
    from workflows.payloads.codec import WorkerCodec, WorkerPayloadConverter

    sys.stdin.buffer.read(1)  # who starts us has made the bomb: making it takes memory too
    payload = Payload.FromString(sys.stdin.buffer.read())
    [decoded] = asyncio.run(WorkerCodec().decode([payload]))
    try:
        WorkerPayloadConverter().from_payload(decoded)
        what = "read"
    except (TimelineError, ValueError) as error:
        what = str(error)
    print(peak("self"), what)


if __name__ == "__main__":
    main(sys.argv[1])
