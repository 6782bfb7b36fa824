"""How much one registration may start: looked at by who registers, and by the registry."""

from __future__ import annotations

import os

import orjson

from timeline.errors import LimitError, ServiceError
from timeline.spec.spec import Spec

#: Nodes that a timeline may have on a stream, unless ``TIMELINE_MAX_NODES`` says otherwise where the workers
#: run. It is for mistakes: 40 are many.
NODES = 300
#: Workflows that one timeline may have on all its streams: the registry starts about 100 a second.
WORKFLOWS = 20_000
#: Bytes of a spec as JSON.
SPEC_BYTES = 512 << 10
#: Bytes that all workflows of a timeline are started with: they stay in the registry's history, which the
#: server ends at 50 MB, and several registrations may come together.
START_BYTES = 8 << 20


def max_nodes() -> int:
    """Nodes that a timeline may have on a stream.

    Raises:
        ServiceError: the environment does not say a number.
    """
    text = os.environ.get("TIMELINE_MAX_NODES") or str(NODES)
    if not (text.isdecimal() and 0 < len(text) < 7 and int(text)):
        raise ServiceError(f"TIMELINE_MAX_NODES must be a number from 1 to 999999, got {text[:20]!r}")
    return int(text)


def within_bounds(spec: Spec, streams: int) -> None:
    """Looks whether a timeline may be started on so many streams.

    Raises:
        LimitError: it has too many nodes; with what to do.
    """
    nodes, most = len(spec.plan.nodes), max_nodes()
    if nodes > most:
        raise LimitError(
            f"timeline {spec.name!r} has {nodes} nodes a stream, at most {most} are taken; "
            "divide it into several timelines, or set TIMELINE_MAX_NODES for workers and here"
        )
    workflows = len(spec.fragments) * streams
    if workflows > WORKFLOWS:
        raise LimitError(
            f"timeline {spec.name!r} would start {workflows} workflows, at most {WORKFLOWS} are taken; give "
            'it fewer limits.shards, or [run] fragments = "stream", by which the nodes of a stream share one'
        )
    texts = sum(len(fragment.root.text.encode()) for fragment in spec.fragments)
    own = len(spec.sinks) and len(spec.sinks) * len(orjson.dumps(spec.to_wire()))
    if (size := streams * (texts + own)) > START_BYTES:
        raise LimitError(
            f"the workflows of timeline {spec.name!r} would be started with {size} bytes of expressions and "
            f"specs in all, at most {START_BYTES} are taken; give it fewer limits.shards, or shorter texts"
        )
