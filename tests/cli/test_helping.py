"""What the command line says of itself."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.cli import Cli
from timeline.cli.helping import GROUPS
from timeline.cli.main import COMMANDS


def test_version(tmp_path: Path) -> None:
    assert Cli(None, tmp_path).good("--version") == f"timeline {version('timeline-analytics')}\n"


def test_every_command_is_in_one_group_with_a_whole_sentence(tmp_path: Path) -> None:
    text = Cli(None, tmp_path).good("--help")
    groups = re.split(r"\n([A-Z][^\n]*):\n", text)
    shown = dict(zip(groups[1::2], groups[2::2], strict=True))
    assert [title for title in shown if title != "Options"][: len(GROUPS)] == list(GROUPS)
    commands = re.findall(
        r"^  ([a-z-]+)  +(\S.*(?:\n {10,}.*)*)", text.partition(next(iter(GROUPS)))[2], re.MULTILINE
    )
    assert sorted(name for name, _ in commands) == sorted(COMMANDS)
    assert [name for name, told in commands if not told.rstrip().endswith(".")] == []
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("timeline fee", ["feed", "feeder"]),
        ("timeline eval --fo", ["--format"]),
        ("timeline eval --format j", ["jsonl"]),
        ("timeline show --format p", ["png"]),
        ("timeline query no-server-answers", []),
    ],
)
def test_a_shell_completes(tmp_path: Path, words: str, completed: list[str]) -> None:
    cli = Cli("127.0.0.1:1", tmp_path)
    cli.environment |= {
        "_TIMELINE_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    assert cli.run().stdout.split() == completed
