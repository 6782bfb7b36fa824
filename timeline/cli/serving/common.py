"""What the routes share: the client, a timeline's spec, Arrow for those who ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Path, Query, Request
from fastapi.responses import Response

from timeline.cli.options import MAX_LENGTH
from timeline.errors import DurationError
from timeline.spec.spec import Spec
from timeline.values.ticks import parse_duration, parse_time
from workflows.client import Client

if TYPE_CHECKING:
    import pyarrow

ARROW = "application/vnd.apache.arrow.stream"
#: The names that timelines may have; others are not found.
NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
MAX_KEY = 1_000
#: Characters of an expression in a query: a longer one has a hash.
MAX_TEXT = 4_000


def client(request: Request) -> Client:
    """The client that the app was made of."""
    found: Client = request.app.state.timelines
    return found


Timelines = Annotated[Client, Depends(client)]
Name = Annotated[str, Path(pattern=NAME, description="The timeline.")]


async def spec(name: Name, timelines: Timelines) -> Spec:
    """The spec of the timeline that the path names."""
    return await timelines.registry.spec(name)


Of = Annotated[Spec, Depends(spec)]
Key = Annotated[str, Query(min_length=1, max_length=MAX_KEY, description="The key.")]
Node = Annotated[
    str | None,
    Query(
        max_length=MAX_TEXT, description="A node: its text, its hash, or an output's name; else the result."
    ),
]
At = Annotated[
    str | None, Query(max_length=MAX_LENGTH, description="A time: ms, 8s, or RFC 3339.", examples=["8s"])
]
Every = Annotated[
    str | None, Query(max_length=MAX_LENGTH, description="A duration: 500ms, 5s, 10m.", examples=["5s"])
]


def tick(text: str | None) -> int | None:
    """The tick (ms) of a time."""
    return None if text is None else parse_time(text)


def step(text: str, name: str = "every") -> int:
    """A duration in ms.

    Raises:
        DurationError: none, or zero.
    """
    ms = parse_duration(text)
    if ms == 0:
        raise DurationError(f"{name} needs a duration of at least 1ms, got 0")
    return ms


def wants_arrow(request: Request) -> bool:
    """Whether an Arrow stream is asked for."""
    return ARROW in request.headers.get("accept", "")


def as_arrow(table: pyarrow.Table) -> Response:
    """A table as an Arrow stream."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return Response(sink.getvalue().to_pybytes(), media_type=ARROW)


#: For OpenAPI: a route that also answers with a table.
ALSO_ARROW = {200: {"content": {ARROW: {"schema": {"type": "string", "format": "binary"}}}}}
