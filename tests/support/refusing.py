"""A way to the broker on which a message is changed once, so that the broker refuses its batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from workflows.child import free_port


@asynccontextmanager
async def changed_once(port: int, before: bytes, after: bytes) -> AsyncIterator[int]:
    """Passes all on to a broker's port, and lets one message that has ``before`` have ``after``, of the same
    length, the first time only. Gives the port to connect to: the broker's answers name this one too."""
    assert len(before) == len(after)
    ours = free_port()
    while len(str(ours)) != len(str(port)):  # an answer must stay as long as it is
        ours = free_port()
    changed = False

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool) -> None:
        nonlocal changed
        while data := await reader.read(1 << 16):
            if answers:
                data = data.replace(f"127.0.0.1:{port}".encode(), f"127.0.0.1:{ours}".encode())
            elif not changed and before in data:
                changed = True
                data = data.replace(before, after, 1)
            writer.write(data)
            await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            passed_on(reader, back, False), passed_on(there, writer, True), return_exceptions=True
        )

    async with await asyncio.start_server(connected, "127.0.0.1", ours):
        yield ours
    assert changed, f"no message had {before!r}"
