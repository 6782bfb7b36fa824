"""What is listed fits a terminal of 100 columns, and is whole elsewhere."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import subprocess
import termios

from tests.support.cli import PATIENCE, Cli
from tests.support.places import CIRR, ROOT


def on_terminal(cli: Cli, *words: str, columns: int = 100) -> list[str]:
    """The lines that a command writes to a terminal."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {k: v for k, v in cli.environment.items() if k != "COLUMNS"} | {"TERM": "dumb"}
    process = subprocess.Popen(
        cli.command(*words), stdout=there, stderr=subprocess.DEVNULL, cwd=cli.folder, env=environment
    )
    os.close(there)
    found = b""
    while True:
        try:
            data = os.read(here, 65_536)
        except OSError:  # of Linux, when nobody writes any more
            break
        if not data:
            break
        found += data
    os.close(here)
    process.wait(PATIENCE)
    return found.decode().splitlines()


async def test_lists_fit_a_hundred_columns(cli: Cli) -> None:
    spec = cli.folder / "wide.toml"
    name = "a-timeline-with-a-name-of-many-letters"
    spec.write_text(f"name = '{name}'\nexpression = '''{CIRR}'''\n[source]\nkey = 'session'\n")
    await asyncio.to_thread(cli.good, "register", spec)
    await asyncio.to_thread(cli.good, "feed", name, ROOT / "examples" / "cirr.jsonl")
    spec.write_text(spec.read_text().replace("5s", "6s"))
    for words in (["list"], ["list", "--nodes"], ["describe", name], ["register", str(spec)]):
        lines = await asyncio.to_thread(on_terminal, cli, *words)
        assert len(lines) > 1, words
        # A spec's own text is shown as it is.
        lines = [line for line in lines if not line.startswith("duration_where(has_existed")]
        assert [line for line in lines if len(line) > 100] == [], words
    lines = await asyncio.to_thread(on_terminal, cli, "show", name, "reference", "--to", "11s")
    assert [line for line in lines if len(line) > 100] == []
    assert lines[-2].split() == ["|2s", "|4s", "|6s", "|8s", "|10s"] or lines[-2].split() == ["|5s", "|10s"]
    assert " ".join(CIRR.split()) in (await asyncio.to_thread(cli.good, "list"))
    await asyncio.to_thread(cli.good, "remove", name)
