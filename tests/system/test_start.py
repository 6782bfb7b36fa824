"""docs/start.md, word for word: its files are written, its commands are run, and say what stands there."""

from __future__ import annotations

import re
import shlex

from tests.support.cli import Cli, wait_for_line
from tests.support.places import ROOT

PAGE = ROOT / "docs" / "start.md"


def blocks() -> list[tuple[str, str, str]]:
    """The blocks of the page: what kind each is, its text, and the name that it is saved as, if it is."""
    text = PAGE.read_text("utf-8")
    found = []
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        before = text[: match.start()].rstrip().rsplit("\n\n", 1)[-1]
        name = re.search(r"Save this as `([\w.]+)`:$", before.replace("\n", " "))
        found.append((match[1], match[2], name[1] if name else ""))
    return found


def steps(block: str) -> list[tuple[list[str], str]]:
    """The commands of a block, each with what it prints; ``...`` stands for any lines."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    return [(shlex.split(command), output) for command, output in zip(parts[1::2], parts[2::2], strict=True)]


def says(printed: str, expected: str) -> bool:
    pattern = re.escape(expected.rstrip()).replace(r"\.\.\.", ".*")
    return re.fullmatch(f"(?s){pattern}", printed.rstrip()) is not None


def test_the_first_page_is_what_happens(local_cli: Cli) -> None:
    done = 0
    for kind, text, name in blocks():
        if name:
            (local_cli.folder / name).write_text(text, "utf-8")
        if kind != "console":
            continue
        for (program, *arguments), expected in steps(text):
            assert program == "timeline"
            if arguments == ["dev"]:
                # Where others may have a server too; without `--headless` it only has a UI besides.
                dev = local_cli.start("dev", "--headless", "--port", "0", "--db", "dev.db")
                assert expected == "Timeline is ready.\n...\n"
                local_cli.environment["TEMPORAL_ADDRESS"] = wait_for_line(dev, "  Temporal").split()[1]
                wait_for_line(dev, "Stop with")
            else:
                printed = local_cli.good(*arguments)
                assert says(printed, expected), (arguments, printed, expected)
            done += 1
    assert done == 14


def test_another_answer_would_be_noticed() -> None:
    assert says("a\nb\nc\n", "a\n...\n")
    assert not says("b\n", "a\n...\n")
    assert not says("a 1\n", "a 2\n")
