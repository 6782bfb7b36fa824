"""The nodes of a plan as a drawn graph (Mermaid), those of one workflow in one colour."""

from __future__ import annotations

from colorsys import hsv_to_rgb

from nicegui import ui

from timeline.pictures.texts import short_text
from timeline.spec.spec import Spec


def graph(spec: Spec, values: bool = False) -> str:
    """The graph, results last; an arrow from what a node computes from; with a place for ``values``, which
    `page.js` writes there.

    >>> print(graph(Spec(name="plays", expression="!has_existed(a == 1)")))
    graph LR
    n0["has_existed(a == 1)<br><i>Bool</i>"]
    n1["!…<br><i>Bool</i>"]
    n0 --> n1
    linkStyle default stroke:#888
    style n0 fill:#ffbfbf,stroke:#888,color:#111
    style n1 fill:#bfffff,stroke:#888,color:#111
    """
    plan = spec.plan
    hosts = {fragment.root.index: i for i, fragment in enumerate(spec.fragments)}
    lines = ["graph LR"]
    for node in plan.nodes:
        text = _escaped(short_text(node, plan))
        place = "<br><b>–</b>" if values else ""
        lines.append(f'n{node.index}["{text}<br><i>{node.kind.value}</i>{place}"]')
    lines += [f"n{index} --> n{node.index}" for node in plan.nodes for index in node.inputs]
    lines += ["linkStyle default stroke:#888"] * (len(plan.nodes) > 1)
    for node in plan.nodes:
        fill = _colour(hosts[spec.host(node).root.index], len(hosts))
        lines.append(f"style n{node.index} fill:{fill},stroke:#888,color:#111")
    return "\n".join(lines)


def drawing(text: str) -> ui.mermaid:
    """Where a graph is drawn, never so small that nobody can read it."""
    drawn = ui.mermaid(text).classes("tl-graph")
    ui.run_javascript(f"tlGraph({drawn.id})")
    return drawn


def _colour(number: int, of: int) -> str:
    """One of so many colours that differ, light enough for dark text."""
    red, green, blue = (round(255 * part) for part in hsv_to_rgb(number / of, 0.25, 1.0))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _escaped(text: str) -> str:
    """A text that Mermaid takes for nothing else."""
    return "".join(c if c.isalnum() or c in " _()=!….,:@+-" else f"#{ord(c)};" for c in text)
