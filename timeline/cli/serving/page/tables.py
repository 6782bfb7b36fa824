"""Tables of the views: their columns, and rows that change while they are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nicegui import ui

#: Rows that are shown at once.
ROWS = 25
#: Columns that need no head.
UNNAMED = ("again", "spark")


def columns(
    *names: str, wrapped: Sequence[str] = (), numbers: Sequence[str] = (), wide: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Columns of these names. Those that are ``wrapped`` have long texts; ``wide`` ones are left out on a
    narrow screen."""
    found = []
    for name in names:
        classes = " ".join(["tl-wrap"] * (name in wrapped) + ["tl-wide"] * (name in wide))
        found.append(
            {"name": name, "label": "" if name in UNNAMED else name, "field": name, "sortable": True}
            | {"align": "right" if name in numbers else "left", "classes": classes}
            | {"headerClasses": "tl-wide" if name in wide else ""}
        )
    return found


def fill(table: ui.table, rows: list[dict[str, Any]]) -> None:
    """Shows rows, if they are others; with a way to turn pages where there are several."""
    if rows == table.rows:
        return
    table.rows = rows
    table.props(remove="hide-pagination") if len(rows) > ROWS else table.props("hide-pagination")
