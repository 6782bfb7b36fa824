"""What the parts of a spec are made of: strict tables, and durations as the DSL writes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from timeline.errors import TimelineError
from timeline.values.ticks import format_duration, parse_duration


def _duration(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    try:
        return parse_duration(str(value))
    except TimelineError as error:
        raise ValueError(str(error)) from None


#: Milliseconds, written as the DSL writes durations ("5s", "10m"; a bare number is seconds).
Duration = Annotated[
    int,
    Field(strict=True),
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
]


def _duration_or_never(value: Any) -> Any:
    if value == "never":
        return None
    try:
        return _duration(value)
    except ValueError as error:
        raise ValueError(f'{error}, or "never"') from None


def _format_or_never(ms: int | None) -> str:
    return "never" if ms is None else format_duration(ms)


#: The same, or ``None``, which is written "never".
DurationOrNever = Annotated[
    Annotated[int, Field(strict=True)] | None,
    BeforeValidator(_duration_or_never),
    PlainSerializer(_format_or_never, return_type=str),
]


#: By what an event is late: the newest event of its key, or the time of its stream.
Watermark: TypeAlias = Literal["key", "stream"]


class Part(BaseModel):
    """A table of a spec: nothing that is not known, and never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
