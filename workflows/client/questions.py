"""Questions about the keys of a timeline: one by one, or all together."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from timeline.aggregate import Partial, Request, Result, kinds_of, merge, needs_span
from timeline.errors import (
    BusyError,
    LimitError,
    NotCaughtUpError,
    NotFoundError,
    RequestError,
    SplitKeyError,
)
from timeline.plan import PlanNode
from timeline.spec.spec import Spec
from timeline.tables.intervals import Interval, Intervals, Known, check_kind, intervals_of
from timeline.tables.wire import from_position
from workflows.client.answers import Answer, KeyTimeline, Life, Look, Recent
from workflows.client.asking import Asking
from workflows.client.catching_up import CatchingUp
from workflows.client.registry import Registry
from workflows.names import member, node_id, streams_of
from workflows.protocol import MAX_ANSWER
from workflows.protocol import node as protocol

P = ParamSpec("P")
T = TypeVar("T")


def _explained(
    ask: Callable[Concatenate[Questions, Spec, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Questions, Spec, P], Coroutine[Any, Any, T]]:
    """A question that says, where a node refuses it, what the timeline waits for."""

    @wraps(ask)
    async def asked(self: Questions, spec: Spec, /, *args: P.args, **more: P.kwargs) -> T:
        try:
            return await ask(self, spec, *args, **more)
        except NotCaughtUpError:
            if (why := await self.catching_up.why(spec)) is not None:
                raise why from None
        # It has got there meanwhile.
        return await ask(self, spec, *args, **more)

    return asked


class Questions:
    """What the nodes of a timeline know of its keys. Times are ms; nodes are those of the spec's plan.

    Every question raises `NotCaughtUpError` as long as the timeline, which came over running ones, does not
    stand where they stood then.
    """

    def __init__(self, asking: Asking, registry: Registry, catching_up: CatchingUp) -> None:
        self.asking = asking
        self.registry = registry
        self.catching_up = catching_up

    @_explained
    async def values(
        self, spec: Spec, node: PlanNode, wanted: Sequence[tuple[str, int | None]]
    ) -> list[Answer]:
        """A node's values at ``(key, tick)`` pairs, in their order; tick ``None`` is the key's newest.

        Raises:
            NotFoundError: a key of which no event was heard.
            SplitKeyError: a key whose events are in several partitions of the topic.
        """
        answers: dict[int, Answer] = {}
        for stream, indices in (await self._by_stream(spec, [key for key, _ in wanted])).items():
            workflow_id = node_id(spec, node, stream)
            for first in range(0, len(indices), MAX_ANSWER):
                part = indices[first : first + MAX_ANSWER]
                asked = [wanted[i] for i in part]
                answer = await self.asking.query(workflow_id, protocol.VALUES, asked, member(spec, node))
                position = from_position(answer["position"])
                for i, value in zip(part, answer["values"], strict=True):
                    if value is None:
                        continue
                    if i in answers:
                        raise _split(spec, wanted[i][0])
                    answers[i] = Answer(
                        wanted[i][0],
                        value["at"],
                        value.get("value"),
                        position,
                        value.get("final", False),
                        value.get("error"),
                        value.get("exact_from"),
                        value.get("counted_from"),
                    )
        for i, (key, _) in enumerate(wanted):
            if i not in answers:
                raise await self._no_key(spec, key)
        return [answers[i] for i in range(len(wanted))]

    async def request(
        self,
        spec: Spec,
        *,
        start: int | None = None,
        end: int | None = None,
        **words: Any,
    ) -> Request:
        """A question over all keys, as `timeline.aggregate.Request.parse` reads its ``words``; a series, and
        what is over time, begins at the earliest origin and ends at the newest event unless it is said.

        Raises:
            RequestError: what cannot be asked of the timeline's outputs.
            ExpressionError: a condition that cannot be understood.
            NotFoundError: there were no events, and nothing says when the series is to begin and end.
        """
        kinds = kinds_of(spec.plan)
        if needs_span(kinds, start=start, end=end, **words):
            origin, newest = await self.span(spec)
            start = origin if start is None else start
            end = newest if end is None else end
        return Request.parse(kinds, start=start, end=end, **words)

    @_explained
    async def aggregate(self, spec: Spec, request: Request) -> Result:
        """The answer to a question over all keys: one query of the result node of each stream, merged.

        ``positions`` of the answer are those of the streams, by number.

        Raises:
            LimitError: more than one answer holds, or takes too long; with what to ask instead.
            RequestError: the request does not fit the outputs.
        """
        wire = request.to_wire()

        async def ask(stream: int) -> Partial:
            workflow_id = node_id(spec, spec.plan.result, stream)
            answer = await self.asking.query(workflow_id, protocol.AGGREGATE, wire)
            if "error" in answer:
                errors = {"BusyError": BusyError, "LimitError": LimitError}
                raise errors.get(answer["class"], RequestError)(answer["error"])
            return Partial.from_wire(answer["partial"], request)

        streams = await self.registry.streams(spec)
        answers = await asyncio.gather(*map(ask, streams), return_exceptions=True)
        partials: list[Partial] = []
        for stream, answer in zip(streams, answers, strict=True):
            if isinstance(answer, BusyError):
                # Alone it may have the time that it had not beside the others.
                partials.append(await ask(stream))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                partials.append(answer)
        return merge(request, partials, kinds_of(spec.plan))

    @_explained
    async def span(self, spec: Spec) -> tuple[int, int]:
        """The earliest origin and the newest event (ms) of all keys of a timeline.

        Raises:
            NotFoundError: it has had no events.
        """
        ids = [node_id(spec, spec.plan.result, stream) for stream in await self.registry.streams(spec)]
        answers = await asyncio.gather(*(self.asking.query(i, protocol.SPAN) for i in ids))
        spans = [answer for answer in answers if answer is not None]
        if not spans:
            raise NotFoundError(
                f"timeline {spec.name!r} has no events yet, so a series has no begin and no end; "
                "give both, or feed the timeline"
            )
        return min(first for first, _ in spans), max(last for _, last in spans)

    @_explained
    async def look(self, spec: Spec, most: int = 15) -> Look:
        """A timeline as it is now, with the ``most`` keys that have the newest events."""
        streams = await self.registry.streams(spec)
        results = (node_id(spec, spec.plan.result, stream) for stream in streams)
        recent = await asyncio.gather(*(self.asking.query(i, protocol.RECENT, most) for i in results))
        first = (node_id(spec, spec.plan.leaves[0], stream) for stream in streams)
        leaves = await asyncio.gather(*(self.asking.query(i, protocol.STATUS) for i in first))
        keys = [
            Recent(row["key"], row.get("at"), row.get("value"), stream, row.get("error"))
            for stream, part in zip(streams, recent, strict=True)
            for row in part["keys"]
        ]
        return Look(
            tuple(sorted(keys, key=lambda row: -(row.at or 0))[:most]),
            sum(part["count"] for part in recent),
            sum(leaf["accepted"] for leaf in leaves),
            sum(leaf["refused"] for leaf in leaves),
            tuple(from_position(part["position"]) for part in recent),
        )

    async def keys(self, spec: Spec) -> list[str]:
        """The names of all keys that the timeline has heard of, sorted."""
        streams = await self.registry.streams(spec)
        names = await asyncio.gather(*(self.keys_on(spec, stream) for stream in streams))
        return sorted({name for part in names for name in part})

    @_explained
    async def keys_on(self, spec: Spec, stream: int) -> list[str]:
        """The names of the keys of one stream, in order of appearance."""
        names: list[str] = []
        workflow_id = node_id(spec, spec.plan.result, stream)
        while page := await self.asking.query(workflow_id, protocol.KEYS, len(names)):
            names += page
        return names

    async def timelines(self, spec: Spec, node: PlanNode, keys: Sequence[str]) -> dict[str, KeyTimeline]:
        """A node's whole timelines of some keys; a key that it has not heard of is left out.

        Raises:
            SplitKeyError: a key whose events are in several partitions of the topic.
        """
        return await self._of_streams(spec, node, keys, self.timelines_on)

    @_explained
    async def timelines_on(
        self, spec: Spec, node: PlanNode, stream: int, keys: Sequence[str]
    ) -> dict[str, KeyTimeline]:
        """The same, of keys that live on one stream."""
        found: dict[str, KeyTimeline] = {}
        # Rows are many: few keys a question, so that no answer nears the limit of a message.
        for first in range(0, len(keys), 100):
            part = list(keys[first : first + 100])
            answer = await self.asking.query(
                node_id(spec, node, stream), protocol.TIMELINES, part, member(spec, node)
            )
            found |= {key: KeyTimeline(**timeline) for key, timeline in answer["timelines"].items()}
        return found

    async def lives(self, spec: Spec, node: PlanNode, keys: Sequence[str]) -> dict[str, list[Life]]:
        """A node's timelines of all lives of some keys, in order of time; a key that it has not heard of is
        left out. Without ``limits.key_ttl`` a key has one.

        Raises:
            SplitKeyError: a key whose events are in several partitions of the topic.
        """
        return await self._of_streams(spec, node, keys, self.lives_on)

    @_explained
    async def lives_on(
        self, spec: Spec, node: PlanNode, stream: int, keys: Sequence[str]
    ) -> dict[str, list[Life]]:
        """The same, of keys that live on one stream."""
        found: dict[str, list[Life]] = {}
        for first in range(0, len(keys), 100):
            part = list(keys[first : first + 100])
            answer = await self.asking.query(
                node_id(spec, node, stream), protocol.LIVES, part, member(spec, node)
            )
            found |= {key: [Life(**life) for life in lives] for key, lives in answer["lives"].items()}
        return found

    async def intervals(
        self, spec: Spec, node: PlanNode, keys: Sequence[str] | None, start: int | None, end: int | None
    ) -> Intervals:
        """The intervals of a node of some keys, or of all (``None``), in the order of their names.

        Raises:
            NotFoundError: a key of which no event was heard.
            RequestError: a node that is neither a State nor a Bool.
            SplitKeyError: a key whose events are in several partitions of the topic.
        """
        kinds = {name: one.kind for name, one in spec.plan.outputs.items()}
        if node is not spec.plan.result:
            kinds = {node.text: node.kind}
        kind = check_kind(kinds, node.text)
        if node is spec.plan.result:
            [node] = spec.plan.outputs.values()
        lives = await self.lives(spec, node, await self.keys(spec) if keys is None else keys)
        ttl = spec.node_limits.key_ttl
        found: list[Interval] = []
        left_out: dict[str, str] = {}
        for key in sorted(lives) if keys is None else keys:
            if key not in lives:
                raise await self._no_key(spec, key)
            for life in lives[key]:
                if life.error is not None:
                    left_out[key] = life.error
                    continue
                over = None if ttl is None else life.newest + ttl
                found += intervals_of(Known(key, life.rows, life.newest, over, life.closed), start, end)
        return Intervals(tuple(found), kind, left_out=left_out)

    async def _of_streams(
        self,
        spec: Spec,
        node: PlanNode,
        keys: Sequence[str],
        ask: Callable[[Spec, PlanNode, int, Sequence[str]], Awaitable[dict[str, T]]],
    ) -> dict[str, T]:
        """What the streams where keys may live say of them, put together."""
        found: dict[str, T] = {}
        for stream, indices in (await self._by_stream(spec, keys)).items():
            here = await ask(spec, node, stream, [keys[i] for i in indices])
            for key in here.keys() & found.keys():
                raise _split(spec, key)
            found |= here
        return found

    async def _by_stream(self, spec: Spec, keys: Sequence[str]) -> dict[int, list[int]]:
        """For each stream the indices of the keys that may live there."""
        shards = spec.limits.shards
        partitions = len(await self.registry.streams(spec)) // shards
        streams: dict[int, list[int]] = {}
        for i, key in enumerate(keys):
            for stream in streams_of(key, shards, partitions):
                streams.setdefault(stream, []).append(i)
        return streams

    async def _no_key(self, spec: Spec, key: str) -> NotFoundError:
        names = await self.keys(spec)
        near = difflib.get_close_matches(key, names[:10_000], 1)
        count = f"{len(names)} key{'' if len(names) == 1 else 's'}"
        hint = f"did you mean {near[0]!r}?" if near else f"it has heard of {count}"
        return NotFoundError(f"timeline {spec.name!r} has no events of key {key!r}; {hint}")


def _split(spec: Spec, key: str) -> SplitKeyError:
    return SplitKeyError(
        f"key {key!r} has events in several partitions of {spec.source.topic}, so that no stream has them "
        f"all; producers must send with the column {spec.source.key!r} as the message key, or all without "
        "one to a topic with one partition"
    )
