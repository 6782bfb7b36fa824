"""The functions that aggregate outputs, which kinds they take, and what does not fit them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from timeline.errors import RequestError
from timeline.values.kinds import Kind

#: The pseudo output that says whether a key is closed.
CLOSED = "closed"
#: The one that is the key, where its lives are asked.
KEY = "key"

_NUMBERS = (Kind.NUMERIC, Kind.RATIO, Kind.STATE)
#: The kinds that every function takes, in the order in which messages list them; count takes none too.
FUNCTIONS: dict[str, tuple[Kind, ...]] = {
    "count": (Kind.BOOL, *_NUMBERS),
    "sum": (Kind.BOOL, *_NUMBERS),
    "avg": (Kind.BOOL, *_NUMBERS),
    "min": _NUMBERS,
    "max": _NUMBERS,
    "p50": _NUMBERS,
    "p99": _NUMBERS,
    "histogram": _NUMBERS,
    "distinct": (Kind.STATE, Kind.NUMERIC, Kind.BOOL),
    "duration": (Kind.BOOL,),
    "duration_by": (Kind.STATE, Kind.BOOL),
    "rises": (Kind.BOOL,),
    "change": (Kind.NUMERIC, Kind.STATE),
}
#: Those that are of a stretch of time, and of no tick.
OVER_TIME = ("duration", "duration_by", "rises", "change")
#: What functions are called that are asked over intervals, and the kinds that they take there.
INTERVAL_FUNCTIONS: dict[str, tuple[str, tuple[Kind, ...]]] = {
    "count": ("keys", ()),
    "duration": ("duration", (Kind.BOOL,)),
    "duration_by": ("duration", (Kind.BOOL,)),
    "rises": ("rises", (Kind.BOOL,)),
    "change": ("change", (Kind.NUMERIC, Kind.STATE)),
    "avg": ("time_avg", (Kind.BOOL, Kind.NUMERIC, Kind.STATE)),
    "min": ("min", (Kind.NUMERIC, Kind.STATE)),
    "max": ("max", (Kind.NUMERIC, Kind.STATE)),
    "distinct": ("distinct", (Kind.STATE, Kind.BOOL)),
}


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One column of an answer: ``function`` (a name of `FUNCTIONS`; every quantile is "quantile"; over
    intervals one of `INTERVAL_FUNCTIONS`) of the numbers of ``output``, or of the keys themselves.
    ``arguments``: the quantile as a part of 100, the bounds of a histogram, or what limits a ``duration_by``,
    as they were written. ``label`` heads the column."""

    label: str
    function: str
    output: str | None = None
    arguments: tuple[str, ...] = ()


def check_output(aggregate: Aggregate, kinds: Mapping[str, Kind], over: bool = False) -> None:
    """Checks an aggregate that has an output against the kinds of what there is; ``over`` intervals or not.

    Raises:
        RequestError: there is no such output, or its kind is none that the function takes.
    """
    assert aggregate.output is not None
    kind = kind_of(aggregate.output, kinds, aggregate.label)
    name = "p50" if aggregate.function == "quantile" else aggregate.function
    takes = dict(INTERVAL_FUNCTIONS.values())[name] if over else FUNCTIONS[name]
    if kind not in takes:
        meant = f"compare it: an output such as @{aggregate.output} > 0.1 is a Bool"
        if kind is Kind.BOOL:
            meant = (
                f"for how many are true take sum({aggregate.output}), for the share avg({aggregate.output})"
            )
            if over:
                meant = f"for how long it is true take duration({aggregate.output})"
        raise RequestError(
            f"{aggregate.label}: {aggregate.output} is a {kind.value}; "
            f"expected a {', a '.join(k.value for k in takes)}; {meant}"
        )


def kind_of(name: str, kinds: Mapping[str, Kind], what: str) -> Kind:
    """The kind of an output that ``what`` names.

    Raises:
        RequestError: there is no such output.
    """
    if name not in kinds:
        raise RequestError(
            f"{what}: there is no output {name}; expected {', '.join(kinds)}{near(name, kinds)}"
        )
    return kinds[name]


def near(word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """The end of a message: which known word may have been meant, if one is near."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
