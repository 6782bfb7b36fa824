"""The activity that hands states over: from the nodes of timelines on one stream to those of another policy.

The old nodes are held; as soon as nothing is on its way between them, each says what it knows, the same is
put together for the new ones, and these are started with it. Every step may be done again. What comes then,
or after a failure, is the registry's (`workflows.moving`).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from temporalio import activity
from temporalio.client import Client, RPCError, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCStatusCode

from timeline.engine.regrouping import UnevenError, regroup
from timeline.errors import ServiceError, TimelineError
from timeline.spec.spec import Spec
from workflows.attributes import known_to
from workflows.backoff import LONGEST_PAUSE, until
from workflows.client.asking import Asking
from workflows.connection import task_queue
from workflows.gauge import MAX_INLINE
from workflows.protocol import node
from workflows.protocol.handover import CONFLICT, HEARTBEAT, LIMIT, NAME, Handover
from workflows.starting import STOPPING
from workflows.wiring import Wanted, wanted

#: How long (s) nothing may be on its way between the nodes before it is given up.
PATIENCE = 60.0
#: What a started workflow is known by, in its memo.
TOKEN = "handover"


class HandoverActivity:
    """Hands states over by a worker's client, which brings large ones to the store if there is one."""

    def __init__(self, temporal: Client, patience: float = PATIENCE) -> None:
        self.temporal = temporal
        self.asking = Asking(temporal)
        self.patience = patience

    @activity.defn(name=NAME)
    async def hand_over(self, work: Handover) -> None:
        """Starts the new nodes of a stream with what the old ones know, which are held from then on.

        Raises:
            ApplicationError: the old ones do not come to rest, or a state is too large for a new one.
        """
        try:
            old = wanted(map(Spec.from_wire, work["before"]), work["stream"])
            new = wanted(map(Spec.from_wire, work["after"]), work["stream"])
            async with _heartbeats():
                states = await self._states(old, new)
                target = await self._target(old)
                known = await known_to(self.temporal)
                for workflow_id, state in zip(new, states, strict=True):
                    self._check(workflow_id, state, work["max_state"])
                for (workflow_id, one), state in zip(new.items(), states, strict=True):
                    await self._start(workflow_id, one, state, work, target, known)
        except ServiceError as error:
            raise ApplicationError(str(error), type=type(error).__name__) from None
        except TimelineError as error:
            raise _refusal(str(error)) from None
        except (LookupError, TypeError, ValueError) as error:
            raise _refusal(f"this is no work: {type(error).__name__}: {error}") from None

    async def _states(self, old: Mapping[str, Wanted], new: Mapping[str, Wanted]) -> list[bytes]:
        """The states of the new nodes, from those of the old ones, which are held then."""
        end = asyncio.get_running_loop().time() + self.patience
        fragments = [one.fragment for one in old.values()]
        wanted = [one.fragment for one in new.values()]
        while True:
            await asyncio.gather(*(self.asking.signal(i, node.HOLD) for i in old))
            await self._quiet(old, end)
            carried = await asyncio.gather(*map(self._carried, old))
            try:
                return await asyncio.to_thread(regroup, list(zip(fragments, carried, strict=True)), wanted)
            except UnevenError:
                if asyncio.get_running_loop().time() > end:
                    raise
            # Copies of a leaf were held between the same batch: with the next they are even again. No
            # earlier attempt has started anything, for it would have met the same.
            await asyncio.gather(*(self.asking.signal(i, node.GO_ON) for i in old))
            await asyncio.sleep(LONGEST_PAUSE)

    async def _quiet(self, nodes: Iterable[str], end: float) -> None:
        """Waits until nothing is on its way. Children come first: one that is quiet has told all that it
        had, and is told nothing more."""
        for workflow_id in nodes:

            async def quiet(workflow_id: str = workflow_id) -> bool:
                return await self.asking.query(workflow_id, node.QUIET)

            try:
                await until(quiet, within=max(end - asyncio.get_running_loop().time(), 0.0))
            except TimeoutError:
                full = (await self.asking.query(workflow_id, node.STATUS))["full"]
                raise _refusal(
                    f"{workflow_id} has not come to rest within {self.patience:g} s: "
                    f"{full or 'something is still on its way to it or to those that it tells'}; try again "
                    "when workers have caught up, or register the timeline under another name"
                ) from None

    async def _target(self, old: Iterable[str]) -> node.Place:
        """What some of the old ones had still to reach; all that they knew is handed over, but no more."""
        answers = await asyncio.gather(*(self.asking.query(i, node.CATCHING_UP) for i in old))
        return max((a["target"] for a in answers if a["target"] is not None), default=None)

    async def _carried(self, workflow_id: str) -> bytes:
        """What a node knows, piece by piece."""
        while True:
            state, size, digest = b"", 1, ""
            while len(state) < size:
                piece = await self.asking.query(workflow_id, node.CARRIED, len(state))
                state += base64.b64decode(piece["piece"])
                size, digest = piece["size"], piece["digest"]
            if hashlib.sha256(state).hexdigest() == digest:
                return state
            # Pieces of two encodings: another worker, of another version, has answered in between.

    def _check(self, workflow_id: str, state: bytes, max_state: int) -> None:
        stored = self.temporal.data_converter.external_storage is not None
        most = max_state if stored else min(max_state, MAX_INLINE)
        if len(state) > most:
            store = "" if stored else "give the workers a store (--store or TIMELINE_STORE), or "
            raise _refusal(
                f"the state of {workflow_id} would have {len(state)} bytes (limit {most}); "
                f"{store}register the timeline under another name with more limits.shards",
                LIMIT,
            )

    async def _start(
        self,
        workflow_id: str,
        one: Wanted,
        state: bytes,
        work: Handover,
        target: node.Place,
        known: list[str],
    ) -> None:
        """Starts a node, unless an earlier attempt has."""

        async def started() -> bool:
            try:
                await self.temporal.start_workflow(
                    one.fragment.root.operator.name,
                    args=[one.args(work["max_state"], target), state],
                    id=workflow_id,
                    task_queue=task_queue(),
                    static_summary=one.fragment.root.text[:200],
                    search_attributes=one.found_by(known),
                    memo={TOKEN: work["token"]},
                )
            except WorkflowAlreadyStartedError:
                running = await self.temporal.get_workflow_handle(workflow_id).describe()
                ours = await running.memo_value(TOKEN, None, type_hint=str) == work["token"]
                return ours and running.status == WorkflowExecutionStatus.RUNNING
            return True

        try:
            # One of that id may be about to stop: of a move before this one, or of one that was given up.
            await until(started, within=STOPPING)
        except TimeoutError:
            raise _refusal(
                f"a workflow {workflow_id} runs that no timeline uses; terminate it (`temporal workflow "
                f"terminate -w {workflow_id}`) and try again"
            ) from None
        except RPCError as error:
            if error.status == RPCStatusCode.INVALID_ARGUMENT:
                raise _refusal(f"{workflow_id} cannot be started: {error.message}") from None
            raise ServiceError(f"{workflow_id} is not started: {error.message}") from None


def _refusal(what: str, kind: str = CONFLICT) -> ApplicationError:
    return ApplicationError(what, type=kind, non_retryable=True)


@asynccontextmanager
async def _heartbeats() -> AsyncIterator[None]:
    """Says meanwhile that this worker is alive."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(HEARTBEAT.total_seconds() / 4)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
