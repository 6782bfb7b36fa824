"""The client of timelines on a Temporal server: one public class, in parts.

`Client` is what programs use. Its parts are attributes of it: `registry` (which timelines there are),
`nodes` and `leaves` (single workflows), `questions` (what they know of keys). `asking` is how all of them
talk to workflows.
"""

from __future__ import annotations

from workflows.client.answers import (
    Answer,
    KeyTimeline,
    Life,
    Look,
    Recent,
    Registered,
    Timeline,
    Values,
    Version,
)
from workflows.client.client import Client

__all__ = [
    "Answer",
    "Client",
    "KeyTimeline",
    "Life",
    "Look",
    "Recent",
    "Registered",
    "Timeline",
    "Values",
    "Version",
]
