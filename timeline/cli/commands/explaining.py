"""The command ``explain``, which needs no server unless it is asked what is shared."""

from __future__ import annotations

from typing import Annotated

import typer

from timeline.cli.given import given
from timeline.cli.options import ExpressionOption, FragmentsOption, JsonOption, UsageError


def explain(
    spec: Annotated[
        str | None,
        typer.Argument(metavar="SPEC", help="A spec (.toml) or a file with an expression."),
    ] = None,
    expression: ExpressionOption = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="Ask the server which nodes run already, and who uses them.")
    ] = False,
    cost: Annotated[
        float | None,
        typer.Option(metavar="RATE", min=0, help="Say how many Temporal actions RATE waves a second are."),
    ] = None,
    fragments: FragmentsOption = None,
    json: JsonOption = False,
) -> None:
    """Show the plan of a timeline as a tree: its nodes, their kinds, where they live, what a wave costs.

    A wave is what a batch of events sets off: signals to the workflows that read it and between them.
    """
    from timeline.cli.render import print_plan

    if spec is not None and expression is not None:
        raise UsageError("give a spec or -e EXPR, not both")
    if shared and spec is None:
        raise UsageError("--shared needs a spec: only nodes of one source and limits are shared")
    loaded, plan, *_ = given(expression, [] if spec is None else [spec])
    if shared and loaded is None:
        raise UsageError(f"--shared needs a spec (.toml), got {spec}")
    if loaded is None and (cost is not None or fragments is not None):
        raise UsageError("--cost and --fragments need a spec (.toml): it says what runs as workflows")
    if loaded is not None and fragments is not None:
        loaded = loaded.by_policy(fragments.policy)
        plan = loaded.plan
    print_plan(plan, loaded, as_json=json, users=_users() if shared else None, rate=cost)


def _users() -> dict[str, list[str]]:
    """Who uses which running node."""
    from timeline.cli.connecting import connected

    return connected(lambda timelines: timelines.registry.users())
