"""Commands that ask and remove: ``show``, ``list``, ``describe``, ``remove``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timeline.cli.connecting import KeyArgument, NameArgument, connected
from timeline.cli.listing import say_listed
from timeline.cli.options import (
    PICTURES,
    Drawn,
    FromOption,
    JsonOption,
    ToOption,
    between,
    utf8,
)
from timeline.cli.saying import printable, say
from timeline.cli.telling import mistakes_of

if TYPE_CHECKING:
    from workflows.client import Client
    from workflows.protocol.node import SetAside


#: The most quarantined keys that `describe` names.
MAX_SHOWN = 20
#: The most timelines that `list --nodes` names as users of one node.
MAX_USERS = 4
#: What `list --nodes` sums over a node's streams.
_COSTS = ("streams", "keys", "rows", "state_bytes", "history_length")
_HEADS = {"state_bytes": "state", "history_length": "history"}


def show(
    name: NameArgument,
    key: KeyArgument,
    from_: FromOption = None,
    to: ToOption = None,
    format: Annotated[Drawn, typer.Option(help=PICTURES)] = Drawn.LANES,
    json: JsonOption = False,
) -> None:
    """Draw every node's timeline of a key, as the workflows have it."""
    from timeline.cli.pictures import print_picture
    from timeline.cli.render import print_json

    start, end = between(from_, to)

    async def work(timelines: Client) -> None:
        if not json:
            picture = await timelines.plot(name, utf8(key, "KEY"), start=start, end=end)
            print_picture(picture.panels, 0, format)
            return
        spec = await timelines.registry.spec(name)
        await timelines.questions.values(spec, spec.plan.result, [(utf8(key, "KEY"), None)])
        found = [await timelines.questions.timelines(spec, n, [key]) for n in spec.plan.nodes]
        for planned, timeline in zip(spec.plan.nodes, found, strict=True):
            held = timeline[key]
            error = {"error": held.error} if held.error else {}
            print_json({"node": planned.text, "rows": held.rows, **error})

    connected(work)


def list_timelines(
    nodes: Annotated[
        bool, typer.Option("--nodes", help="Show what each running node costs, and who uses it.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """List the registered timelines, or with --nodes the workflows that compute them."""
    if nodes:
        _list_nodes(json)
    else:
        _list(json)


def _list_nodes(json: bool) -> None:
    """The nodes of all timelines, those that most use first; of a node's streams the sum."""
    from timeline.cli.render import print_json

    async def work(timelines: Client) -> None:

        users = await timelines.registry.users()
        states: Sequence[Mapping[str, Any]] = await asyncio.gather(*map(timelines.nodes.status, users))
        found: dict[str, dict[str, Any]] = {}
        for (workflow_id, names), state in zip(users.items(), states, strict=True):
            root, source = state["expression"], workflow_id.rsplit(".", 3)[0]
            for member in state["members"]:
                # What a workflow costs as a whole is said of its root.
                lives = {} if member["expression"] == root else {"lives_with": root}
                node = found.setdefault(
                    f"{workflow_id.rpartition('.')[0]} {member['node']}",
                    {"node": member["expression"], "source": source, "users": names, **lives}
                    | dict.fromkeys(_COSTS, 0),
                )
                node["streams"] += 1
                for cost in _COSTS[1:]:
                    node[cost] += {**({} if lives else state), **member}.get(cost, 0)
        ordered = sorted(found.values(), key=lambda node: (-len(node["users"]), node["source"], node["node"]))
        if json:
            for node in ordered:
                print_json(node)
            return
        rows = []
        for node in ordered:
            some = ", ".join(node["users"][:MAX_USERS])
            more = f" and {len(node['users']) - MAX_USERS} more" if len(node["users"]) > MAX_USERS else ""
            inside = f"  (with {node['lives_with']})" if "lives_with" in node else ""
            costs = (str(node[cost]) for cost in _COSTS)
            rows.append([node["node"] + inside, node["source"], *costs, some + more])
        heads = ("node", "source", *(_HEADS.get(c, c) for c in _COSTS), "used by")
        say_listed(heads, rows, long=("node", "source", "used by"))
        apart = sum(len(names) for names in users.values())
        say(f"{len(users)} workflows; {apart} if each timeline had its own")

    connected(work)


def _list(json: bool) -> None:
    from timeline.cli.render import print_json

    async def work(timelines: Client) -> None:

        specs, standings = await timelines.registry.specs(), await timelines.registry.standings()
        unreadable, begun = await timelines.registry.unreadable(), await timelines.registry.begun()
        if json:
            for spec in specs.values():
                standing = standings[spec.name]
                about = {"version": standing["version"], "paused": standing["paused"]}
                print_json(spec.to_wire() | about)
            for name, why in unreadable.items():
                print_json({"name": name, "not_understood": why})
            for spec in begun.values():
                print_json(spec.to_wire() | {"begun": True})
            return
        if not (specs or unreadable or begun):
            say("no timelines are registered; see `timeline register`")
            return
        rows = []
        for spec in specs.values():
            streams = str(len(await timelines.registry.streams(spec)))
            standing = standings[spec.name]
            version = f"v{standing['version']}{' paused' if standing['paused'] else ''}"
            rows.append([spec.name, version, spec.source_id, streams, spec.plan.result.text])
        if specs:
            heads = ("timeline", "version", "source", "streams", "expression")
            say_listed(heads, rows, long=("source", "expression"))
        for name, why in unreadable.items():
            say(f"{name}  not understood here: {why}")
        for name in begun:
            say(f"{name}  registration has begun: `timeline register` goes on, `timeline remove` ends it")

    connected(work)


def describe(
    name: NameArgument,
    versions: Annotated[
        bool, typer.Option("--versions", help="Show the last versions of its spec, and when they came.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Describe a timeline: its spec, and position, counters and sizes of every node."""
    if versions:
        _versions(name, json)
    else:
        _describe(name, json)


def _versions(name: str, json: bool) -> None:
    from datetime import UTC, datetime

    from timeline.cli.render import print_json
    from timeline.pictures.texts import value_text
    from timeline.spec.changes import changes
    from timeline.spec.spec import Spec

    async def work(timelines: Client) -> None:
        before: Spec | None = None
        for version in await timelines.registry.versions(name):
            if json:
                print_json(version)
                continue
            at = version["at"]
            when = "" if at is None else f"  {datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
            spec = Spec.from_wire(version["spec"])
            say(f"v{version['number']}{when}  {printable(spec.definition)}")
            if before is not None:
                for place, was, now in changes(before, spec).settings:
                    say(printable(f"    {place}: {value_text(was)} -> {value_text(now)}"))
            before = spec

    connected(work)


def _describe(name: str, json: bool) -> None:
    from timeline.cli.render import console, place_text, print_json, sink_line
    from timeline.pictures.texts import short_text

    async def work(timelines: Client) -> None:
        from rich.text import Text

        spec = await timelines.registry.spec(name)
        standing = (await timelines.registry.standings())[name]
        found = await timelines.nodes.of_timeline(spec)
        states: Sequence[Mapping[str, Any]] = [state for _, _, state in found]
        # What was fed may show what files of the spec, if they are here, do not.
        mistakes = await timelines.registry.warnings(name) or mistakes_of(spec)
        if json:
            nodes = [{"workflow": i, **state} for _, i, state in found]
            held = await timelines.nodes.quarantined(spec)
            about: dict[str, Any] = {"version": standing["version"], "paused": standing["paused"]}
            about |= {"gaps": await timelines.registry.gaps(spec.source_id)} if spec.source.topic else {}
            sinks = {"sinks": await timelines.nodes.sinks(spec)} if spec.sinks else {}
            more = {"warnings": [mistake.to_json() for mistake in mistakes], **sinks}
            print_json({"spec": spec.to_wire(), **about, "nodes": nodes, "quarantined": held, **more})
            return
        out = console()
        paused = " (paused)" if standing["paused"] else ""
        out.print(f"{spec.name}  v{standing['version']}{paused}  {spec.description}".rstrip())
        out.print(Text(spec.definition))
        limits = spec.to_wire()["limits"]
        out.print(f"source {spec.source_id}  " + "  ".join(f"{k} {v}" for k, v in limits.items()))
        rows = []
        for (node, workflow_id, _), state in zip(found, states, strict=True):
            counts = [str(state[c]) for c in ("keys", "rows")]
            taken = [str(state[c]) if node.leaf else "" for c in ("accepted", "refused")]
            place = place_text(state["position"])
            rows.append([short_text(node, spec.plan), workflow_id, place, *counts, *taken])
        heads = ("node", "workflow", "position", "keys", "rows", "accepted", "refused")
        say_listed(heads, rows, long=("node", "workflow"))
        if gaps := await timelines.registry.gaps(spec.source_id):
            out.print(f"{len(gaps)} gap{'' if len(gaps) == 1 else 's'} of messages that were never fed:")
        for gap in gaps:
            places = f"{place_text(gap['after'])} and {place_text(gap['until'])}"
            out.print(f"  partition {gap['partition']}, between {places}")
        for mistake in mistakes:
            out.print(Text(printable(f"warning: {mistake}"), style="yellow"))
        for (node, _, _), state in zip(found, states, strict=True):
            for count, what in (("exact_later", "exact"), ("counted_later", "counted")):
                if state.get(count):
                    shown = short_text(node, spec.plan)
                    keys = f"{state[count]} key{'' if state[count] == 1 else 's'}"
                    text = f"{shown}: {keys} {what} from later than their origin (`timeline query` says when)"
                    out.print(Text(text))
        for sink in await timelines.nodes.sinks(spec):
            out.print(Text(printable(sink_line(sink))))
            if odd := sink.get("odd"):
                _print_odd(sink["workflow"], odd)
            if problem := sink["full"] or sink.get("error") or sink.get("missing") or sink.get("held"):
                out.print(Text(printable(f"sink cannot write: {problem}"), style="red"))
        for workflow_id, state in {i: state for _, i, state in found}.items():
            if problem := state["full"]:
                out.print(Text(f"stopped: {problem}", style="red"))
            if problem := state.get("missing"):
                out.print(Text(printable(f"{workflow_id} cannot go on: {problem}"), style="red"))
        for workflow_id, odd in {i: state["odd"] for _, i, state in found if state.get("odd")}.items():
            _print_odd(workflow_id, odd)
        if any(state["quarantined"] for state in states):
            held = await timelines.nodes.quarantined(spec)
            for q in held[:MAX_SHOWN]:
                since = ".".join(map(str, q["position"]))
                text = f"quarantined: key {q['key']!r} since position {since}, in {q['node']}: {q['error']}"
                out.print(Text(printable(text), style="red"))
            if len(held) > MAX_SHOWN:
                out.print(f"... and {len(held) - MAX_SHOWN} more; --json shows all")

    connected(work)


def _print_odd(workflow_id: str, odd: SetAside) -> None:
    """The signals that a workflow did not understand."""
    count = odd["count"]
    signals = "1 signal was" if count == 1 else f"{count} signals were"
    say(f"{workflow_id}: {signals} not understood and set aside, at last:")
    for one in odd["last"]:
        say(f"  {one['signal']}: {one['why']}")


def refused(name: NameArgument, json: JsonOption = False) -> None:
    """List refused events: too late, or of a closed key (the last 5000 of each stream are kept)."""
    from timeline.cli.render import console, print_json

    async def work(timelines: Client) -> None:
        from rich.table import Table
        from rich.text import Text

        spec = await timelines.registry.spec(name)
        table = Table("stream", "position", "key", "time (ms)", "reason", box=None, pad_edge=False)
        for stream in await timelines.registry.streams(spec):
            async for event in timelines.leaves.refused(spec, stream):
                if json:
                    print_json({"stream": stream, **event})
                    continue
                position = ".".join(map(str, event["position"]))
                key = Text(printable(event["key"]))
                table.add_row(str(stream), position, key, str(event["time"]), event["reason"])
        if not json:
            if table.row_count:
                console().print(table)
            else:
                say("no events were refused")

    connected(work)


def release(name: NameArgument, key: KeyArgument, json: JsonOption = False) -> None:
    """Build a quarantined key again from what its children have, after you have corrected the cause."""
    from timeline.cli.render import print_json

    async def work(timelines: Client) -> list[str]:
        return await timelines.nodes.release(await timelines.registry.spec(name), utf8(key, "KEY"))

    nodes = connected(work)
    if json:
        print_json({"timeline": name, "key": key, "released": nodes})
    else:
        say(f"released {key} in {len(nodes)} nodes; `timeline describe {name}` shows if it stays so")


def remove(name: NameArgument, json: JsonOption = False) -> None:
    """Remove a timeline, and stop the nodes that no other timeline uses."""
    from timeline.cli.render import print_json

    stopped = connected(lambda timelines: timelines.registry.remove(name))
    if json:
        print_json({"timeline": name, "stopped": stopped})
    else:
        say(f"removed {name}; {len(stopped)} workflows stopped")
