"""The workflow of one node of a plan on one stream: a shell round `timeline.engine.node.Node`.

Its type is the operator's name. It never ends by itself; it continues as new when the server suggests
it, with all that it knows in one compressed value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from workflows.inbox import Batch, ChildPatch, Entry, Release, from_carried, to_carried
from workflows.protocol import MAX_ANSWER, NodeSpec, Subscriber
from workflows.protocol import node as protocol

with workflow.unsafe.imports_passed_through():
    import time  # for queries, which leave no trace in a history

    from timeline.aggregate import Request, partial, span
    from timeline.engine import state_wire
    from timeline.engine.answers import Answers
    from timeline.engine.node import Node
    from timeline.engine.patch import Patch, parts
    from timeline.engine.wire import from_patch, to_patch
    from timeline.errors import LimitError, QuarantineError, RetentionError, TimelineError
    from timeline.limits import Limits
    from timeline.plan import make_plan
    from timeline.tables.events import concat
    from timeline.tables.wire import Wire, from_events, from_position, to_position
    from workflows.gauge import MAX_STATE, Gauge


#: How long a question over all keys may take: Temporal ends a workflow's turn after two seconds, and
#: what was found must still be written.
MAX_SECONDS = 1.0


@workflow.defn(dynamic=True)
class NodeWorkflow:
    """Takes ``events`` (a leaf) or ``patch`` (an inner node), and sends patches to its subscribers.

    Dynamic, so that one class serves every operator: the type it is started as is the operator's
    name. Signal handlers only append; all work is done in `run`, in the order of arrival.
    """

    @workflow.init
    def __init__(self, args: Sequence[RawValue]) -> None:
        convert = workflow.payload_converter().from_payload
        self.spec: NodeSpec = convert(args[0].payload, dict)  # type: ignore[assignment]
        state: bytes | None = convert(args[1].payload, bytes) if len(args) > 1 else None
        plan = make_plan(self.spec["expression"])
        planned = plan.result
        if planned.operator.name != workflow.info().workflow_type:
            raise ApplicationError(
                f"workflow type {workflow.info().workflow_type!r} does not fit the expression "
                f"{planned.text!r}, whose operator is {planned.operator.name!r}",
                non_retryable=True,
            )
        self.text = planned.text
        kinds = [plan.nodes[i].operator.kind for i in planned.inputs]
        limits = Limits(self.spec["allowed_lateness"], self.spec["retention"], self.spec.get("key_ttl"))
        self.node = Node(planned.operator, kinds, limits, planned.before_origin)
        self.answers = Answers(self.node.state)
        self.inbox: list[Entry] = []
        self.newcomers: list[Subscriber] = []
        self.stopped = False
        self.full: str | None = None
        self.gauge = Gauge(self.spec.get("max_state", MAX_STATE))
        if state is not None:
            rest = state_wire.from_state(state, self.node.state)
            self.gauge.measured = len(state)
            self.inbox = from_carried(rest["inbox"])
            self.newcomers = rest["newcomers"]
            self.full = rest["full"]

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> None:
        while True:
            await workflow.wait_condition(
                lambda: self.stopped or bool(self.newcomers) or (bool(self.inbox) and self.full is None)
            )
            if self.stopped:
                return
            await self._welcome()
            for patch in self._step() if self.full is None else []:
                await self._send(patch, self.spec["subscribers"])
            if workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(workflow.all_handlers_finished)
                # No await from here on: what has come in meanwhile goes along in the inbox.
                state = self._state()
                if self.gauge.fits(state):
                    workflow.continue_as_new(args=[self.spec, state])

    # --- signals ---------------------------------------------------------------------------------

    @protocol.EVENTS.handler
    def events(self, batch: Wire, about: protocol.About | None = None) -> None:
        """A batch of events, if it is for this node and not for one that had its id before."""
        about = about or {}
        if about.get("born") in (None, workflow.info().first_execution_run_id):
            self.inbox.append(Batch(batch, about.get("settled")))

    @protocol.PATCH.handler
    def patch(self, patch: Wire) -> None:
        """A patch of a child."""
        self.inbox.append(ChildPatch(patch))

    @protocol.SUBSCRIBE.handler
    def subscribe(self, subscriber: Subscriber) -> None:
        """A new parent: it gets a snapshot, then every patch."""
        self.newcomers.append(Subscriber(workflow=subscriber["workflow"], inputs=subscriber["inputs"]))

    @protocol.UNSUBSCRIBE.handler
    def unsubscribe(self, workflow_id: str) -> None:
        """A parent that wants no more patches."""
        self.newcomers = [s for s in self.newcomers if s["workflow"] != workflow_id]
        self.spec["subscribers"] = [s for s in self.spec["subscribers"] if s["workflow"] != workflow_id]

    @protocol.LIMIT.handler
    def limit(self, max_state: int) -> None:
        """How many bytes the state may have from now on; a node that was full goes on if it may."""
        self.spec["max_state"] = self.gauge.limit = max_state
        if self.full is not None:
            self.full = self.gauge.full(self._state(), len(self.node.state.keys))

    @protocol.RELEASE.handler
    def release(self, key: str) -> None:
        """A key that this node's operator raised for is to be tried again."""
        self.inbox.append(Release(key))

    @protocol.STOP.handler
    def stop(self) -> None:
        """Ends the workflow: nobody uses the node any more."""
        self.stopped = True

    # --- queries ---------------------------------------------------------------------------------

    @protocol.STATUS.handler
    def status(self) -> protocol.NodeStatus:
        """Position, counters, sizes, and what is wrong if anything is."""
        node = self.node.state
        return {
            "expression": self.text,
            "operator": node.operator.name,
            "stream": self.spec["stream"],
            "position": to_position(node.position),
            "keys": len(node.keys),
            "rows": len(node.own),
            "accepted": node.accepted,
            "refused": node.refused.count,
            "newest": node.stream_newest,
            "waiting": len(self.inbox),
            "state_bytes": self.gauge.measured,
            "full": self.full,
            "subscribers": [s["workflow"] for s in self.spec["subscribers"]],
            "quarantined": len(node.quarantined),
            **cast("protocol.Late", self.answers.late_keys()),
            "history_length": workflow.info().get_current_history_length(),
        }

    @protocol.POSITION.handler
    def position(self) -> protocol.Place:
        """The place in the stream that the node's table stands for."""
        return to_position(self.node.state.position)

    @protocol.STANDS.handler
    def stands(self) -> protocol.Stand:
        """The same, and which of all nodes that ever had this id this is: what a feeder must know."""
        born = workflow.info().first_execution_run_id
        return {"position": to_position(self.node.state.position), "born": born}

    @protocol.VALUES.handler
    def values(self, wanted: list[Any]) -> protocol.Values:
        """Values of ``[[key, tick or null], ...]``, in that order; an unknown key gives null."""
        return {
            "position": to_position(self.node.state.position),
            "values": [self._value(key, at) for key, at in wanted],
        }

    @protocol.KEYS.handler
    def keys(self, first: int) -> list[str]:
        """The names of up to `MAX_ANSWER` keys, from the ``first`` on in order of appearance."""
        return self.answers.known_keys()[first : first + MAX_ANSWER]

    @protocol.RECENT.handler
    def recent(self, most: int) -> protocol.RecentKeys:
        """The keys with the newest events, newest first, with their values; and how many keys there are."""
        names = self.answers.recent_keys(min(most, MAX_ANSWER))
        return {
            "position": to_position(self.node.state.position),
            "count": len(self.answers.known_keys()),
            "keys": [self._recent(name) for name in names],
        }

    @protocol.AGGREGATE.handler
    def aggregate(self, request: Wire) -> protocol.Partial | protocol.Refusal:
        """What all keys together answer to a `timeline.aggregate.Request`: the ``partial``, or the
        ``error`` that is to be told, and its class. It is refused before it is too large for a message.
        """
        asked = Request.from_wire(request)
        end = time.monotonic() + MAX_SECONDS
        try:
            return {"partial": partial(self.answers, asked, lambda: time.monotonic() < end).to_wire(asked)}
        except TimelineError as error:
            return {"error": str(error), "class": type(error).__name__}

    @protocol.SPAN.handler
    def span(self) -> list[int] | None:
        """The earliest origin and the newest event (ms) of all keys; null before the first event."""
        found = span(self.answers)
        return None if found is None else list(found)

    @protocol.REFUSED.handler
    def refused(self, after: protocol.Place) -> list[protocol.RefusedRow]:
        """Up to `MAX_ANSWER` refused events, from behind a position on: position, key, time (ms), reason."""
        return [
            (list(r.position), r.key, r.tick, r.reason.name.lower())
            for r in self.node.state.refused.after(from_position(after), MAX_ANSWER)
        ]

    @protocol.QUARANTINED.handler
    def quarantined(self, first: int) -> list[protocol.HeldKey]:
        """Up to `MAX_ANSWER` keys that have no function here, from the ``first`` on, and why."""
        held = list(self.node.state.quarantined.items())[first : first + MAX_ANSWER]
        return [
            {
                "key": self.node.state.keys.names[code],
                "position": list(q.position),
                "error": q.error,
                "own": q.own,
                "lost": q.since is None,
            }
            for code, q in held
        ]

    @protocol.TIMELINES.handler
    def timelines(self, keys: list[Any]) -> protocol.Rows:
        """The whole timelines of some keys: origin, newest tick and rows of each known one."""
        known: dict[str, protocol.KeyRows] = {}
        for key in keys[:MAX_ANSWER]:
            try:
                table, origin, newest = self.answers.timeline(key)
            except KeyError:
                continue
            except QuarantineError as error:
                known[key] = {"origin": 0, "newest": 0, "rows": [], "error": str(error)}
                continue
            rows = {"origin": origin, "newest": newest, "rows": table.json_rows()}
            known[key] = cast("protocol.KeyRows", rows | self.answers.exact_from(key))
        return {"position": to_position(self.node.state.position), "timelines": known}

    def _recent(self, key: str) -> protocol.RecentKey:
        return cast("protocol.RecentKey", {"key": key, **(self._value(key, None) or {})})

    def _value(self, key: str, at: int | None) -> protocol.KeyValue | None:
        try:
            value, tick, final = self.answers.value(key, at)
        except KeyError:
            return None
        except (LimitError, QuarantineError, RetentionError) as error:
            return {"at": at, "error": str(error)}
        found = {"at": tick, "value": value, "final": final}
        return cast("protocol.KeyValue", found | self.answers.exact_from(key))

    # --- work ------------------------------------------------------------------------------------

    def _step(self) -> list[Patch]:
        """Takes all that waits in the inbox; one patch for it, and one for every key that is released."""
        waiting, self.inbox = self.inbox, []
        releases = [entry for entry in waiting if isinstance(entry, Release)]
        patch = self._take(waiting) if len(releases) < len(waiting) else None
        patches = [] if patch is None else [patch]
        for release in releases:
            try:
                patches.append(self.node.release(release.key))
            except TimelineError as error:
                workflow.logger.warning("release of %r: %s", release.key, error)
        for patch in patches:
            if self.gauge.grown(self.node.state, patch):
                self.full = self.gauge.full(self._state(), len(self.node.state.keys))
        return patches

    def _take(self, entries: Sequence[Entry]) -> Patch | None:
        """Takes batches, if this is a leaf, or children's patches."""
        batches = [entry for entry in entries if isinstance(entry, Batch)]
        patches = [entry for entry in entries if isinstance(entry, ChildPatch)]
        if misfits := len(batches if self.node.state.leaf is None else patches):
            workflow.logger.warning("%d signals are not for such a node, and set aside", misfits)
        if self.node.state.leaf is not None:
            return self._accept(batches)
        for patch in patches:
            incoming = from_patch(patch.wire)
            for index in patch.wire["inputs"]:
                self.node.receive(index, incoming)
        return self.node.advance()

    def _accept(self, batches: Sequence[Batch]) -> Patch | None:
        fresh = []
        last = self.node.state.position
        for batch in batches:
            if batch.settled:
                self.node.state.refused.settle(tuple(batch.settled))
        for events, reaches in (from_events(batch.wire) for batch in batches):
            if last is None or reaches > last:
                fresh.append(events if last is None else events.after(last))
                last = reaches
        return self.node.accept(concat(fresh), last) if fresh and last is not None else None

    def _state(self) -> bytes:
        rest = {"newcomers": self.newcomers, "full": self.full}
        return state_wire.to_state(self.node.state, inbox=to_carried(self.inbox), **rest)

    async def _welcome(self) -> None:
        """Sends new subscribers a snapshot, and counts them among the others from then on."""
        while self.newcomers:
            newcomer = self.newcomers.pop(0)
            others = [s for s in self.spec["subscribers"] if s["workflow"] != newcomer["workflow"]]
            self.spec["subscribers"] = [*others, newcomer]
            snapshot = self.node.snapshot()
            if snapshot is not None:
                await self._send(snapshot, [newcomer])

    async def _send(self, patch: Patch, subscribers: Sequence[Subscriber]) -> None:
        """Signals a patch to all, and waits until each has it: one in flight per edge keeps order."""
        for part in parts(patch):
            message = to_patch(part)
            await asyncio.gather(
                *(self._signal(s["workflow"], message | {"inputs": s["inputs"]}) for s in subscribers)
            )

    async def _signal(self, parent: str, message: dict[str, Any]) -> None:
        pause = 0.1
        while parent in {s["workflow"] for s in self.spec["subscribers"]} and not self.stopped:
            try:
                await workflow.get_external_workflow_handle(parent).signal(protocol.PATCH.name, message)
                return
            except ApplicationError as error:
                # The parent is not there (yet), or its run has had all the signals it may.
                workflow.logger.warning("patch to %s not delivered, retrying: %s", parent, error)
                await workflow.sleep(timedelta(seconds=pause))
                pause = min(pause * 2, 10)
