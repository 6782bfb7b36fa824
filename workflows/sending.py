"""Patches on their way to parents: one in flight per edge, in order, until each has it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from workflows.guests import Guests
from workflows.order import addressed, begun
from workflows.protocol import NodeSpec, Subscriber
from workflows.protocol import node as protocol

with workflow.unsafe.imports_passed_through():
    from timeline.engine.fragment import LiveFragment
    from timeline.engine.patch import Patch, parts
    from timeline.engine.wire import to_patch
    from timeline.errors import TimelineError, WireError
    from timeline.plan import PlanNode
    from timeline.tables.wire import Wire


class Sending:
    """A node's workflow, as far as it tells its parents."""

    spec: NodeSpec
    live: LiveFragment
    guests: Guests
    stopped: bool

    def set_aside(self, name: str, why: TimelineError) -> None:
        raise NotImplementedError

    def _told_of(self, member: PlanNode) -> list[Subscriber]:
        root = self.live.fragment.root.digest
        return [s for s in self.spec["subscribers"] if s.get("node", root) == member.digest]

    async def _welcome(self) -> None:
        """Sends new subscribers a snapshot, and counts them among the others from then on."""
        while self.guests.newcomers:
            newcomer = begun(self.guests.newcomers.pop(0))
            who = newcomer["workflow"], newcomer.get("node")
            others = [s for s in self.spec["subscribers"] if (s["workflow"], s.get("node")) != who]
            self.spec["subscribers"] = [*others, newcomer]
            if newcomer["workflow"] not in {s["workflow"] for s in others}:
                self.guests.unmet.add(newcomer["workflow"])
            snapshot = self.live.find(newcomer.get("node")).snapshot()
            if snapshot is not None:
                await self._send(snapshot, [newcomer])

    async def _send(self, patch: Patch, subscribers: Sequence[Subscriber]) -> None:
        """Signals a patch to all, and waits until each has it: one in flight per edge keeps order."""
        for part in parts(patch):
            message = to_patch(part)
            await asyncio.gather(*(self._signal(s["workflow"], addressed(s, message)) for s in subscribers))

    async def _signal(self, parent: str, message: Wire) -> None:
        pause = 0.1
        while parent in {s["workflow"] for s in self.spec["subscribers"]} and not self.stopped:
            try:
                await workflow.get_external_workflow_handle(parent).signal(protocol.PATCH.name, message)
                self.guests.unmet.discard(parent)
                return
            except ApplicationError as error:
                if parent in self.guests.unmet and workflow.patched("guests"):
                    self._put_off(parent)
                    return
                # The parent is not there (yet), or its run has had all the signals it may.
                workflow.logger.warning("patch to %s not delivered, retrying: %s", parent, error)
                await workflow.sleep(timedelta(seconds=pause))
                pause = min(pause * 2, 10)

    def _put_off(self, parent: str) -> None:
        """One that has never been there holds nobody up."""
        subscribers = self.spec["subscribers"]
        for _ in self.guests.put_off(s for s in subscribers if s["workflow"] == parent):
            self.set_aside(protocol.SUBSCRIBE.name, WireError(f"{parent} is not there, nor are many others"))
        self.spec["subscribers"] = [s for s in subscribers if s["workflow"] != parent]
