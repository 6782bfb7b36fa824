"""The log of a source's files: what it has of one already."""

from __future__ import annotations

from collections.abc import Sequence

from workflows.protocol import Segment


def goes_on(log: Sequence[Segment], entry: Segment) -> bool:
    """Whether an entry is a mark, and not what a log ends with already."""
    return "mark" in entry and not (log and log[-1].get("mark", -1) >= entry["mark"])


def had(log: Sequence[Segment], file: Segment) -> int:
    """How many lines of a file a log has."""
    name, content = (file["path"], file["fingerprint"]), file.get("content")
    return max(
        (
            part["last"]
            for part in log
            if (part["path"], part["fingerprint"]) == name
            or (content is not None and (part.get("content"), part["last"]) == (content, file["last"]))
        ),
        default=0,
    )
