"""Where sinks may write files: a spec comes from whoever may register one, the files are the worker's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def outside(folder: str, roots: Sequence[Path]) -> str | None:
    """Why a sink may not write to a folder: links are followed; ``None`` if it is one of the roots or below.

    >>> outside("/data/rows/a", [Path("/data/rows")])
    >>> outside("/data/rows/../b", [Path("/data/rows")])
    "the sink's folder /data/b is not below /data/rows, where sinks of this worker may write; \
choose another folder, or start workers with --sink-root /data/b"
    """
    wanted = Path(folder).resolve()
    allowed = [root.resolve() for root in roots]
    if any(wanted.is_relative_to(root) for root in allowed):
        return None
    below = " or ".join(map(str, allowed))
    return (
        f"the sink's folder {wanted} is not below {below}, where sinks of this worker may write; "
        f"choose another folder, or start workers with --sink-root {wanted}"
    )
