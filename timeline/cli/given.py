"""What is to be evaluated or explained: a spec, or an expression in a file or in the command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from timeline.cli.options import UsageError, expression_file, utf8

if TYPE_CHECKING:
    from timeline.aggregate.piped import Piped
    from timeline.plan import Plan
    from timeline.spec.spec import Spec

#: What is no file with an expression.
EVENTS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".pq", ".gz", ".zst")


def given(
    expression: str | None, arguments: Sequence[str]
) -> tuple[Spec | None, Plan, list[str], Piped | None]:
    """The spec if there is one, the plan, the files of events, and what is asked over all keys, if it is."""
    rest = list(arguments)
    if expression is not None:
        if rest and Path(rest[0]).suffix == ".toml":
            raise UsageError(f"give a spec or -e EXPR, not both, got -e and {rest[0]}")
        return None, *_understood(utf8(expression, "EXPR"), rest)
    if not rest:
        raise UsageError("give a spec (.toml), a file with an expression, or -e EXPR")
    first = Path(rest.pop(0))
    if first.suffix == ".toml":
        # Pydantic, which an expression does not need, takes 0.2 s to import.
        from timeline.spec.loading import load_spec

        spec = load_spec(first)
        return spec, spec.plan, rest or list(spec.source.files), spec.question
    if first.suffix in EVENTS:
        raise UsageError(f"{first} holds events; say what to evaluate with a spec or -e EXPR")
    return None, *_understood(expression_file(first), rest)


def _understood(text: str, rest: list[str]) -> tuple[Plan, list[str], Piped | None]:
    from timeline.aggregate.piped import read_piped
    from timeline.plan import make_plan

    question = read_piped(text)
    return make_plan(text if question is None else question.outputs), rest, question
