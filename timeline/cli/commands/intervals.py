"""The command ``intervals``: from when to when a State or a Bool has each of its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from timeline.cli.connecting import NameArgument, NodeOption, connected
from timeline.cli.options import Format, FromOption, RawOption, ToOption, UsageError, between, utf8
from timeline.cli.saying import printable, say
from timeline.cli.times import TimesOption

if TYPE_CHECKING:
    from workflows.client import Client


def intervals(
    name: NameArgument,
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="The key.", show_default=False)] = None,
    all_: Annotated[bool, typer.Option("--all", help="List those of all keys.")] = False,
    node: NodeOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    format: Annotated[
        Format, typer.Option(help="How to print. Send arrow and parquet to a file: > FILE.")
    ] = Format.TABLE,
    raw: RawOption = False,
    times: TimesOption = None,
) -> None:
    """List from when to when a node (a State or a Bool) has each of its values: one row for each interval.

    "open" says that it goes on: its end is as far as the key is known, or --to.
    """
    if (key is None) != all_:
        got = "neither" if key is None else f"{key!r} and --all"
        raise UsageError(f"give a KEY, or --all for those of all keys, got {got}")
    start, end = between(from_, to)

    async def work(timelines: Client) -> None:
        from timeline.cli.rows import print_columns
        from timeline.tables.intervals import COLUMNS

        keys = None if key is None else [utf8(key, "KEY")]
        found = await timelines.intervals(name, keys, node=node, start=start, end=end)
        if format in (Format.ARROW, Format.PARQUET):
            from timeline.cli.tables import write_tables

            write_tables([found.to_arrow()], format, ("from", "to"), times)
        else:
            print_columns(COLUMNS, (one.row() for one in found), format, raw, ("from", "to"), times)
        for left_out, why in found.left_out.items():
            say(printable(f"left out: {left_out}: {why}"), err=True)

    connected(work)
