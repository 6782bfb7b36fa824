"""The command line: one Typer app over everything."""

from __future__ import annotations

import sys

import typer

from timeline.cli import local, remote, service
from timeline.errors import ExpressionError, TimelineError

app = typer.Typer(
    name="timeline",
    help="Durable time-state analytics: questions about state over time, as one expression.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("eval")(local.evaluate_files)
app.command("explain")(local.explain)
app.command("dev")(service.dev)
app.command("worker")(service.worker)
app.command("codec")(service.codec)
app.command("register")(remote.register)
app.command("dry-run")(remote.dry_run)
app.command("feed")(remote.feed)
app.command("query")(remote.query)
app.command("show")(remote.show)
app.command("list")(remote.list_timelines)
app.command("describe")(remote.describe)
app.command("remove")(remote.remove)


def run() -> None:
    """The console script. Exit codes: 0 good, 1 the answer is no, 2 wrong use or an error."""
    try:
        app()
    except TimelineError as error:
        print(f"error: {error}", file=sys.stderr)
        if isinstance(error, ExpressionError) and (caret := error.caret()):
            print("\n".join(f"  {line}" for line in caret.splitlines()), file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # The reader of our output (head, say) has had enough.
        sys.stderr.close()
        raise SystemExit(0) from None


if __name__ == "__main__":
    run()
