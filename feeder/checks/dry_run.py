"""Dry run: the same events through the workflows and through local evaluation, compared in whole."""

from __future__ import annotations

from collections.abc import Sequence

from feeder.checks.comparison import CHUNK, Comparison, compare_keys
from feeder.files.log import FileLog
from feeder.shards import by_shard
from timeline.local.evaluate import evaluate
from timeline.spec.spec import Spec
from timeline.tables.events import Events, Position, concat, no_events
from timeline.tables.marks import mark_of
from workflows.client import Client


async def compare(timelines: Client, spec: Spec) -> Comparison:
    """Compares every node's timeline of every key with local evaluation of all that the source was fed.

    What retention has collapsed is compared from where the node's rows begin. Keys for which a node that
    came late counts from later than their origin (`docs/sharing.md`) are counted apart.

    Raises:
        EventError: a file that was fed is gone or has changed.
    """
    log = FileLog(spec, await timelines.registry.log(spec.source_id))
    pieces = list(log.pieces(None, spec.plan.columns))
    events = concat([no_events(spec.plan.columns, 2), *(piece.events for piece in pieces)])
    marks = [piece.last for piece in pieces if mark_of(piece.last) is not None]
    evaluation = evaluate(spec.plan, events, spec.node_limits, marks=marks)
    comparison = Comparison(evaluation, rejected=[r for piece in pieces for r in piece.rejected])
    for stream, part in enumerate(by_shard(events, spec.limits.shards)):
        await _compare_stream(comparison, timelines, spec, stream, part.compact(), marks)
    return comparison


async def _compare_stream(
    comparison: Comparison,
    timelines: Client,
    spec: Spec,
    stream: int,
    events: Events,
    marks: Sequence[Position],
) -> None:
    """The keys of one stream, whose time says which lives are closed."""
    evaluation = evaluate(spec.plan, events, spec.node_limits, marks=marks)
    names = sorted({*evaluation.names(), *await timelines.questions.keys_on(spec, stream)})
    for first in range(0, len(names), CHUNK):
        keys = names[first : first + CHUNK]
        for node in spec.plan.nodes:
            found = await timelines.questions.lives_on(spec, node, stream, keys)
            compare_keys(comparison, evaluation, node, keys, found)
