"""The command ``lives``: what a key did between two gaps of ``limits.key_ttl``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timeline.cli.connecting import KeyArgument, NameArgument, NodeOption, connected
from timeline.cli.options import JsonOption, utf8
from timeline.cli.saying import printable, say
from timeline.cli.times import TimesOption

if TYPE_CHECKING:
    from workflows.client import Client


def lives(
    name: NameArgument,
    key: KeyArgument,
    node: NodeOption = None,
    times: TimesOption = None,
    json: JsonOption = False,
) -> None:
    """List the lives (sessions) of a key within retention: their begin, end and value.

    A life is a run of events with gaps shorter than limits.key_ttl. Without it a key has one life. "to" is
    where a life ends. When a life is closed, nothing changes it any more.
    """
    key = utf8(key, "KEY")

    async def work(timelines: Client) -> None:
        from timeline.cli.options import Format
        from timeline.cli.render import print_json
        from timeline.cli.rows import print_columns
        from timeline.pictures.texts import value_text

        spec = await timelines.registry.spec(name)
        asked = spec.plan.result if node is None else spec.plan.find(node)
        # Says so if nothing was heard of the key.
        await timelines.questions.values(spec, asked, [(key, None)])
        ttl = spec.node_limits.key_ttl
        shown: list[dict[str, Any]] = []
        for life in (await timelines.questions.lives(spec, asked, [key]))[key]:
            end = None if ttl is None else life.newest + ttl
            place: dict[str, Any] = {"from": life.origin, "newest": life.newest, "to": end}
            place["closed"] = life.closed
            if json:
                print_json({"key": key, **place, "value": life.value, "error": life.error})
            else:
                shown.append(place | {"value": printable(life.error or value_text(life.value))})
        if json:
            return
        timed = ["from", "newest", "to"]
        print_columns([*timed, "closed", "value"], shown, Format.TABLE, False, timed, times)
        if ttl is None:
            say("limits.key_ttl is not given: a key has one life")

    connected(work)
