"""Timelines as Temporal workflows: thin shells round the operators, with client and worker.

The public API is ``from workflows import Client``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflows.client import Answer, Client, Look, Registered, Timeline, Values, Version

_API = ("Answer", "Client", "Look", "Registered", "Timeline", "Values", "Version")

__all__ = ["Answer", "Client", "Look", "Registered", "Timeline", "Values", "Version"]


def __getattr__(name: str) -> Any:
    # Only when it is used: workflow code is in this package too, and has no business with a client.
    if name in _API:
        from workflows import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
