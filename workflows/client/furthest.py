"""How far the leaves of sources have had their streams: what a timeline that comes now has to reach.

The registry cannot ask nodes, because workflows cannot query. So whoever registers asks before that, and
hands it over: positions only grow, so that what is registered then has at least that to reach.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from timeline.errors import NotFoundError
from timeline.spec.spec import Spec
from workflows.client.asking import Asking
from workflows.names import node_id
from workflows.protocol import Topic
from workflows.protocol import node as protocol
from workflows.protocol.registry import Places, streams_of_source

#: Nodes that are asked at once.
AT_ONCE = 100


async def places_of(
    asking: Asking, wanted: Sequence[Spec], known: Mapping[str, Spec], topics: Mapping[str, Topic]
) -> Places:
    """How far any leaf of the ``known`` timelines has had each stream of the sources of wanted ones; those
    that are as they are known already need none."""
    new = [spec for spec in wanted if known.get(spec.name) != spec]
    places: Places = {}
    for source in {spec.source_id for spec in new}:
        same = [spec for spec in known.values() if spec.source_id == source]
        if same:
            places[source] = await _furthest(asking, same, topics)
    for spec in new:
        before = known.get(spec.name)
        if before is not None and spec.source_id not in places and _takes_files(before, spec):
            # Its files go to the new source, from which all streams are read up to the end of the same log.
            had = [place for place in await _furthest(asking, [before], topics) if place is not None]
            places[spec.source_id] = [max(had, default=None)] * spec.limits.shards
    return {source: streams for source, streams in places.items() if any(streams)}


def _takes_files(before: Spec, after: Spec) -> bool:
    return before.source.topic is after.source.topic is None


async def _furthest(
    asking: Asking, same: Sequence[Spec], topics: Mapping[str, Topic]
) -> list[protocol.Place]:
    """How far the leaves of timelines on one source have had each of its streams."""
    streams = streams_of_source(same[0], topics)
    leaves = {
        stream: {node_id(s, leaf, stream) for s in same for leaf in s.plan.leaves} for stream in streams
    }
    every = [workflow_id for here in leaves.values() for workflow_id in here]
    stands = await _stands(asking, every)
    return [_latest(stands.get(workflow_id) for workflow_id in leaves[stream]) for stream in streams]


async def _stands(asking: Asking, leaves: Sequence[str]) -> dict[str, protocol.Place]:
    async def one(workflow_id: str) -> protocol.Place:
        try:
            return await asking.query(workflow_id, protocol.POSITION)
        except NotFoundError:
            # Just removed, or terminated by hand: nobody can be told what it knew.
            return None

    found: dict[str, protocol.Place] = {}
    for first in range(0, len(leaves), AT_ONCE):
        part = leaves[first : first + AT_ONCE]
        found |= zip(part, await asyncio.gather(*map(one, part)), strict=True)
    return found


def _latest(places: Iterable[protocol.Place]) -> protocol.Place:
    return max((place for place in places if place is not None), default=None)
