"""The page that `timeline watch` draws again and again."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from timeline.cli.saying import printable

if TYPE_CHECKING:
    from timeline.spec.spec import Spec
    from workflows.client import Client


#: Rates are those of the last so many seconds.
SPAN = 5.0


async def watch_timeline(
    timelines: Client, spec: Spec, every: float, rows: int, once: bool, json: bool
) -> None:
    """Shows a timeline again and again, or once."""
    from rich.live import Live

    from timeline.cli.render import console, print_json

    history: deque[tuple[float, int]] = deque()
    out = console()
    with Live(console=out, auto_refresh=False, transient=False) as live:
        while True:
            look = await _look(timelines, spec, rows)
            now = time.monotonic()
            history.append((now, look["accepted"]))
            while now - history[0][0] > SPAN:
                history.popleft()
            span = now - history[0][0]
            look["events_per_second"] = round((look["accepted"] - history[0][1]) / span, 1) if span else 0.0
            if json:
                print_json(look)
            elif not out.is_terminal:
                out.print(_page(spec, look))
            else:
                live.update(_page(spec, look), refresh=True)
            if once:
                return
            await asyncio.sleep(every)


async def _look(timelines: Client, spec: Spec, rows: int) -> dict[str, Any]:
    """What there is to show: counters of all streams, and the keys with the newest events."""
    seen = await timelines.questions.look(spec, rows)
    newest = max((row.at for row in seen.keys if row.at is not None), default=None)
    age = None if newest is None else time.time() - newest / 1_000
    return {
        "timeline": spec.name,
        "keys": [row.to_json() for row in seen.keys],
        "count": seen.count,
        "positions": {str(stream): position for stream, position in enumerate(seen.positions)},
        "accepted": seen.accepted,
        "refused": seen.refused,
        # How old the newest event is says how far behind the answers are, where times are real ones.
        "lag": round(age, 2) if age is not None and 0 <= age < 86_400 else None,
    }


def _page(spec: Spec, look: dict[str, Any]) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from timeline.pictures.texts import value_text

    table = Table("key", "value", "time (ms)", "stream", box=None, pad_edge=False)
    for row in look["keys"]:
        value = row["error"] or value_text(row["value"])
        table.add_row(
            Text(printable(row["key"])), Text(printable(value)), str(row["time"]), str(row["stream"])
        )
    positions = "  ".join(
        f"{stream}: {'.'.join(map(str, position)) if position else '-'}"
        for stream, position in look["positions"].items()
    )
    lag = "" if look["lag"] is None else f", lag {look['lag']:.2f} s"
    head = (
        f"{spec.name}: {look['count']} keys, {look['accepted']} events accepted, {look['refused']} refused, "
        f"{look['events_per_second']:.0f} events/s{lag}"
    )
    return Group(Text(head), Text(f"positions  {positions}"), table)
