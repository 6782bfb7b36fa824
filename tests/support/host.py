"""A host of a cluster, as far as whoever connects can see: it passes bytes on to a server, until it goes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Host:
    """Takes connections on a port of its own; ``go`` ends all of them, and takes no more."""

    def __init__(self, server: str) -> None:
        self._to = server.rpartition(":")
        self._open: list[asyncio.StreamWriter] = []
        #: Whether anybody has connected.
        self.used = asyncio.Event()

    @classmethod
    @contextlib.asynccontextmanager
    async def before(cls, server: str) -> AsyncIterator[Host]:
        host = cls(server)
        host._server = await asyncio.start_server(host._pass_on, "127.0.0.1", 0)
        host.address = f"127.0.0.1:{host._server.sockets[0].getsockname()[1]}"
        try:
            yield host
        finally:
            host.go()

    _server: asyncio.Server
    address: str

    def go(self) -> None:
        self._server.close()
        for writer in self._open:
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.used.set()
        there, back = await asyncio.open_connection(self._to[0], int(self._to[2]))
        self._open += [writer, back]
        with contextlib.suppress(OSError):
            await asyncio.gather(_pump(reader, back), _pump(there, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
