"""Timeline: durable time-state analytics on Temporal and Apache Pulsar.

The public API of the pure part: expressions (text or builder), specs, reading events, evaluation.

>>> import timeline as tl
>>> str(tl.duration_where(tl.latest_event_to_state("state") == "buffer"))
'duration_where(latest_event_to_state(state) == "buffer")'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from timeline.errors import (
        ExpressionError,
        KindError,
        SpecError,
        TimelineError,
    )
    from timeline.language.builder import (
        col,
        count,
        count_rises,
        duration_in_cur_state,
        duration_in_prior_state,
        duration_where,
        has_existed,
        has_existed_within,
        if_,
        lag,
        latest_event_to_state,
        prior_state,
        sum_,
    )
    from timeline.language.parser import parse
    from timeline.language.printer import print_expression
    from timeline.limits import Limits
    from timeline.local.evaluate import Evaluation, Row, evaluate
    from timeline.plan import Plan, make_plan
    from timeline.reading import read_events
    from timeline.spec.loading import load_spec
    from timeline.spec.spec import Spec
    from timeline.tables.events import Events, concat, from_rows

# Names are imported when they are first used: a command pays only for what it needs.
_HOMES = {
    "language.builder": (
        "col",
        "count",
        "count_rises",
        "duration_in_cur_state",
        "duration_in_prior_state",
        "duration_where",
        "has_existed",
        "has_existed_within",
        "if_",
        "lag",
        "latest_event_to_state",
        "prior_state",
        "sum_",
    ),
    "errors": ("ExpressionError", "KindError", "SpecError", "TimelineError"),
    "local.evaluate": ("Evaluation", "Row", "evaluate"),
    "tables.events": ("Events", "concat", "from_rows"),
    "limits": ("Limits",),
    "language.parser": ("parse",),
    "plan": ("Plan", "make_plan"),
    "language.printer": ("print_expression",),
    "reading": ("read_events",),
    "spec": ("Spec", "load_spec"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Evaluation",
    "Events",
    "ExpressionError",
    "KindError",
    "Limits",
    "Plan",
    "Row",
    "Spec",
    "SpecError",
    "TimelineError",
    "col",
    "concat",
    "count",
    "count_rises",
    "duration_in_cur_state",
    "duration_in_prior_state",
    "duration_where",
    "evaluate",
    "from_rows",
    "has_existed",
    "has_existed_within",
    "if_",
    "lag",
    "latest_event_to_state",
    "load_spec",
    "make_plan",
    "parse",
    "print_expression",
    "prior_state",
    "read_events",
    "sum_",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'timeline' has no attribute {name!r}")
    value = getattr(import_module(f"timeline.{_HOME[name]}"), name)
    globals()[name] = value
    return value
