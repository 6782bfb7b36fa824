"""The command ``feed``: which files, and how it ends."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.support.cli import Cli, wait_for_line

HEAD = "name = 'own-files'\nexpression = 'count(a == 1)'\n[source]\n"


async def test_the_specs_files_are_fed_where_none_are_given(cli: Cli) -> None:
    folder = cli.folder / "days"
    folder.mkdir()
    for day in range(1, 4):
        (folder / f"{day}.tsv").write_text("key\ttime\ta\n" + f"k\t{day}000\t1\n" * day)
    (folder / "notes.txt").write_text("no events")
    spec = cli.folder / "own-files.toml"
    spec.write_text(HEAD + "files = ['days/[12].tsv']\n")

    async def good(*words: str | Path) -> str:
        return await asyncio.to_thread(cli.good, *words)

    await good("register", spec)
    assert await good("feed", "own-files") == "own-files: 3 events accepted\n"
    assert await good("feed", "own-files") == "own-files: nothing new in these files\n"
    assert await good("feed", "own-files", "days") == "own-files: 3 events accepted\n"
    assert (await good("query", "own-files", "k")).startswith("6  (k at 3000 ms")
    message = await asyncio.to_thread(cli.bad, "feed", "own-files", "days/*.csv")
    assert "no file fits the pattern days/*.csv" in message
    await good("remove", "own-files")


async def test_it_ends_with_1_where_every_line_was_skipped(cli: Cli) -> None:
    spec = cli.folder / "skipped.toml"
    spec.write_text(HEAD.replace("own-files", "skipped"))
    await asyncio.to_thread(cli.good, "register", spec)
    (cli.folder / "none.csv").write_text("key,time,a\nk,soon,1\n,5,1\n")
    done = await asyncio.to_thread(cli.run, "feed", "skipped", "none.csv")
    assert (done.returncode, done.stdout) == (1, "skipped: 0 events accepted, 2 lines skipped\n")
    (cli.folder / "some.csv").write_text("key,time,a\nk,soon,1\nk,5,1\n")
    assert "1 events accepted, 1 lines skipped" in await asyncio.to_thread(
        cli.good, "feed", "skipped", "some.csv"
    )
    await asyncio.to_thread(cli.good, "remove", "skipped")


def test_ctrl_c_says_that_it_can_go_on(local_cli: Cli) -> None:
    local_cli.environment["TEMPORAL_ADDRESS"] = "127.0.0.1:1"
    process = local_cli.start("feed", "plays", "a.csv", "--patience", "5m")
    wait_for_line(process, "waiting, for 5m at most")
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    rest = process.stdout.read()
    assert "stopped; the same command goes on from here: timeline feed plays ...\n" in rest
    assert "Traceback" not in rest
    assert process.wait() == 130
    process.stdout.close()
