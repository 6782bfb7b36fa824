"""The workflow of a timeline's sink on one stream.

It subscribes to the outputs as a node does. It goes on to the next position only when all rows of the one
before are written, so that its position says up to where they are; feeders wait for it as for results.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

from workflows.inbox import ChildPatch, Entry, Packed, from_carried, read, to_carried
from workflows.order import Order
from workflows.protocol import SinkSpec
from workflows.protocol import sink as protocol
from workflows.rows import Rows

with workflow.unsafe.imports_passed_through():
    import orjson

    from timeline.engine.fitting import check_patch, check_slots
    from timeline.engine.state_wire import from_state, to_state
    from timeline.engine.wire import from_patch
    from timeline.errors import TimelineError
    from timeline.sinks.emission import Emission
    from timeline.sinks.groups import Handed
    from timeline.spec.spec import Spec
    from timeline.tables.wire import Wire, to_position
    from workflows.names import SINK_TYPE, merged_id

#: About how many bytes of groups go at once to the workflow that merges them.
HANDED_BYTES = 100_000
#: How often one that is not there is tried again.
AGAIN = timedelta(seconds=1)


@workflow.defn(name=SINK_TYPE)
class SinkWorkflow(Rows):
    """Takes ``patch`` signals of the outputs' nodes. All work is done in `run`, in order of arrival."""

    @workflow.init
    def __init__(self, args: SinkSpec, state: bytes | None = None) -> None:
        self.args = args
        spec = Spec.from_wire(args["spec"])
        self.begin(spec, spec.sink(args.get("sink")), str(args["stream"]), args.get("max_state"))
        self.node = Emission(spec, self.sink, args["stream"])
        self.inbox: list[Entry] = []
        self.written: list[int] | None = None
        self.room_until = 0
        self.order = Order()
        if state is not None:
            rest = from_state(state, [self.node.state])
            self.gauge.measured(len(state), 0)
            self.inbox = from_carried(rest["inbox"])
            self.progress = rest["progress"]
            self.written = rest["written"]
            self.odd = rest.get("odd", self.odd)
            self.order.restore(rest)
            self.node.restore(rest["emission"])
            if self.inbox:
                self.metrics.heard()

    @workflow.run
    async def run(self, args: SinkSpec, state: bytes | None = None) -> None:
        await self.go_on(self.args)

    # --- signals ---------------------------------------------------------------------------------

    @protocol.PATCH.handler
    def patch(self, patch: Wire | Packed) -> None:
        """A patch of an output's node."""
        self.inbox.append(ChildPatch(patch))
        self.metrics.heard()

    @protocol.ROOM.handler
    def room(self, until: int) -> None:
        """What was handed over is where it belongs, as far as that can be yet."""
        self.room_until = max(self.room_until, until)

    # --- queries ---------------------------------------------------------------------------------

    @protocol.POSITION.handler
    def position(self) -> protocol.Place:
        """The place in the stream up to which all that is final is written, or handed over."""
        return self.written

    @protocol.STATUS.handler
    def status(self) -> protocol.SinkStatus:
        """Where rows go, how many are written, whether a repeat changes nothing, and what is wrong."""
        status = self.stands(self.args["stream"], self.written, len(self.inbox), self.gauge.about)
        if self.sink.merged:
            status["merged"] = merged_id(self.spec, self.sink)
        return {**status, **self.order.what_is_missing()}

    # --- work ------------------------------------------------------------------------------------

    async def _work(self) -> None:
        waiting, self.inbox = self.inbox, []
        for entry in waiting:
            if isinstance(entry, ChildPatch):
                try:
                    wire = read(entry.wire)
                    incoming = from_patch(wire)
                    check_slots(inputs := wire.get("inputs", []), len(self.node.state.edges))
                    self.order.check(wire, self.node.has_begun)
                    for index in inputs:
                        check_patch(self.node.state, index, incoming)
                except TimelineError as error:
                    self.set_aside(protocol.PATCH.name, error)
                    continue
                self.order.take(wire)
                for index in inputs:
                    self.node.receive(index, incoming)
        while not self.stopped and (target := self.node.next_position()) is not None:
            self.node.step(target)
            await self._drain()
        if not self.stopped:
            self.node.step(None)
            await self._drain()
            self.written = to_position(self.node.state.position)
            self.node.tidy()
            if not self.inbox:
                self.metrics.done()

    async def _drain(self) -> None:
        if self.sink.merged:
            await self._hand_over()
            return
        while not self.stopped and (rows := self.node.rows()) is not None:
            await self.write(rows, self.node.types())

    async def _hand_over(self) -> None:
        """Brings what is final to the workflow that merges it."""
        handed: Handed | None = None
        size = 0
        while not self.stopped and (more := self.node.hand_over()) is not None:
            size += len(orjson.dumps(more))
            if handed is None:
                handed = more
            else:
                handed["parts"] += more["parts"]
                handed["until"] = more["until"]
                handed["first"] = more["first"] if handed["first"] is None else handed["first"]
                if "known" in more:
                    handed["known"] = more["known"]
            if size > HANDED_BYTES:
                await self._tell(handed)
                handed, size = None, 0
        if handed is not None:
            await self._tell(handed)

    async def _tell(self, handed: Handed) -> None:
        """Hands over, and waits until there is room for more."""
        message = {**handed, "stream": self.args["stream"]}
        while not self.stopped and not await protocol.HAND_OVER.tell(
            merged_id(self.spec, self.sink), message
        ):
            await workflow.sleep(AGAIN)
        until = handed["until"]
        await workflow.wait_condition(lambda: self.stopped or self.room_until >= until)

    def _state(self) -> bytes:
        return to_state(
            [self.node.state],
            **self.what_is_odd(),
            **self.order.carried(),
            inbox=to_carried(self.inbox),
            progress=self.progress,
            written=self.written,
            emission=self.node.carried(),
        )
