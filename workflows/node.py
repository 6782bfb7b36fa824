"""The workflow of one fragment of a plan on one stream: a shell round `timeline.engine.fragment`.

Its type is the name of the root's operator. It never ends by itself; it continues as new when the server
suggests it, with all that it knows in one compressed value.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from workflows.asked import Asked
from workflows.guests import Guests
from workflows.inbox import Batch, ChildPatch, Entry, Packed, Release, from_carried, read, to_carried
from workflows.order import Order
from workflows.protocol import NodeSpec, Subscriber
from workflows.protocol import node as protocol
from workflows.renewal import continue_as_new, is_due, takes_one_at_a_time
from workflows.sending import Sending
from workflows.told import Told

with workflow.unsafe.imports_passed_through():
    from timeline.engine import state_wire
    from timeline.engine.fitting import check_slots
    from timeline.engine.fragment import LiveFragment, Said
    from timeline.engine.frozen import Frozen
    from timeline.engine.wire import from_patch
    from timeline.errors import NotFoundError, TimelineError, WireError
    from timeline.fragments import fragments_of
    from timeline.limits import Limits
    from timeline.plan import make_plan
    from timeline.tables.checking import check_batch, check_follows
    from timeline.tables.events import Events, Position, concat
    from timeline.tables.marks import mark_of
    from timeline.tables.wire import Wire, from_events
    from workflows.gauge import MAX_STATE, Gauge
    from workflows.metrics import NodeMetrics
    from workflows.payloads.codec import PIECE, NamedPiece


#: Events that are taken in one task, which has ten seconds: far more than feeders send at once.
MOST_EVENTS = 500_000


@workflow.defn(dynamic=True)
class NodeWorkflow(Told, Asked, Sending):
    """Takes ``events`` (a leaf) or ``patch`` (an inner node), and sends patches to its subscribers.

    Dynamic, so that one class serves every operator: the type it is started as is the operator's
    name. Signal handlers only append; all work is done in `run`, in the order of arrival.
    """

    @workflow.init
    def __init__(self, args: Sequence[RawValue]) -> None:
        convert = workflow.payload_converter().from_payload
        self.spec: NodeSpec = convert(args[0].payload, dict)  # type: ignore[assignment]
        state: bytes | None = convert(args[1].payload, bytes) if len(args) > 1 else None
        pieces = [(arg.payload.metadata[PIECE].decode(), convert(arg.payload, bytes)) for arg in args[2:]]
        plan = make_plan(self.spec["expression"])
        planned = plan.result
        if planned.operator.name != workflow.info().workflow_type:
            raise ApplicationError(
                f"workflow type {workflow.info().workflow_type!r} does not fit the expression "
                f"{planned.text!r}, whose operator is {planned.operator.name!r}",
                non_retryable=True,
            )
        fragment = fragments_of(plan, self.spec.get("fragments", "node"))[-1]
        limits = Limits(
            self.spec["allowed_lateness"],
            self.spec["retention"],
            self.spec.get("key_ttl"),
            self.spec.get("watermark") == "stream",
        )
        self.live = LiveFragment(plan, fragment, limits)
        self.frozen = Frozen(self.live.states, workflow.info().run_id)
        self.inbox: list[Entry] = []
        self.one_at_a_time = takes_one_at_a_time()
        self.guests = Guests()
        self.order = Order()
        self.stopped = False
        self.full: str | None = None
        self.held = self.resting = False
        #: Events that were taken since this run began, or last gave a task back.
        self.many = 0
        self.leader: protocol.Leader | None = None
        self.begin_told()
        self.gauge = Gauge(self.spec.get("max_state", MAX_STATE))
        self.metrics = NodeMetrics(self.live.states)
        if state is not None:
            rest = self.frozen.load(state, pieces)
            self.gauge.measured(len(state) + sum(len(data) for _, data in pieces), self.live.size())
            self.inbox = from_carried(rest["inbox"])
            self.guests.restore(rest)
            self.order.restore(rest)
            self.full = rest["full"]
            self.held = rest.get("held", False)
            self.leader = rest.get("leader")
            self.odd = rest.get("odd", self.odd)
        self.metrics.measured(self.gauge.about)

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> None:
        while True:
            self.resting = True
            await workflow.wait_condition(self._has_work)
            self.resting = self.is_told = False
            self.handed = None
            if self.stopped:
                return
            await self._welcome()
            with self.metrics.wave():
                said = self._step() if self.full is None else []
            for member, patch in said:
                await self._send(patch, self._told_of(member))
            if self.many > MOST_EVENTS and workflow.patched("so-many-events"):
                # A new task: one that takes too long would be begun again for ever.
                self.many = 0
                await workflow.sleep(timedelta(milliseconds=1))
            if is_due(self.renewing):
                await workflow.wait_condition(workflow.all_handlers_finished)
                # No await from here on: what has come in meanwhile goes along in the inbox.
                if self.gauge.stored:
                    state = self.frozen.carry(**self._rest())
                    pieces = [NamedPiece(piece.name, piece.data) for piece in self.frozen.pieces]
                    continue_as_new(self.spec, state, *pieces)
                state = self._state()
                if self.gauge.fits(state):
                    continue_as_new(self.spec, state)

    # --- signals ---------------------------------------------------------------------------------

    @protocol.EVENTS.handler
    def events(self, batch: Wire | Packed, about: protocol.About | None = None) -> None:
        """A batch of events, if it is for this node and not for one that had its id before."""
        about = about or {}
        ours = about.get("born") in (None, workflow.info().first_execution_run_id)
        if ours and self._follows(about.get("leader")):
            self.inbox.append(Batch(batch, about.get("settled"), about.get("after")))

    @protocol.LEAD.handler
    def lead(self, leader: protocol.Leader) -> None:
        """The feeder whose batches are taken from now on, unless one with a later lead is known."""
        self._follows(leader)

    def _follows(self, leader: protocol.Leader | None) -> bool:
        """Whether a batch of a feeder with that lead is taken. What has none is of a file, or of a feeder of
        before there were marks: what it sends is the same whoever sends it."""
        if leader is None:
            return True
        if self.leader is not None and leader < self.leader:
            return False
        self.leader = leader
        return True

    @protocol.PATCH.handler
    def patch(self, patch: Wire | Packed) -> None:
        """A patch of a child."""
        self.inbox.append(ChildPatch(patch))

    @protocol.SUBSCRIBE.handler
    def subscribe(self, subscriber: Subscriber) -> None:
        """A new parent: it gets a snapshot, then every patch."""
        try:
            self.live.find(subscriber.get("node"))
        except NotFoundError as error:
            self.set_aside(protocol.SUBSCRIBE.name, error)
        else:
            self.guests.newcomers.append(subscriber)

    @protocol.UNSUBSCRIBE.handler
    def unsubscribe(self, workflow_id: str) -> None:
        """A parent that wants no more patches."""
        self.guests.forget(workflow_id)
        self.spec["subscribers"] = [s for s in self.spec["subscribers"] if s["workflow"] != workflow_id]

    @protocol.LIMIT.handler
    def limit(self, max_state: int) -> None:
        """How many bytes the state may have from now on; a node that was full goes on if it may."""
        self.spec["max_state"] = self.gauge.limit = max_state
        if self.full is not None:
            self.full = self._is_full()

    @protocol.RELEASE.handler
    def release(self, key: str) -> None:
        """A key that this node's operator raised for is to be tried again."""
        self.inbox.append(Release(key))

    @protocol.HOLD.handler
    def hold(self) -> None:
        """Batches and releases wait from now on: the state is to be handed over."""
        self.held = True
        self.handed = None

    @protocol.GO_ON.handler
    def go_on(self) -> None:
        """What waits is taken again."""
        self.held = False
        self.handed = None

    @protocol.STOP.handler
    def stop(self) -> None:
        """Ends the workflow: nobody uses the node any more."""
        self.stopped = True

    # --- work ------------------------------------------------------------------------------------

    def _has_work(self) -> bool:
        return (
            self.stopped
            or bool(self.guests.newcomers)
            or self.is_worn()
            or (self.full is None and any(map(self._may_take, self.inbox)))
        )

    def _may_take(self, entry: Entry) -> bool:
        return not self.held or isinstance(entry, ChildPatch)

    def _step(self) -> Said:
        """Takes what waits in the inbox; what follows from it, and from every key that is released."""
        places = [place for place, entry in enumerate(self.inbox) if self._may_take(entry)]
        if self.one_at_a_time:
            del places[1:]
        waiting = [self.inbox[place] for place in places]
        for place in reversed(places):
            del self.inbox[place]
        releases = [entry for entry in waiting if isinstance(entry, Release)]
        said = self._take(waiting) if len(releases) < len(waiting) else []
        for release in releases:
            try:
                said += self.live.release(release.key)
            except TimelineError as error:
                workflow.logger.warning("release of %r: %s", release.key, error)
        if said and self.gauge.grown(self.live.size(), (patch for _, patch in said)):
            self.full = self._is_full()
        self.metrics.measured(self.gauge.about)
        return said

    def _take(self, entries: Sequence[Entry]) -> Said:
        """Takes batches, if a member reads events, or the patches of others."""
        batches = [entry for entry in entries if isinstance(entry, Batch)]
        patches = [entry for entry in entries if isinstance(entry, ChildPatch)]
        reads = bool(self.live.fragment.leaves)
        for _ in patches if reads else batches:
            takes, got = ("events", "patch") if reads else ("patch", "events")
            self.set_aside(got, WireError(f"this node takes {takes}"))
        if reads:
            return self._accept(batches)
        for patch in patches:
            try:
                wire = read(patch.wire)
                incoming = from_patch(wire)
                check_slots(slots := wire.get("inputs", []), len(self.live.fragment.slots))
                self.order.check(wire, self.live.has_begun)
                self.live.check(slots, incoming)
            except TimelineError as error:
                self.set_aside(protocol.PATCH.name, error)
                continue
            self.order.take(wire)
            for slot in slots:
                self.live.receive(slot, incoming)
        return self.live.advance()

    def _accept(self, batches: Sequence[Batch]) -> Said:
        said: Said = []
        fresh: list[Events] = []
        last = self.live.fed
        for batch in batches:
            if batch.settled:
                self.live.settle(tuple(batch.settled))
        for batch in batches:
            try:
                events, reaches = from_events(read(batch.wire))
                check_batch(events, reaches, last)
                check_follows(batch.after, last)
            except TimelineError as error:
                self.set_aside(protocol.EVENTS.name, error)
                continue
            self.many += len(events)
            if last is None or reaches > last:
                fresh.append(events if last is None else events.after(last))
                last = reaches
            # What lies behind a mark is judged by it, and cannot be taken together with it.
            if fresh and last is not None and mark_of(last) is not None:
                said += self._accept_events(concat(fresh), last)
                fresh = []
        if fresh and last is not None:
            said += self._accept_events(concat(fresh), last)
        return said

    def _accept_events(self, events: Events, last: Position) -> Said:
        with self.metrics.batch(lambda: self.live.reader, len(events)):
            return self.live.accept(events, last)

    def set_aside(self, name: str, why: TimelineError) -> None:
        self.metrics.misfit(1)
        super().set_aside(name, why)

    def _state(self) -> bytes:
        return state_wire.to_state(self.live.states, **self._rest())

    def _rest(self) -> dict[str, Any]:
        rest = {"inbox": to_carried(self.inbox), **self.guests.carried(), **self.order.carried()}
        rest["full"] = self.full
        rest |= {"held": True} if self.held else {}
        return rest | self.what_is_odd() | ({} if self.leader is None else {"leader": self.leader})

    def _is_full(self) -> str | None:
        """Why no more events can be taken, if that is so. What lies in pieces twice does not count."""
        if self.gauge.may_be_full:
            size = self.frozen.measure(**self._rest()) if self.gauge.stored else None
            if size is None or size > self.gauge.limit:
                size = len(self._state())
            self.gauge.measured(size, self.live.size())
        return self.gauge.full(len(self.live.root.state.keys))
