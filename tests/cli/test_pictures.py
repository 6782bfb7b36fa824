"""Pictures as files, from the command line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import timeline as tl
from tests.support.cli import Cli
from tests.support.places import CIRR, ROOT

EXAMPLE = (ROOT / "examples" / "cirr.toml", ROOT / "examples" / "cirr.jsonl")


def test_eval_writes_the_picture_that_a_program_gets(tmp_path: Path) -> None:
    rows = [(1000, "play"), (2000, "seek"), (4000, "buffer")]
    events = tl.from_rows([("reference", t, {"playerStateChange": v}) for t, v in rows])
    picture = tl.evaluate(CIRR, events).plot("reference", end="11s")
    cli = Cli(None, tmp_path)
    asked = ("eval", *EXAMPLE, "--to", "11s", "--format")
    assert cli.good(*asked, "svg") == picture.to_svg()
    assert cli.good(*asked, "html") == picture.to_html()
    done = subprocess.run(
        cli.command(*asked, "png"), cwd=tmp_path, env=cli.environment, capture_output=True, check=True
    )
    assert done.stdout == picture.to_png()


def test_keys_are_chosen(tmp_path: Path) -> None:
    cli = Cli(None, tmp_path)
    (tmp_path / "many.csv").write_text("key,time,a\n" + "".join(f"k{n},1000,x\n" for n in range(5)))
    asked = ("eval", "-e", "latest_event_to_state(a)", "many.csv", "--format", "svg")
    some = cli.run(*asked)
    assert [f">k{n}<" in some.stdout for n in range(5)] == [True] * 3 + [False] * 2
    assert some.stderr == "... and 2 more keys; choose with --key\n"
    named = cli.run(*asked, *(part for n in (0, 1, 3, 4) for part in ("--key", f"k{n}")))
    assert [f">k{n}<" in named.stdout for n in range(5)] == [True, True, False, True, True]
    assert named.stderr == ""


def test_intervals_are_no_picture(tmp_path: Path) -> None:
    message = Cli(None, tmp_path).bad("eval", *EXAMPLE, "--intervals", "--format", "svg")
    assert "--intervals goes with --from and --to" in message
