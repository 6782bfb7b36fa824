"""Operators that raise for some keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from timeline.engine.node import Node
from timeline.operators.base import Leaf, Operator
from timeline.tables.events import Events
from timeline.tables.table import Table, Window
from timeline.values.vocabulary import I64


class PoisonError(ValueError):
    pass


def poisoned(node: Node, keys: set[str], *, reading: bool) -> Operator:
    """The node's operator, but that it raises for some keys: when it computes, or when it reads."""
    operator = node.state.operator
    of_class = type(operator)

    def compute(self: Any, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        if any(node.state.keys.names[code] in keys for code in window.key.tolist()):
            raise PoisonError("bad luck")
        return of_class.compute(operator, inputs, window, own)

    def read(self: Any, events: Events, at: I64, raw: Table) -> Table:
        if any(events.keys[code] in keys for code in events.key.tolist()):
            raise PoisonError("bad luck")
        assert isinstance(operator, Leaf)
        return type(operator).read(operator, events, at, raw)

    changed: dict[str, Any] = (
        {"read": read} if reading and isinstance(operator, Leaf) else {"compute": compute}
    )
    mad = type(of_class.__name__, (of_class,), changed)
    return mad(**{f.name: getattr(operator, f.name) for f in dataclasses.fields(operator)})  # type: ignore[no-any-return]


def poison(node: Node, keys: set[str], *, reading: bool) -> None:
    node.state.operator = poisoned(node, keys, reading=reading)
