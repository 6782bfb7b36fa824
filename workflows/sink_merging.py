"""The workflow that merges the groups of a sink's streams in one row a time, where the sink asks for it.

The sinks of the streams hand over what they say of each time. A row is written once all have said theirs, and
only then is the stream that was last told so: its position, for which feeders wait, says that rows are there.
"""

from __future__ import annotations

from temporalio import workflow

from workflows.inbox import Packed, read
from workflows.protocol import sink as protocol
from workflows.renewal import takes_one_at_a_time
from workflows.rows import Rows

with workflow.unsafe.imports_passed_through():
    from timeline.engine.state_wire import from_state, to_state
    from timeline.errors import TimelineError
    from timeline.sinks.merging import Merging
    from timeline.spec.spec import Spec
    from timeline.tables.wire import Wire
    from workflows.names import MERGED_TYPE, sink_id


@workflow.defn(name=MERGED_TYPE)
class MergedSinkWorkflow(Rows):
    """Takes ``hand_over`` signals of the sinks of all streams. All work is done in `run`."""

    @workflow.init
    def __init__(self, args: protocol.MergedSpec, state: bytes | None = None) -> None:
        self.args = args
        spec = Spec.from_wire(args["spec"])
        self.begin(spec, spec.sink(args.get("sink")), "all", args.get("max_state"))
        self.merging = Merging(spec, self.sink, args["streams"])
        self.inbox: list[Wire | Packed] = []
        self.one_at_a_time = takes_one_at_a_time()
        #: Up to where each stream was told that there is room.
        self.told = [0] * args["streams"]
        if state is not None:
            rest = from_state(state, [])
            self.gauge.measured(len(state), 0)
            self.inbox, self.progress, self.told = rest["inbox"], rest["progress"], rest["told"]
            self.odd = rest.get("odd", self.odd)
            self.merging.restore(rest["merging"])

    @workflow.run
    async def run(self, args: protocol.MergedSpec, state: bytes | None = None) -> None:
        await self.go_on(self.args)

    # --- signals ---------------------------------------------------------------------------------

    @protocol.HAND_OVER.handler
    def hand_over(self, handed: Wire | Packed) -> None:
        """What a stream says of its groups."""
        self.inbox.append(handed)
        self.metrics.heard()

    # --- queries ---------------------------------------------------------------------------------

    @protocol.STATUS.handler
    def status(self) -> protocol.SinkStatus:
        """Where rows go, how many are written, for which streams it waits, and what is wrong."""
        status = self.stands(None, None, len(self.inbox), self.merging.size)
        if (held := self._too_far()) is not None:
            status["held"] = held
        status["until"], status["waits_for"] = self.merging.low, self.merging.waits_for()
        return status

    # --- work ------------------------------------------------------------------------------------

    async def _work(self) -> None:
        many = 1 if self.one_at_a_time else len(self.inbox)
        waiting, self.inbox = self.inbox[:many], self.inbox[many:]
        again = set()
        for one in waiting:
            try:
                handed = read(one)
                stream = handed.pop("stream", -1)
                if not self.merging.take(stream, handed):
                    again.add(stream)
            except TimelineError as error:
                self.set_aside(protocol.HAND_OVER.name, error)
        while not self.stopped and (rows := self.merging.rows()) is not None:
            await self.write(rows, self.merging.types())
        if self.stopped:
            return
        for stream, until in enumerate(self.merging.until):
            has_room = until == self.merging.low or self._too_far() is None
            if has_room and (until > self.told[stream] or stream in again):
                self.told[stream] = until
                await protocol.ROOM.tell(sink_id(self.spec, self.sink, stream), until)
        if not self.inbox:
            self.metrics.done()

    def _too_far(self) -> str | None:
        """Why there is no room for more of the streams that are ahead, if that is so."""
        if self.merging.size <= self.gauge.limit:
            return None
        behind = ", ".join(map(str, self.merging.waits_for()[:5]))
        return (
            f"{workflow.info().workflow_id} holds {self.merging.size} bytes of groups (limit "
            f"{self.gauge.limit}) for times of which stream {behind} has not told yet: its events are older, "
            "or it has none; give fewer limits.shards, a longer every, or a mark to streams that are silent "
            "(docs/sinks.md)"
        )

    def _state(self) -> bytes:
        return to_state(
            [],
            **self.what_is_odd(),
            inbox=list(map(read, self.inbox)),
            progress=self.progress,
            told=self.told,
            merging=self.merging.carried(),
        )
