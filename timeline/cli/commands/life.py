"""``register``, ``pause`` and ``resume``: how timelines come, change and rest."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timeline.cli.connecting import NameArgument, connected
from timeline.cli.listing import say_cut
from timeline.cli.options import FragmentsOption, JsonOption, UsageError, step
from timeline.cli.progress import catching_up
from timeline.cli.saying import printable, say
from timeline.cli.telling import StrictOption, mistakes_of, refuse, tell
from timeline.errors import ServiceError

if TYPE_CHECKING:
    from timeline.errors import NotCaughtUpError
    from timeline.spec.changes import Change
    from timeline.spec.spec import Spec
    from workflows.client import Client, Registered

#: More timelines than this are told in a line each.
MAX_IN_FULL = 5


def register(
    specs: Annotated[
        list[Path], typer.Argument(metavar="SPEC...", help="Specs (.toml), or folders of specs.")
    ],
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Change timelines that are registered with another spec.")
    ] = False,
    fragments: FragmentsOption = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Do not wait until the timelines are caught up.")
    ] = False,
    feeder_patience: Annotated[
        str,
        typer.Option(metavar="D", help="How long to wait while no feeder brings new leaves their events."),
    ] = "10s",
    strict: StrictOption = False,
    json: JsonOption = False,
) -> None:
    """Register timelines: start the workflows of their nodes. Doing it again changes nothing.

    If another spec is registered under the name, this shows which nodes would stay, be new and go. It
    changes the timeline only with --yes. Warns on standard error of likely mistakes, as far as the
    files of a spec show them.

    A timeline over nodes that run already must first catch up: its result must reach the place where they
    stood. This waits while it gets nearer. Until then questions to it end with 1. If only `timeline feed`
    can bring it up, this says so and does not wait.
    """
    from timeline.cli.render import print_json, workers_of
    from timeline.spec.changes import changes
    from timeline.spec.loading import load_spec

    loaded = [load_spec(path) for path in _specs(specs)]
    if fragments is not None:
        loaded = [spec.by_policy(fragments.policy) for spec in loaded]
    mistakes = {spec.name: mistakes_of(spec) for spec in loaded}
    for name, found in mistakes.items():
        tell(found, name)
    refuse(sum(map(len, mistakes.values())), strict, "nothing was registered")
    for spec in loaded:
        _refuse_sinks(spec)

    seconds = (step(feeder_patience, "--feeder-patience") or 0) / 1000
    late: dict[str, NotCaughtUpError] = {}

    async def work(timelines: Client) -> tuple[list[Registered], list[Change]]:
        known, standings = await timelines.registry.specs(), await timelines.registry.standings()
        changed = [s for s in loaded if known.get(s.name, s) != s]
        shown = [changes(known[spec.name], spec) for spec in changed]
        if shown and not yes:
            return [], shown
        replaces = {spec.name: standings[spec.name]["version"] for spec in changed}
        with _counter() as show:
            registered = await timelines.registry.register_all(loaded, replaces, show)
        if not no_wait:
            with catching_up(json) as told:
                late.update(await timelines.catching_up.wait(loaded, told, seconds))
        return registered, shown

    done, shown = connected(work)
    if not json:
        for change in shown:
            _print_change(change)
    if shown and not done:
        names = ", ".join(repr(change.name) for change in shown[:MAX_IN_FULL])
        more = f" and {len(shown) - MAX_IN_FULL} more" if len(shown) > MAX_IN_FULL else ""
        raise UsageError(
            f"{names}{more} is registered with another spec; --yes changes it, `timeline remove "
            f"{shown[0].name}` makes room for a new one; nothing was done"
        )
    for one in done:
        workers = workers_of(one.spec)
        if json:
            about = {"version": one.version, "new": one.new, "stopped": list(one.stopped)}
            if not no_wait:
                about["caught_up"] = one.spec.name not in late
            warnings = [mistake.to_json() for mistake in mistakes[one.spec.name]]
            print_json({"timeline": one.spec.name, **about, **workers, "warnings": warnings})
        elif len(done) > MAX_IN_FULL:
            say(f"{_verb(one)} {one.spec.name}: {len(one.spec.plan.nodes)} nodes")
        else:
            _print_registered(one, workers)
    if len(done) > MAX_IN_FULL and not json:
        say(f"{len(done)} timelines, {sum(one.new for one in done)} of them new or changed")
    for error in late.values():
        say(f"note: {error}", err=True)


def _refuse_sinks(spec: Spec) -> None:
    """Complains of a sink that may not write, where the environment has what workers allow."""
    roots = os.environ.get("TIMELINE_SINK_ROOT")
    for folder in [sink.folder for sink in spec.sinks if roots and sink.folder is not None]:
        from workflows.writing.roots import outside

        problem = outside(folder, [Path(root) for root in (roots or "").split(os.pathsep)])
        if problem is not None:
            raise UsageError(f"{spec.name}: {problem}; nothing was registered")
    for url in [sink.url for sink in spec.sinks if sink.url is not None]:
        from workflows.writing.receivers import receiver_of, receivers

        if known := receivers():
            try:
                receiver_of(url, known)
            except ServiceError as error:
                raise UsageError(f"{spec.name}: {error}; nothing was registered") from None


def pause(name: NameArgument) -> None:
    """Pause a timeline: its own nodes get no more events. You can still ask it."""
    _pause(name, True)


def resume(name: NameArgument) -> None:
    """Resume a paused timeline: it goes on from where it stands, and a feeder brings what it has missed."""
    _pause(name, False)


def _pause(name: str, paused: bool) -> None:
    async def work(timelines: Client) -> bool:
        return await (timelines.registry.pause(name) if paused else timelines.registry.resume(name))

    changed = connected(work)
    state = "paused" if paused else "running"
    say(f"{name} is {state}" if changed else f"{name} was {state} already")


def _specs(paths: Sequence[Path]) -> list[Path]:
    """The specs, with those of folders in the order of their names."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
        elif inside := sorted(path.glob("*.toml")):
            found += inside
        else:
            raise UsageError(f"no specs (*.toml) in the folder {path}")
    return found


@contextmanager
def _counter() -> Iterator[Callable[[str], None]]:
    """Shows on standard error, where that is a terminal, how far it is."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("registering") as status:
        yield status.update


def _verb(one: Registered) -> str:
    if one.replaced is not None:
        return f"changed to v{one.version}:"
    return "registered"


def _print_registered(one: Registered, workers: dict[str, Any]) -> None:
    from timeline.cli.render import print_workers

    print_workers(one.spec, workers, _verb(one))
    if one.stopped:
        say(f"stopped: {len(one.stopped)} workflows that nobody uses any more")


def _print_change(change: Change) -> None:
    """What a changed spec comes to, node by node."""
    from timeline.pictures.texts import value_text

    say(f"{change.name} changes:")
    for place, before, after in change.settings:
        was, now = ("-" if v is None else printable(value_text(v)) for v in (before, after))
        say_cut(f"  {place}: {was} -> {now}")
    for title, texts in (("stays", change.stays), ("new", change.new), ("goes", change.goes)):
        for text in texts:
            say_cut(f"  {title:<5}  {text}")
    if change.moves:
        say("  Other workflows host the nodes: they get all that is known, and nothing is read again.")
    if change.anew:
        say("  Source, limits or more are others, so all nodes begin anew, and read the source again.")
