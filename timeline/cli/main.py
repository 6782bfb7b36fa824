"""The command line: one Typer app over everything."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from timeline.cli.helping import Grouped, tell_version, words_to_complete
from timeline.cli.patience import patient
from timeline.cli.saying import say
from timeline.errors import NotCaughtUpError, PlacedError, TimelineError, shortened

#: Each command with the function that it is. A command's module is imported when it is called: all of
#: them, with what they need, take longer than most commands do.
COMMANDS = {
    "eval": "local.evaluate_files",
    "explain": "explaining.explain",
    "dev": "service.dev",
    "broker": "service.broker",
    "worker": "service.worker",
    "upgrade": "upgrading.upgrade",
    "serve": "serving.serve",
    "codec": "service.codec",
    "keygen": "keys.keygen",
    "namespace": "namespace.namespace",
    "register": "life.register",
    "pause": "life.pause",
    "resume": "life.resume",
    "dry-run": "feeding.dry_run",
    "feed": "feeding.feed",
    "mark": "marking.mark",
    "feeder": "streaming.feeder",
    "produce": "producing.produce",
    "demo": "demo.demo",
    "watch": "streaming.watch",
    "dead-letters": "streaming.dead_letters",
    "query": "querying.query",
    "show": "asking.show",
    "lives": "lives.lives",
    "intervals": "intervals.intervals",
    "list": "asking.list_timelines",
    "describe": "asking.describe",
    "refused": "asking.refused",
    "release": "asking.release",
    "remove": "asking.remove",
}

#: Characters of an error, whatever was got.
MAX_MESSAGE = 10_000
#: Commands that ask no server that somebody else runs.
ALONE = frozenset(("eval", "dev", "broker", "codec", "keygen", "produce", "demo"))


def make_app(arguments: Sequence[str] = ()) -> typer.Typer:
    """The app, with the one command that the arguments name, or with all of them.

    >>> [command.name for command in make_app(["eval", "--help"]).registered_commands]
    ['eval']
    """
    app = typer.Typer(
        name="timeline",
        help="Durable time-state analytics: questions about state over time, as one expression.",
        no_args_is_help=True,
        cls=Grouped,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    # Without a callback an app with one command would be that command.
    app.callback()(_options)
    for name in arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS:
        module, _, function = COMMANDS[name].partition(".")
        command = getattr(import_module(f"timeline.cli.commands.{module}"), function)
        app.command(name)(command if name in ALONE else patient(command))
    return app


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=tell_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


def run() -> None:
    """The console script. Exit codes: 0 good, 1 the answer is no, 2 wrong use or an error."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that does not know a character is no reason to say nothing.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    code = 0
    try:
        _run()
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 0 if stopped.code is None else 1
        if isinstance(stopped.__context__, BrokenPipeError):
            # The reader of our output (head, say) has had enough; Typer calls that 1.
            code = 0
    try:
        sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            code = _complain(error)
        # Whatever is still to be written has nowhere to go, and nobody needs to hear so again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if "temporalio" in sys.modules or "pulsar" in sys.modules:
        # The SDK's threads outlive the event loop; tearing the interpreter down under them aborted
        # 3 of 60 commands on a loaded machine ("PyGILState_Release ... must be current"). Pulsar's do so too.
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        if (traces := sys.modules.get("workflows.traces")) is not None:
            traces.flush()
        os._exit(code)
    raise SystemExit(code)


def _run() -> None:
    try:
        make_app(words_to_complete() or sys.argv[1:])(prog_name="timeline")
    except TimelineError as error:
        say(f"error: {shortened(str(error), MAX_MESSAGE)}", err=True)
        if isinstance(error, PlacedError) and (caret := error.caret()):
            say("\n".join(f"  {line}" for line in caret.splitlines()), err=True)
        # What is on its way is no wrong use: the answer is not there yet.
        raise SystemExit(1 if isinstance(error, NotCaughtUpError) else 2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except OSError as error:
        raise SystemExit(_complain(error)) from None
    except MemoryError:
        print("error: not enough memory; ask for fewer times or keys, or read fewer events", file=sys.stderr)
        raise SystemExit(2) from None


def _complain(error: OSError) -> int:
    where = f": {error.filename}" if error.filename else ""
    say(f"error: {error.strerror or error}{where}", err=True)
    return 2


if __name__ == "__main__":
    run()
