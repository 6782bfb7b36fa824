"""Ports that a server can be started on again and again."""

from __future__ import annotations

import random
import socket

#: Below those that the system gives to whoever connects (32768 on Linux): none of them takes a port while its
#: server is down, and Temporal's hosts find each other by ports of this kind only.
FIRST, LAST = 20_000, 32_000


def stable_port(*hosts: str) -> int:
    """A port that nothing listens on at the moment, at any of these addresses (else 127.0.0.1)."""
    for _ in range(1_000):
        port = random.SystemRandom().randrange(FIRST, LAST)
        if all(_is_free(host, port) for host in hosts or ("127.0.0.1",)):
            return port
    raise OSError(f"no port from {FIRST} to {LAST} is free")


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
