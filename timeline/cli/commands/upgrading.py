"""The command ``upgrade``: nodes go from workers of one build to those of another, and back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from timeline.cli.connecting import connected
from timeline.cli.options import JsonOption, UsageError, step, utf8
from timeline.cli.saying import printable, say

if TYPE_CHECKING:
    from workflows.client import Client

#: So many workflows that have not moved are named.
MAX_NAMED = 10


def upgrade(
    build: Annotated[
        str | None, typer.Argument(metavar="BUILD", help="The build. Without one, show what runs where.")
    ] = None,
    no_build: Annotated[
        bool, typer.Option("--no-build", help="Move to workers that were started without --build-id.")
    ] = False,
    within: Annotated[
        str, typer.Option(metavar="D", help="How long to wait until all workflows have moved.")
    ] = "10m",
    json: JsonOption = False,
) -> None:
    """Move all nodes to the workers of a build (`timeline worker --build-id BUILD`), and wait for it.

    Nothing stops. Each node is told to begin a new run, and moves with it. Then you can stop the workers of
    the old build. To go back, give the old build.

    Ends with 1 if some have not moved in time, and names them. Do it again to go on.
    """
    if build is not None and no_build:
        raise UsageError("give a build, or --no-build, not both")
    seconds = (step(within, "--within") or 0) / 1_000
    if build is not None:
        utf8(build, "BUILD")
    if build is not None or no_build:
        late = connected(lambda timelines: _upgrade(timelines, build, seconds, json))
        if late:
            raise SystemExit(1)
    else:
        connected(lambda timelines: _tell(timelines, json))


async def _upgrade(timelines: Client, build: str | None, seconds: float, json: bool) -> bool:
    """Whether some have not moved."""
    from timeline.cli.render import print_json

    builds = timelines.builds
    before = await builds.current()
    await builds.make_current(build)
    told = -1

    def progress(moved: int, of: int) -> None:
        nonlocal told
        if moved != told:
            told = moved
            say(f"{moved} of {of} nodes and sinks run on {_named(build)}", err=True)

    late = await builds.move(build, seconds, progress)
    if json:
        print_json({"build": build, "before": before, "not_moved": late})
        return bool(late)
    if not late:
        say(f"All runs on {_named(build)}. Workers of any other build can be stopped.")
        return False
    say(f"{_named(build)} is the current one, but some have not moved:".capitalize())
    for workflow_id, of in list(late.items())[:MAX_NAMED]:
        say(f"  {printable(workflow_id)} runs on {_named(of)}")
    if len(late) > MAX_NAMED:
        say(f"  and {len(late) - MAX_NAMED} more")
    say("Keep workers of their builds, look what they are at (`timeline describe`), and do this again.")
    return True


async def _tell(timelines: Client, json: bool) -> None:
    from timeline.cli.render import print_json

    builds = timelines.builds
    current = await builds.current()
    counts = Counter((await builds.running()).values())
    if json:
        runs = [{"build": build, "workflows": n} for build, n in counts.items()]
        print_json({"current": current, "runs": runs})
        return
    say(f"The current one is {_named(current)}.")
    for build, n in counts.most_common():
        say(f"  {n} workflows run on {_named(build)}")


def _named(build: str | None) -> str:
    return "workers without a build" if build is None else f"build {printable(build)}"
