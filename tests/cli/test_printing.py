"""Nothing of the data steers a terminal, and no spreadsheet takes it for a formula."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.cli import PATIENCE, Cli

#: To set a terminal's title, its colour (in one byte), the direction of what follows, and to go back.
HOSTILE = "\x1b]0;owned\x07\x9b31m\u202eabc\rx"
SHOWN = r"\x1b]0;owned\x07\x9b31m\u202eabc\rx"
STEERS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
STATE = "latest_event_to_state(state)"
FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "-5", "plain", "a=b"]


def write(path: Path, *rows: tuple[str, str]) -> Path:
    lines = (json.dumps({"key": key, "time": t, "state": state}) for t, (key, state) in enumerate(rows))
    path.write_text("".join(line + "\n" for line in lines))
    return path


def said(cli: Cli, *arguments: str) -> str:
    done = cli.run(*arguments)
    return done.stdout + done.stderr


@pytest.mark.parametrize("format", ["table", "lanes", "jsonl"])
def test_keys_and_values(local_cli: Cli, format: str) -> None:
    write(local_cli.folder / "e.jsonl", (HOSTILE, HOSTILE), ("b", "x"))
    out = said(local_cli, "eval", "-e", STATE, "e.jsonl", "--format", format)
    assert STEERS.search(out) is None
    assert ("owned" in out) == (out.count("\\u001b]0;owned\\u0007\\u009b31m") + out.count(SHOWN[:20]) > 0)
    if format == "jsonl":
        assert [json.loads(line)["value"] for line in out.splitlines()] == [HOSTILE, "x"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("explain", "-e", f"count(col({json.dumps(HOSTILE)}) == {json.dumps(HOSTILE)})"),
        ("explain", "t.toml"),
        ("explain", "bad.toml"),
        ("eval", "t.toml", "bad-" + HOSTILE + ".jsonl"),
        ("eval", "-e", f"count({HOSTILE} == 1)", "e.jsonl"),
        ("eval", "-e", STATE, HOSTILE + ".jsonl"),
        ("eval", "-e", STATE, "e.jsonl", "--key", HOSTILE),
        ("eval", "-e", "count(lokation == 1)", "e.jsonl"),
    ],
    ids=["columns", "description", "toml-key", "line", "expression", "file", "no-key", "names"],
)
def test_names_files_and_mistakes(local_cli: Cli, arguments: tuple[str, ...]) -> None:
    folder = local_cli.folder
    (folder / "e.jsonl").write_text(json.dumps({"key": "a", "time": 1, HOSTILE: 1}) + "\n")
    (folder / f"bad-{HOSTILE}.jsonl").write_text(f"{{oops {HOSTILE}\n" + '{"key": "a", "time": 1}\n')
    quoted = json.dumps(HOSTILE)
    top = f"name = 't'\nexpression = '{STATE}'\ndescription = {quoted}\n"
    (folder / "t.toml").write_text(top)
    (folder / "bad.toml").write_text(top + f"{quoted} = 1\n[limits]\nretention = {quoted}\n")
    out = said(local_cli, *arguments)
    assert out.strip()
    assert STEERS.search(out) is None


def test_csv_marks_formulas(local_cli: Cli) -> None:
    write(local_cli.folder / "e.jsonl", *((text, text) for text in FORMULAS))
    arguments = ("eval", "-e", f"{{state: {STATE}, n: count(state == 1) - 1}}", "e.jsonl", "--format", "csv")
    marked = ["'=1+1", "'+1+1", "'-1+1", "'@SUM(A1)", "'\t=1", "-5", "plain", "a=b"]
    head = "key,time,state,n"
    rows = [f"{text},{t},{text},-1" for t, text in enumerate(marked)]
    assert sorted(local_cli.good(*arguments).splitlines()) == sorted([head, *rows])
    raw = [f"{text},{t},{text},-1" for t, text in enumerate(FORMULAS)]
    assert sorted(local_cli.good(*arguments, "--raw").splitlines()) == sorted([head, *raw])


def test_csv_to_a_terminal_and_to_a_pipe(local_cli: Cli) -> None:
    write(local_cli.folder / "e.jsonl", ("a", HOSTILE))
    arguments = ("eval", "-e", STATE, "e.jsonl", "--format", "csv")
    here, there = pty.openpty()
    environment = local_cli.environment | {"TERM": "dumb"}
    command = local_cli.command(*arguments)
    done = subprocess.run(
        command, stdout=there, cwd=local_cli.folder, env=environment, timeout=PATIENCE, check=True
    )
    os.close(there)
    shown = os.read(here, 10_000).decode()
    os.close(here)
    assert done.returncode == 0
    assert shown.splitlines() == ["key,time,value", f"a,0,{SHOWN}"]
    piped = subprocess.run(
        command, stdout=subprocess.PIPE, cwd=local_cli.folder, env=environment, timeout=PATIENCE, check=True
    )
    assert HOSTILE.encode() in piped.stdout
