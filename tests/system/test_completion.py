"""A shell completes names of timelines."""

from __future__ import annotations

import asyncio

from tests.support.cli import Cli


async def test_names_of_timelines_are_completed(cli: Cli) -> None:
    for name in ("plays-a", "plays-b", "other"):
        spec = cli.folder / f"{name}.toml"
        spec.write_text(f"name = '{name}'\nexpression = 'count(a == 1)'\n")
        await asyncio.to_thread(cli.good, "register", spec)

    def complete(words: str) -> list[str]:
        asked = Cli(cli.environment["TEMPORAL_ADDRESS"], cli.folder)
        asked.environment |= {
            "_TIMELINE_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        return asked.run().stdout.split()

    assert await asyncio.to_thread(complete, "timeline query pl") == ["plays-a", "plays-b"]
    assert await asyncio.to_thread(complete, "timeline remove plays-b") == ["plays-b"]
    for name in ("plays-a", "plays-b", "other"):
        await asyncio.to_thread(cli.good, "remove", name)
