"""Values, plans and states as a person, or a program, reads them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

import orjson

from timeline.cli.saying import printable, printable_json, say
from timeline.operators.outputs import Outputs
from timeline.pictures.texts import short_text
from timeline.plan import Plan, PlanNode
from timeline.tables.marks import mark_of, place_of

if TYPE_CHECKING:  # rich takes 30 ms to import, and programs want none of it
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    from timeline.fragments import Fragment
    from timeline.reading.model import Rejected
    from timeline.spec.spec import Spec


def console() -> Console:
    """Standard output; wide enough for whole texts where it is not a terminal."""
    from timeline.cli.drawing import make_console

    out = make_console()
    return out if out.is_terminal else make_console(width=100_000)


def place_text(place: Sequence[int] | None) -> str:
    """A place in a stream, with the time of the mark that is there.

    >>> place_text([7, 3]), place_text([7, 3, -1, 5_000]), place_text(None)
    ('7.3', '7.3 mark 5000 ms', '-')
    """
    if place is None:
        return "-"
    mark = mark_of(tuple(place))
    text = ".".join(map(str, place_of(tuple(place))))
    return text if mark is None else f"{text} mark {mark} ms"


def print_json(value: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(printable_json(orjson.dumps(value).decode()) + "\n")


def print_plan(
    plan: Plan,
    spec: Spec | None,
    *,
    as_json: bool,
    users: Mapping[str, Sequence[str]] | None = None,
    rate: float | None = None,
) -> None:
    """The plan as a tree with kinds and, where there is a spec, workflow ids and what a wave costs.

    With ``users`` (timelines by the id of what runs) it says who uses each node already; with a ``rate`` of
    waves a second what they come to in a month.
    """
    from rich.text import Text
    from rich.tree import Tree

    from workflows.names import node_id

    def ids(node: PlanNode) -> list[str]:
        if spec is None:
            return []
        return [node_id(spec, node, stream) for stream in range(spec.limits.shards)]

    def used_by(node: PlanNode) -> list[str]:
        """The other timelines on the node, whatever its stream."""
        stems = {workflow_id.rpartition(".")[0] for workflow_id in ids(node)}
        found = {
            name
            for workflow_id, names in (users or {}).items()
            if workflow_id.rpartition(".")[0] in stems
            for name in names
        }
        return sorted(found - {spec.name if spec else ""})

    if as_json:
        nodes = [
            {
                "index": node.index,
                "text": node.text,
                "operator": node.operator.name,
                "kind": node.kind.value,
                "inputs": node.inputs,
                "columns": sorted(node.leaf.columns) if node.leaf else [],
                "digest": node.digest,
                "workflows": ids(node),
                **({} if users is None else {"used_by": used_by(node)}),
            }
            for node in plan.nodes
        ]
        outputs = {name: node.index for name, node in plan.outputs.items()}
        runs = {} if spec is None else {"run": _run(spec, rate)}
        print_json({"timeline": spec.name if spec else None, "outputs": outputs, "nodes": nodes, **runs})
        return

    def label(node: PlanNode, name: str | None = None) -> Text:
        text = Text("" if name is None else f"{name}: ", style="magenta")
        text.append(short_text(node, plan), style="bold")
        text.append(f"  {node.kind.value}", style="cyan")
        reads = f"  reads {', '.join(sorted(node.leaf.columns)) or 'every event'}" if node.leaf else ""
        text.append(reads, style="green")
        text.append(f"  {ids(node)[0] if spec else node.digest}", style="dim")
        if users is not None and (others := used_by(node)):
            text.append(f"  shared with {', '.join(others)}", style="yellow")
        return text

    def grow(branch: Tree, node: PlanNode) -> None:
        names = plan.outputs if isinstance(node.operator, Outputs) else repeat(None, len(node.inputs))
        for index, name in zip(node.inputs, names, strict=True):
            grow(branch.add(label(plan.nodes[index], name)), plan.nodes[index])

    tree = Tree(label(plan.result))
    grow(tree, plan.result)
    out = console()
    out.print(tree)
    if spec is not None:
        streams = spec.limits.shards
        leaves = len(plan.leaves)
        out.print(
            f"{len(plan.nodes)} nodes, {leaves} of which read events, on {streams} "
            f"stream{'s' if streams != 1 else ''} of {spec.source_id}"
        )
        _print_fragments(spec, rate)
    if users is not None:
        count = sum(bool(used_by(node)) for node in plan.nodes)
        out.print(f"{count} of {len(plan.nodes)} run already for other timelines")


def _run(spec: Spec, rate: float | None) -> dict[str, Any]:
    """Who lives with whom, and what a wave costs."""
    from timeline.fragments import wave_of
    from workflows.names import fragment_id

    wave = wave_of(spec.fragments)
    hosts = {fragment_id(spec, f, 0): [m.digest for m in f.members] for f in spec.fragments}
    month = {} if rate is None else {"actions_a_month": round(wave.actions * rate * SECONDS_A_MONTH)}
    costs = {"signals": wave.signals, "between": wave.between, "actions": wave.actions, **month}
    return {"fragments": spec.run.fragments, "workflows": hosts, "wave": costs}


def _print_fragments(spec: Spec, rate: float | None) -> None:
    from timeline.fragments import wave_of

    wave = wave_of(spec.fragments)
    one = "1 workflow" if wave.workflows == 1 else f"{wave.workflows} workflows"
    print_line = console().print
    print_line(
        f"fragments {spec.run.fragments}: {one} a stream; a wave is {wave.signals} + {wave.between} signals, "
        f"{wave.actions} Temporal actions"
    )
    for fragment in spec.fragments:
        inside = [short_text(m, spec.plan) for m in fragment.members if m is not fragment.root]
        if inside:
            print_line(f"  in {short_text(fragment.root, spec.plan)} live {',  '.join(inside)}")
    if rate is not None:
        month = round(wave.actions * rate * SECONDS_A_MONTH)
        print_line(f"{rate:g} waves a second on a stream: {month:,} actions in a month of 30 days")


SECONDS_A_MONTH = 30 * 86_400
#: Of the lines that are no events so many are shown.
MAX_SHOWN = 5


def complain(first: Sequence[Rejected], count: int, ahead: int = 0) -> None:
    """Says on standard error how many lines were no events (of which ``ahead`` are, but too far ahead of the
    clock), and shows the first of them."""
    for one in first[:MAX_SHOWN]:
        say(f"skipped {printable(str(one))}", err=True)
    if ahead:
        say(f"{ahead} event{'s' if ahead != 1 else ''} skipped that limits.max_ahead refuses", err=True)
    if count := count - ahead:
        say(f"{count} line{'s' if count != 1 else ''} skipped that hold no event", err=True)


def workers_of(spec: Spec) -> dict[str, Any]:
    """The workflows that read events, those between, and the result's (several where there are several
    streams); without those between where there are none."""
    from workflows.names import fragment_id

    streams = range(spec.limits.shards)
    *others, result = spec.fragments

    def ids(fragments: Iterable[Fragment]) -> list[str]:
        return [fragment_id(spec, fragment, stream) for stream in streams for fragment in fragments]

    results, between = ids([result]), ids(f for f in others if not f.leaves)
    return {
        "event-processor-workers": ids(f for f in spec.fragments if f.leaves),
        **({"inner-workers": between} if between else {}),
        "result-worker": results[0] if len(results) == 1 else results,
    }


def print_workers(spec: Spec, workers: dict[str, Any], verb: str = "registered") -> None:
    """Of a timeline: how many nodes, the ids that one asks and feeds, and what would cost less."""
    from timeline.fragments import fragments_of, wave_of

    streams = spec.limits.shards
    many = f"{streams} stream{'s' if streams != 1 else ''}"
    each = " for each partition of its topic" if spec.source.topic else ""
    say(f"{verb} {spec.name}: {len(spec.plan.nodes)} nodes on {many}{each}")
    for title, ids in workers.items():
        say(f"{title}:")
        for workflow_id in [ids] if isinstance(ids, str) else ids:
            say(f"  {workflow_id}")
    wave = wave_of(spec.fragments)
    if wave.workflows > 1:
        least = wave_of(fragments_of(spec.plan, "stream"))
        say(
            f"a wave is {wave.signals + wave.between} signals, {wave.actions} Temporal actions; "
            f"with --fragments stream it would be {least.signals} and {least.actions}"
        )


def sink_line(sink: Mapping[str, Any]) -> str:
    """What `describe` says of a sink."""
    position = ".".join(map(str, sink["position"] or ("-",)))
    kind = sink["kind"] if sink["kind"] in ("topic", "webhook") else f"{sink['kind']} in"
    name = f" {sink['sink']}" if sink.get("sink") else ""
    if "merged" in sink:
        return f"sink{name} of stream {sink['stream']}: hands its groups over, up to {position}"
    of = "all streams" if sink["stream"] is None else f"stream {sink['stream']}"
    if "until" in sink:
        position = f"{sink['until']} ms"
        if behind := sink["waits_for"]:
            position += f" (waits for stream {', '.join(map(str, behind[:20]))})"
    once = {True: "exactly once", False: "at least once: its broker does not deduplicate"}
    said = f", {once[sink['exactly_once']]}" if sink["exactly_once"] is not None else ""
    return (
        f"sink{name} of {of}: {kind} {sink['place']}, {sink['rows']} rows in "
        f"{sink['batches']} batches up to {position} as {sink['name']}{said}"
    )
