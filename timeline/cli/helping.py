"""What the command line says of itself: commands in groups, its version, names to complete."""

from __future__ import annotations

import os
import re
from typing import Any

import typer
from typer.core import TyperGroup

from timeline.cli.saying import say

#: What commands are for, and which; those that are in none come last.
GROUPS = {
    "Here and now, without a server": ("eval", "explain"),
    "Timelines": ("register", "list", "describe", "pause", "resume", "remove", "dry-run"),
    "Events": ("feed", "feeder", "mark", "refused", "dead-letters", "release", "produce"),
    "Questions": ("query", "show", "intervals", "lives", "watch"),
    "What runs": ("dev", "worker", "serve", "broker", "codec", "keygen", "demo"),
}
OTHERS = "Others"
#: Seconds after which a server has no names to complete.
PATIENCE = 2.0


class Grouped(TyperGroup):
    """The app, with its commands under what they are for."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        named = {name for names in GROUPS.values() for name in names}
        others = tuple(name for name in self.commands if name not in named)
        width = max(map(len, self.commands))
        for title, names in {**GROUPS, OTHERS: others}.items():
            rows = [
                (name.ljust(width), first_sentence(self.commands[name].help or ""))
                for name in names
                if name in self.commands
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def first_sentence(text: str) -> str:
    """What a help says first.

    >>> first_sentence("List refused events: too late, or of a closed key\\n    (the last). They are few.")
    'List refused events: too late, or of a closed key (the last).'
    """
    return re.split(r"(?<=\.)\s", " ".join(text.split("\n\n")[0].split()))[0]


def words_to_complete() -> list[str]:
    """The words behind ``timeline`` if a shell completes them, and the first is a whole one."""
    if "_TIMELINE_COMPLETE" not in os.environ:
        return []
    words = (os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")).split(" ")
    return words[1:] if len(words) > 2 else []


def tell_version(wanted: bool) -> None:
    """Prints the version, and ends."""
    if wanted:
        from importlib.metadata import version

        say(f"timeline {version('timeline-analytics')}")
        raise typer.Exit


def timelines_to_complete(incomplete: str) -> list[str]:
    """The names of registered timelines that begin so; none where no server answers at once."""
    import asyncio

    from timeline.errors import TimelineError
    from workflows.client import Client

    async def names() -> list[str]:
        async with asyncio.timeout(PATIENCE):
            client = await Client.connect()
            return sorted(await client.registry.specs())

    try:
        found = asyncio.run(names())
    except (TimelineError, TimeoutError, OSError):
        return []
    return [name for name in found if name.startswith(incomplete)]
