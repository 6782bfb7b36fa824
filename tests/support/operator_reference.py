"""Writes docs/operators.md and the types of the builder from the operators: `python -m` this.

Definition and worked example stand in one place, the docstring; `test_operator_reference` checks that
the page is current and that no operator is missing.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import io
import pkgutil
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from tests.support.places import ROOT
from timeline import operators
from timeline.cli.lanes import draw
from timeline.engine.answers import Answers
from timeline.language.signatures import Parameter, signatures
from timeline.local.graph import Graph
from timeline.operators.base import Operator
from timeline.pictures import panel, plan_lanes
from timeline.plan import make_plan
from timeline.tables.events import from_rows
from timeline.values.kinds import Kind
from timeline.values.scalars import Scalar

PAGE = ROOT / "docs" / "operators.md"
STUB = ROOT / "timeline" / "language" / "calls.pyi"
HEAD = """# Operators

Written by `python -m tests.support.operator_reference` from the operators' docstrings; do not edit it here.
What the language is otherwise, and what happens at the edges: [language.md](language.md).

Each example has one key, whose events are listed as second and value of the column `state`. The lanes
show every node of the expression, its result first.
"""


def operator_classes() -> list[type[Operator]]:
    """Every operator that can be a node, by module and in the order of the file."""
    found: list[type[Operator]] = []
    for module_info in sorted(pkgutil.iter_modules(operators.__path__), key=lambda m: m.name):
        module = importlib.import_module(f"timeline.operators.{module_info.name}")
        for _, of_class in inspect.getmembers(module, inspect.isclass):
            if of_class.__module__ != module.__name__ or inspect.isabstract(of_class):
                continue
            if issubclass(of_class, Operator):
                found.append(of_class)
    return found


def stub() -> str:
    """The types of `timeline.language.calls`."""
    lines = [
        "# Written by `python -m tests.support.operator_reference`; do not edit it here.",
        "from timeline.language.builder import Build, Duration, Operand",
        "",
    ]
    for signature in sorted(signatures(), key=lambda s: s.python_name):
        if signature.symbol:
            continue
        parameters = ", ".join(f"{p.python_name}: {_type(p)}" for p in signature.parameters)
        lines.append(f"def {signature.python_name}({parameters}) -> Build: ...")
    return "\n".join(lines) + "\n"


def _type(parameter: Parameter) -> str:
    if parameter.is_duration:
        return "Duration"
    if parameter.kinds == (Kind.COLUMN,):
        return "str | Build"
    return "Operand" if Kind.CONSTANT in parameter.kinds else "Build"


def described(of_class: type[Operator]) -> tuple[str, list[str]]:
    """An operator's definition, and the source of its worked examples: each is a ``run(...)``."""
    pieces = doctest.DocTestParser().parse(inspect.getdoc(of_class) or "")
    told = "".join(piece for piece in pieces if isinstance(piece, str)).strip()
    examples = [p.source for p in pieces if isinstance(p, doctest.Example) and "import" not in p.source]
    if not told or not examples:
        raise ValueError(f"{of_class.__name__} has no definition or no worked example in its docstring")
    return told, examples


def example(source: str) -> str:
    """The lanes of one ``run(...)`` of a docstring."""
    drawn: list[str] = []

    def run(
        expression: str, events: Mapping[float, Scalar], late: Mapping[float, Scalar] | None = None
    ) -> None:
        plan = make_plan(expression)
        graph = Graph(plan)
        for step, batch in enumerate((events, late or {})):
            rows: list[tuple[str, int, dict[str, Scalar]]] = [
                ("key", int(second * 1000), {"state": value}) for second, value in batch.items()
            ]
            if rows:
                graph.feed(from_rows(rows, (step, 0)), (step, len(rows)))
        tables = [Answers(node.state).timeline("key") for node in graph.nodes]
        out = Console(file=io.StringIO(), width=150, no_color=True, highlight=False)
        rows_of = {i: table.json_rows() for i, (table, _, _) in enumerate(tables)}
        draw(out, panel("", plan_lanes(plan, rows_of), tables[-1][1], tables[-1][2]))
        assert isinstance(out.file, io.StringIO)
        told = "  ".join(f"{second} s {value!r}" for second, value in events.items())
        told += "".join(f"  then, late, {second} s {value!r}" for second, value in (late or {}).items())
        lanes = "\n".join(line.rstrip() for line in out.file.getvalue().strip("\n").split("\n"))
        drawn.append(f"{expression}\n{told}\n{lanes}")

    names: dict[str, Any] = {"run": run}
    exec(source, names)
    return "\n\n".join(drawn)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    usages = {
        s.name: f"{s.usage}: {s.result.value if isinstance(s.result, Kind) else 'of its operands'}"
        for s in signatures()
    }
    for of_class in operator_classes():
        module = inspect.getmodule(of_class)
        assert module is not None
        title = (module.__doc__ or "").strip().split("\n")[0]
        told, examples = described(of_class)
        name = next((f"`{usages[n]}`" for n in usages if n == module.__name__.split(".")[-1].rstrip("_")), "")
        parts.append(f"## {of_class.__name__}\n\n{title}\n" + (f"\n{name}\n" if name else ""))
        parts.append(told + "\n")
        parts += [f"```text\n{example(source).rstrip()}\n```\n" for source in examples]
    return "\n".join(parts)


if __name__ == "__main__":
    for path, text in ((STUB, stub()), (PAGE, page())):
        path.write_text(text, "utf-8")
        print(f"wrote {path.name}")
