"""Several addresses of one Temporal cluster: whoever connects gets to one that answers.

The SDK connects to one address, and again to that when it is lost. So it is given one of ours, on the
loopback interface, from where the bytes go on to the first of the cluster's that takes a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from threading import Thread

#: Seconds until a host that does not take a connection is passed over.
CONNECT_TIMEOUT = 2.0
CHUNK = 256 << 10


def hosts_of(address: str) -> list[str]:
    """The addresses in ``HOST:PORT,HOST:PORT,...``.

    >>> hosts_of("a:7233, b:7233")
    ['a:7233', 'b:7233']
    """
    return [host.strip() for host in address.split(",") if host.strip()]


class Frontends:
    """A relay to the first of several addresses that takes a connection; it lives as long as the process.

    It has a thread of its own, so that whatever else the process does does not hold it up.
    """

    def __init__(self, hosts: Sequence[str]) -> None:
        self.hosts = list(hosts)
        self._loop = asyncio.new_event_loop()
        Thread(target=self._loop.run_forever, name="frontends", daemon=True).start()
        starting = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._relay, "127.0.0.1", 0), self._loop
        )
        self._server = starting.result()
        #: Where the SDK is to connect.
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = await self._connect()
        if found is not None:
            there, back = found
            # What ends one way ends the other: then the SDK connects anew.
            ways = [asyncio.ensure_future(_pump(*way)) for way in ((reader, back), (there, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            back.close()
        writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for host in list(self.hosts):
            name, _, port = host.rpartition(":")
            with contextlib.suppress(OSError, TimeoutError, ValueError):
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    found = await asyncio.open_connection(name.strip("[]"), int(port))
                # The next connection tries this one first.
                self.hosts.remove(host)
                self.hosts.insert(0, host)
                return found
        return None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
