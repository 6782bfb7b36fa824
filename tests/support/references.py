"""Writes docs/spec.md from the spec's model, docs/cli.md from the commands, and docs/questions.md from the
examples: `python -m` this.

`tests/docs/test_references.py` checks that they are current.
"""

from __future__ import annotations

import re
import subprocess
import sys
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import PlainSerializer
from pydantic.fields import FieldInfo
from typer.cli import get_docs_for_click

from tests.support.places import ROOT
from timeline.cli.main import COMMANDS, make_app
from timeline.spec.loading import load_spec
from timeline.spec.parts import Part
from timeline.spec.spec import Spec

SPEC_PAGE, CLI_PAGE = ROOT / "docs" / "spec.md", ROOT / "docs" / "cli.md"
QUESTIONS_PAGE, PICTURES = ROOT / "docs" / "questions.md", ROOT / "docs" / "pictures"
#: The examples in the order of the page, each with the key that is drawn.
QUESTIONS = {
    "cirr": "reference",
    "rebuffering-by-cdn": "s1",
    "left-after-rebuffering": "ann",
    "logins": "l1",
    "sessions-per-user": "ann",
    "card-two-places": "4111-0002",
    "credit-card": "4111-0002",
    "rebuffering-alert": "ann",
    "heartbeat": "press",
}
WRITTEN = "Written by `python -m tests.support.references`; do not edit it here.\n"
SPEC_HEAD = f"""# The spec, every key

{WRITTEN}
A spec is a TOML file that says what a timeline is: a name, an expression, and where the events are. Only
`name` and `expression` (or `[outputs]`) are required. An unknown key is an error, with a suggestion.

```toml
name = "plays"
expression = 'has_existed(state == "play")'

[source]
files = ["plays.csv"]
key = "viewer"
unit = "s"
```

A *duration* is written `500ms`, `5s`, `10m`, `2h` or `1d`; a bare number is seconds.
"""
CLI_HEAD = f"""# Commands

{WRITTEN}
Every command ends with 0 if all is good, with 1 if the answer is no (a dry run that found a difference), and
with 2 for wrong use or an error. Most commands have `--json`. They find the server by Temporal's own
configuration: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS_*`, profiles in
`temporal.toml`. Without it they use `localhost:7233`. `timeline COMMAND --help` says the same as this page.
"""

QUESTIONS_HEAD = f"""# Questions, with their answers as pictures

{WRITTEN}
A picture has a *lane* for each part of an expression, the whole first: a State in colours, a Bool as a bar
while it is true, a number as a line. To draw one yourself: `timeline eval SPEC FILE --format svg >
picture.svg`, or `--format lanes` in the terminal. Questions over all keys: [aggregates.md](aggregates.md).
"""


def spec_page() -> str:
    """The page of the spec: a table of its keys, and one for each of its tables."""
    parts = [SPEC_HEAD, "## At the top\n", *_keys(Spec)]
    for name, field in Spec.model_fields.items():
        if (part := part_of(field.annotation)) is not None:
            name = field.alias or name
            several = f", or several `[[{name}]]`" if get_origin(field.annotation) is tuple else ""
            parts += [f"## `[{name}]`{several}\n", *_keys(part)]
    return "\n".join(parts)


def _keys(part: type[Part]) -> Iterator[str]:
    lines = ["| key | kind | default | meaning |", "|---|---|---|---|"]
    for name, field in part.model_fields.items():
        if part_of(field.annotation) is None:
            meaning = field.description or ""
            lines.append(f"| `{name}` | {kind_of(field)} | {default_of(part, name, field)} | {meaning} |")
    yield "\n".join(lines) + "\n"


def part_of(annotation: Any) -> type[Part] | None:
    """The table that a field is, or a list of."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    return next((part for each in get_args(annotation) if (part := part_of(each)) is not None), None)


def kind_of(field: FieldInfo) -> str:
    """What a reader may write there.

    >>> kind_of(Spec.model_fields["description"])
    'text'
    """
    text = f"{field.annotation} {field.metadata}"
    if any(isinstance(m, PlainSerializer) for m in field.metadata) or "format_duration" in text:
        return 'duration or `"never"`' if "_format_or_never" in text else "duration"
    return _kind(field.annotation)


def _kind(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(each) for each in inner if each is not type(None))
    if origin is Annotated:
        return _kind(inner[0])
    if origin is Literal:
        return ", ".join(f'`"{each}"`' for each in inner)
    if origin is tuple:
        return "list of texts"
    if origin is dict:
        return "table of texts"
    return {str: "text", int: "whole number", bool: "`true` or `false`"}[annotation]


def default_of(part: type[Part], name: str, field: FieldInfo) -> str:
    """What holds where a key is not there, as a spec writes it."""
    if field.is_required():
        return "*required*"
    value = part.model_construct().model_dump(mode="json", include={name})[name]
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "" if value in (None, "", [], {}) else f"`{value}`"


def cli_page() -> str:
    """The page of the commands: what they are for, and the help of each."""
    app: Any = typer.main.get_command(make_app())
    context = typer.Context(app, info_name="timeline")
    parts, helps = [CLI_HEAD, "| command | what it does |\n|---|---|"], []
    for name in COMMANDS:
        command = app.commands[name]
        told = re.split(r"\n\n|(?<=\.)\s", str(command.help))[0].replace("\n", " ")
        parts.append(f"| [{name}](#timeline-{name}) | {told} |")
        text = get_docs_for_click(obj=command, ctx=context, name=name, call_prefix="timeline")
        helps.append(text.replace(f"# `timeline {name}`", f"## timeline {name}", 1).rstrip() + "\n")
    return "\n".join([*parts, "", *helps])


def questions_page() -> str:
    """The page of questions: of each example its words, its expressions, and one key as a picture."""
    parts = [QUESTIONS_HEAD]
    for name, key in QUESTIONS.items():
        spec = load_spec(ROOT / "examples" / f"{name}.toml")
        parts.append(
            f"## {spec.description}\n\n```text\n{spec.definition}\n```\n\n"
            f"Of `{key}`, from [{name}.jsonl](../examples/{name}.jsonl) by "
            f"[{name}.toml](../examples/{name}.toml):\n\n"
            f"![{spec.description}](pictures/{name}.svg)\n"
        )
    last = (
        "## How good is playback, by rendition?\n\n"
        "A script with a plot: [quality_by_rendition.py](../examples/quality_by_rendition.py).\n"
    )
    return "\n".join([*parts, last])


def picture(name: str) -> str:
    """The picture of an example on that page."""
    files = [f"examples/{name}.toml", f"examples/{name}.jsonl"]
    command = ["eval", *files, "--key", QUESTIONS[name], "--format", "svg"]
    run = [sys.executable, "-m", "timeline.cli.main", *command]
    return subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    for example in QUESTIONS:
        (PICTURES / f"{example}.svg").write_text(picture(example), "utf-8")
    QUESTIONS_PAGE.write_text(questions_page(), "utf-8")
    SPEC_PAGE.write_text(spec_page(), "utf-8")
    CLI_PAGE.write_text(cli_page(), "utf-8")
