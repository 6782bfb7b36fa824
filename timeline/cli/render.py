"""Values, plans and states as a person, or a program, reads them."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

import orjson
import typer

from timeline.cli.options import (
    Format,
)
from timeline.language.output_names import VALUE
from timeline.local.evaluate import Row
from timeline.operators.outputs import Outputs
from timeline.plan import Plan, PlanNode
from timeline.values.scalars import Value

if TYPE_CHECKING:  # rich takes 30 ms to import, and programs want none of it
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    from timeline.reading.model import Rejected
    from timeline.spec.spec import Spec


def console() -> Console:
    """Standard output; wide enough for whole texts where it is not a terminal."""
    from rich.console import Console

    out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not out.is_terminal:
        out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=100_000)
    return out


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Text of the data with what would steer a terminal written as escapes.

    >>> print(printable("a\x1b[31m\n☃"))
    a\x1b[31m\n☃
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def value_text(value: Value) -> str:
    """A value as JSON has it, but strings without quotes."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def print_json(value: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(orjson.dumps(value).decode() + "\n")


def print_rows(rows: Iterable[Row], names: Sequence[str], format: Format) -> None:
    """Rows of an evaluation, with a column for each of the outputs ``names``."""
    if format is Format.JSONL:
        sys.stdout.writelines(map(_json_line, rows))
    elif format is Format.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["key", "at", *names])
        for row in rows:
            values = ("" if v is None else value_text(v) for v in _columns(row))
            writer.writerow([row.key, row.at, *values])
    else:
        lines = ([row.key, str(row.at), *map(value_text, _columns(row))] for row in rows)
        _print_lines(["key", "at (ms)", *names], lines)


def print_columns(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], format: Format) -> None:
    """Rows of an answer over all keys; ``columns`` are what each of them has."""
    if format is Format.JSONL:
        sys.stdout.writelines(orjson.dumps(row).decode() + "\n" for row in rows)
    elif format is Format.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow("" if row[c] is None else value_text(row[c]) for c in columns)
    else:
        lines = ([value_text(row[c]) for c in columns] for row in rows)
        _print_lines(["at (ms)" if c == "at" else c for c in columns], lines)


def _print_lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Texts under their heads. Rich's tables take 0.1 s to import, and wrap what one may want to copy."""
    from rich.cells import cell_len

    texts = [list(head), *(list(map(printable, row)) for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*texts, strict=True)]
    for line in texts:
        cells = (text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _columns(row: Row) -> Iterable[Value]:
    return row.value.values() if isinstance(row.value, dict) else (row.value,)


def _json_line(row: Row) -> str:
    values = row.value if isinstance(row.value, dict) else {VALUE: row.value}
    return orjson.dumps({"key": row.key, "at": row.at, **values}).decode() + "\n"


def short_text(node: PlanNode, plan: Plan) -> str:
    """A node's text with its inputs left out.

    >>> from timeline.plan import make_plan
    >>> plan = make_plan('duration_where(!has_existed(a == 1))')
    >>> [short_text(node, plan) for node in plan.nodes]
    ['has_existed(a == 1)', '!…', 'duration_where(…)']
    """
    if isinstance(node.operator, Outputs):
        return node.operator.name
    text = node.text
    for index in sorted(set(node.inputs), key=lambda i: -len(plan.nodes[i].text)):
        child = plan.nodes[index].text
        text = text.replace(f"({child})", "(…)") if text.startswith("!") else text
        text = text.replace(child, "…")
    return text


def print_plan(
    plan: Plan, spec: Spec | None, *, as_json: bool, users: Mapping[str, Sequence[str]] | None = None
) -> None:
    """The plan as a tree with kinds and, where there is a spec, workflow ids.

    With ``users`` (timelines by the id of what runs) it says who uses each node already.
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
        print_json({"timeline": spec.name if spec else None, "outputs": outputs, "nodes": nodes})
        return

    def label(node: PlanNode, name: str | None = None) -> Text:
        text = Text("" if name is None else f"{name}: ", style="magenta")
        text.append(short_text(node, plan), style="bold")
        text.append(f"  {node.kind.value}", style="cyan")
        reads = f"  reads {', '.join(sorted(node.leaf.columns))}" if node.leaf else ""
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
    if users is not None:
        count = sum(bool(used_by(node)) for node in plan.nodes)
        out.print(f"{count} of {len(plan.nodes)} run already for other timelines")


#: Of the lines that are no events so many are shown.
MAX_SHOWN = 5


def complain(first: Sequence[Rejected], count: int) -> None:
    """Says on standard error how many lines were no events, and shows the first of them."""
    for one in first[:MAX_SHOWN]:
        typer.echo(f"skipped {printable(str(one))}", err=True)
    if count:
        typer.echo(f"{count} line{'s' if count != 1 else ''} skipped that hold no event", err=True)


def workers_of(spec: Spec) -> dict[str, Any]:
    """The leaf workflows, and the result workflow (several where there are several streams)."""
    from workflows.names import node_id

    streams = range(spec.limits.shards)
    results = [node_id(spec, spec.plan.result, stream) for stream in streams]
    return {
        "event-processor-workers": [
            node_id(spec, node, stream) for stream in streams for node in spec.plan.leaves
        ],
        "result-worker": results[0] if len(results) == 1 else results,
    }


def print_workers(spec: Spec, workers: dict[str, Any], verb: str = "registered") -> None:
    """Of a timeline: how many nodes, and the ids that one asks and feeds."""
    streams = spec.limits.shards
    many = f"{streams} stream{'s' if streams != 1 else ''}"
    each = " for each partition of its topic" if spec.source.topic else ""
    typer.echo(f"{verb} {spec.name}: {len(spec.plan.nodes)} nodes on {many}{each}")
    for title, ids in workers.items():
        typer.echo(f"{title}:")
        for workflow_id in [ids] if isinstance(ids, str) else ids:
            typer.echo(f"  {workflow_id}")
