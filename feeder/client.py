"""The client of timelines, which feeds them too."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import workflows
from timeline.errors import EventError
from timeline.reading.finding import files_of

if TYPE_CHECKING:
    from feeder.files import Progress, Report
    from timeline.reading.frames import Frame

#: Where tables are kept, unless it is said: a timeline that comes later reads them from there.
FOLDER = Path(".timeline") / "frames"


class Client(workflows.Client):
    """As `workflows.Client`, with `feed`."""

    async def feed(
        self,
        name: str,
        *what: Frame | str | os.PathLike[str],
        again: bool = False,
        folder: str | os.PathLike[str] = FOLDER,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> Report:
        """Feeds files, or a table in memory, to a timeline and to all others on its source; returns when
        their results have the events.

        ``what`` are files, folders and patterns; or one table: of pandas, Polars or pyarrow, a relation of
        DuckDB, whatever speaks Arrow; or nothing, for the files of the timeline's spec. A table is written
        to ``folder`` as JSON Lines, and stays there. What was fed before is not fed again, unless ``again``
        says so: neither the same file or table, nor the rows that one begins with. A feed that was
        interrupted goes on when it is called again.

        Raises:
            EventError: what is given cannot be read, has no column of the key or of the time, or is several
                tables.
            NotFoundError: no timeline of that name.
            PausedError: the timeline is paused.
            LimitError: a node's state is as large as it may be.
            ServiceError: the server or the workers do not answer.
        """
        from feeder.files import feed_files
        from feeder.files.frames import feed_frame

        paths = [one for one in what if isinstance(one, str | os.PathLike)]
        if len(paths) == len(what):
            spec = await self.registry.spec(name)
            if not paths and not spec.source.files:
                raise EventError(f"timeline {name!r} has no files in its spec; say which files, or a table")
            return await feed_files(
                self, spec, files_of(paths or spec.source.files), on_progress, again=again
            )
        if len(what) > 1:
            raise EventError("feed files, or one table at a time")
        [frame] = what
        return await feed_frame(
            self,
            name,
            frame,  # type: ignore[arg-type]
            folder=folder,
            on_progress=on_progress,
            again=again,
        )
