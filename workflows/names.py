"""Workflow ids that a person can read and anyone can compute."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from timeline.fragments import Fragment
from timeline.plan import PlanNode
from timeline.spec.sink import Sink
from timeline.spec.spec import Spec
from timeline.values.vocabulary import I64

REGISTRY_ID = "timeline-registry"
REGISTRY_TYPE = "timeline_registry"
SINK_TYPE = "timeline_sink"
MERGED_TYPE = "timeline_sink_merged"
DEFAULT_TASK_QUEUE = "timeline"
DEFAULT_DEPLOYMENT = "timeline"
#: Characters and bytes of a workflow id: as databases have room for, and as the server takes.
MAX_ID, MAX_ID_BYTES = 255, 1_000


def fragment_id(spec: Spec, fragment: Fragment, stream: int) -> str:
    """The workflow id of a fragment on a stream: source, operator of the root, hash of its canonical text
    (and of the policy, if it is not ``node``), stream.

    Equal sub-expressions over an equal source have equal ids, whichever timeline asks for them.
    """
    return f"{spec.source_id}.{fragment.root.operator.name}.{fragment.digest}.{stream}"


def node_id(spec: Spec, node: PlanNode, stream: int) -> str:
    """The id of the workflow in which a node lives on a stream."""
    return fragment_id(spec, spec.host(node), stream)


def member(spec: Spec, node: PlanNode) -> str | None:
    """By what a node is called in the workflow where it lives; ``None`` if that is the root's."""
    return None if spec.host(node).root is node else node.digest


def sink_id(spec: Spec, sink: Sink, stream: int) -> str:
    """The workflow id of one of a timeline's sinks on a stream."""
    return f"{spec.source_id}.sink.{sink.label(spec.name)}.{stream}"


def merged_id(spec: Spec, sink: Sink) -> str:
    """The workflow id of what merges the groups of all streams, of a sink that asks for it."""
    return f"{spec.source_id}.sink.{sink.label(spec.name)}.all"


def id_may_be(workflow_id: str) -> bool:
    """Whether a server takes a workflow id; a workflow that starts or tells one of another cannot go on.

    >>> id_may_be("plays.1234.count.aa.0"), id_may_be("x" * 256)
    (True, False)
    """
    return 0 < len(workflow_id) <= MAX_ID and len(workflow_id.encode()) <= MAX_ID_BYTES


def parent_may_be(workflow_id: str, parent: str) -> bool:
    """Whether a workflow id is one that a parent, or a sink, of a node on its stream may have.

    >>> parent_may_be("plays.1234.count.aa.0", "plays.1234.sum.bb.0")
    True
    >>> parent_may_be("plays.1234.count.aa.0", "plays.1234.sum.bb.1")
    False
    """
    own, other = workflow_id.rsplit(".", 3), parent.rsplit(".", 3)
    near = len(other) == 4 and (own[0], own[3]) == (other[0], other[3])
    return near and workflow_id != parent and id_may_be(parent)


def is_sink(workflow_id: str) -> bool:
    """Whether a workflow id is one that `sink_id` gives; no operator is called so."""
    return workflow_id.split(".")[-3:-2] == ["sink"]


def shard_of(key: str, shards: int) -> int:
    """The stream of a key: CRC-32 of its UTF-8 name, which no version or machine changes.

    >>> shard_of("session-1", 4)
    2
    """
    return zlib.crc32(key.encode("utf-8", "surrogatepass")) % shards


def streams_of(key: str, shards: int, partitions: int) -> list[int]:
    """The streams in which a key may live: which partition it is in is the producers' choice.

    >>> streams_of("session-1", 4, 3)
    [2, 6, 10]
    """
    shard = shard_of(key, shards)
    return [partition * shards + shard for partition in range(partitions)]


def shards_of(keys: Sequence[str], shards: int) -> I64:
    """`shard_of` for many keys."""
    return np.fromiter((shard_of(key, shards) for key in keys), np.int64, len(keys))
