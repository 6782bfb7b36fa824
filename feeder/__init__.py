"""The feeder: brings events, batch by batch, to the leaves of the timelines on a source.

The public API is ``from feeder import Client``: the client of `workflows`, which feeds too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feeder.client import Client

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    # Only when it is used: a command pays for what it needs.
    if name == "Client":
        from feeder.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
