"""Files of events in CSV whose times are dates, and numbers."""

from __future__ import annotations

from pathlib import Path


def write_dated_and_plain(folder: Path) -> None:
    """Writes ``dated.csv`` and ``plain.csv``."""
    (folder / "dated.csv").write_text(
        "key,time,state\na,2013-01-01T10:00:00Z,play\nb,2013-01-02T00:00:00.250Z,seek\n"
    )
    (folder / "plain.csv").write_text("key,time,state\na,1000,play\na,3000,seek\nb,5000,play\n")
