"""Asking workflows, and telling them something: with patience, again where that is safe, in our errors."""

from __future__ import annotations

import asyncio
import copy
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar, cast

from temporalio.client import (
    Client,
    RPCError,
    WithStartWorkflowOperation,
    WorkflowExecutionDescription,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCStatusCode

from timeline.errors import (
    LimitError,
    NotCaughtUpError,
    NotFoundError,
    ServiceError,
    StoreError,
    TimelineError,
    UnavailableError,
    shortened,
)
from workflows.backoff import retry
from workflows.connection import no_worker, task_queue, worker_is_there
from workflows.metrics import measured
from workflows.names import REGISTRY_ID, REGISTRY_TYPE
from workflows.patience import Patience
from workflows.protocol.calls import Query, Signal, Update
from workflows.protocol.node import NOT_CAUGHT_UP
from workflows.protocol.registry import GO_ON

P = ParamSpec("P")
T = TypeVar("T")

#: How long an answer may take before it is asked whether there is a worker at all; and at most.
PATIENCE = 3.0
ANSWER_TIMEOUT = 15.0
#: How long a slow update may take: states are handed over by several activities.
SLOW_TIMEOUT = 360.0
#: Seconds after which a query is sent once more, and whichever is answered first counts: what a worker had
#: when it was killed is given to no other. Slow questions may take their time.
LOST_AFTER, SLOW_AFTER = 0.7, 4.0
#: An update that the server had given to a worker that was killed is rejected as not processed.
UPDATE_ATTEMPTS = 4
#: Between tries of what was cut off (s); another worker has most likely taken over by then.
BACKOFF = {"wait_initial": 0.02, "wait_max": 0.5, "wait_jitter": 0.02}


#: What a server says that restarts, is at its limits, or cannot reach its database; or that has no worker.
PASSING = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.ABORTED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.FAILED_PRECONDITION,
    }
)
#: What it says of an update that a worker had when it was killed.
LOST = "BadUpdateWorkflowExecutionMessage"


class _GoOnError(Exception):
    """The registry has started some of what it is to start, and is to be asked again."""

    def __init__(self, done: int, of: int) -> None:
        self.done, self.of = done, of


class Asking:
    """The way to workflows on a Temporal server.

    Every method raises `ServiceError` if the server or a worker does not answer (`UnavailableError` for
    what may pass, once ``patience`` is over), and `NotFoundError` if there is no such workflow.
    """

    def __init__(self, temporal: Client, patience: Patience | None = None) -> None:
        self.temporal = temporal
        self.patience = patience or Patience()
        self.on_progress: Callable[[int, int], None] = lambda _, __: None

    def telling(self, on_progress: Callable[[int, int], None]) -> Asking:
        """The same, which tells how many workflows are started, and of how many, while many are."""
        asking = copy.copy(self)
        asking.on_progress = on_progress
        return asking

    @measured
    async def query(self, workflow_id: str, query: Query[P, T], *args: P.args, **_: P.kwargs) -> T:
        """What a workflow answers.

        Raises:
            StoreError: its state is in a store that its worker has not.
            NotCaughtUpError: it does not yet stand where others stood when it was started.
        """
        handle = self.temporal.get_workflow_handle(workflow_id)

        async def ask() -> T:
            answer: T = await handle.query(
                query.name, args=args, rpc_timeout=timedelta(seconds=ANSWER_TIMEOUT)
            )
            return answer

        return await self.patience.ask(lambda: self._answer(workflow_id, query, ask))

    async def _answer(self, workflow_id: str, query: Query[P, T], ask: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self._patiently(until_answered(ask, SLOW_AFTER if query.slow else LOST_AFTER))
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
            text = str(error)
            if "TMPRL1105" in text:  # the SDK's code for a claim without a store
                hint = "its worker has none; start it with --store, or set TIMELINE_STORE"
                raise StoreError(f"the state of {workflow_id} is in a store, and {hint}") from None
            if text.startswith(NOT_CAUGHT_UP):
                raise NotCaughtUpError(f"{workflow_id} is {text}; ask again later") from None
            raise ServiceError(f"{workflow_id} could not answer {query.name!r}: {text}") from None
        except RPCError as error:
            raise self._refusal(error, workflow_id) from None

    async def update(self, update: Update[P, T], *args: P.args, **_: P.kwargs) -> T:
        """What the registry says to an update; again if the worker that had it was killed before it began,
        or if there is more to do than one run of the registry may.

        Raises:
            TimelineError: the registry refuses; `NotFoundError` and `LimitError` are of this kind too.
        """

        # What the server has already, when we lose the connection, it does not do again.
        update_id = str(uuid.uuid4())

        async def ask() -> T:
            start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
                REGISTRY_TYPE,
                id=REGISTRY_ID,
                task_queue=task_queue(),
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary="timelines, their nodes and their files",
            )
            answer: T = await self._patiently(
                self.temporal.execute_update_with_start_workflow(
                    update.name, args=args, start_workflow_operation=start, id=update_id
                ),
                SLOW_TIMEOUT if update.slow else ANSWER_TIMEOUT,
            )
            return answer

        async def attempt() -> T:
            try:
                return await _again(ask, on=_was_not_begun, attempts=UPDATE_ATTEMPTS)
            except WorkflowUpdateFailedError as error:
                if _kind(error) == GO_ON:
                    raise _GoOnError(*cast(ApplicationError, error.cause).details) from None
                errors: dict[str | None, type[TimelineError]] = {
                    "NotFoundError": NotFoundError,
                    "LimitError": LimitError,
                    UNPROCESSED: UnavailableError,
                }
                raise errors.get(_kind(error), TimelineError)(_words(error.cause)) from None
            except RPCError as error:
                refusal = self._refusal(error, REGISTRY_ID)
                # One that has just continued as new is there again at the next try.
                raise (
                    UnavailableError(str(refusal)) if isinstance(refusal, NotFoundError) else refusal
                ) from None

        while True:
            try:
                return await self.patience.ask(attempt)
            except _GoOnError as more:
                self.on_progress(more.done, more.of)
                update_id = str(uuid.uuid4())

    async def signal(self, workflow_id: str, signal: Signal[P], *args: P.args, **_: P.kwargs) -> None:
        """Tells a workflow something; returns when the server has it."""

        async def attempt() -> None:
            try:
                await self.temporal.get_workflow_handle(workflow_id).signal(signal.name, args=args)
            except RPCError as error:
                raise self._refusal(error, workflow_id) from None

        await self.patience.ask(attempt)

    async def describe(self, workflow_id: str) -> WorkflowExecutionDescription:
        """What the server knows of a workflow."""

        async def attempt() -> WorkflowExecutionDescription:
            try:
                return await self.temporal.get_workflow_handle(workflow_id).describe()
            except RPCError as error:
                raise self._refusal(error, workflow_id) from None

        return await self.patience.ask(attempt)

    async def _patiently(self, answer: Awaitable[T], most: float | None = None) -> T:
        """Waits for an answer (`ANSWER_TIMEOUT`), but says soon if nobody is there who could give it."""
        most = ANSWER_TIMEOUT if most is None else most
        task = asyncio.ensure_future(answer)
        try:
            # The task is not awaited: an update that is cancelled says that it was cut off, and then the one
            # who ends us would not be heard.
            done, _ = await asyncio.wait({task}, timeout=PATIENCE)
            if not done:
                if not await worker_is_there(self.temporal):
                    raise no_worker(self.temporal)
                done, _ = await asyncio.wait({task}, timeout=most - PATIENCE)
            if not done:
                raise TimeoutError
            return task.result()
        except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            raise UnavailableError(
                f"no answer within {most:g} s; is the worker still running, or busy, or of a build that is "
                "not the current one (`timeline upgrade`)?"
            ) from None
        finally:
            _leave(task)

    def _refusal(self, error: RPCError, what: str) -> TimelineError:
        if error.status == RPCStatusCode.NOT_FOUND and "namespace" in error.message.lower():
            return ServiceError(f"{error.message}; set TEMPORAL_NAMESPACE to one that is there")
        if error.status == RPCStatusCode.NOT_FOUND:
            return NotFoundError(f"no workflow {what} is running")
        if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
            return UnavailableError(f"{what} did not answer in time; is its worker still running?")
        target = self.temporal.service_client.config.target_host
        kind = UnavailableError if error.status in PASSING or LOST in error.message else ServiceError
        return kind(f"Temporal at {target} refused: {shortened(error.message, 500)}")


async def until_answered(ask: Callable[[], Awaitable[T]], after: float) -> T:
    """The first answer to what is asked: again when it is cut off, and once more beside it after so many
    seconds without any answer, then after twice as many, and so on."""
    tasks: set[asyncio.Task[T]] = set()
    try:
        while True:
            tasks.add(asyncio.ensure_future(_again(ask, on=_was_cut, attempts=None)))
            done, _ = await asyncio.wait(tasks, timeout=after, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return min(done, key=lambda task: task.exception() is not None).result()
            after *= 2
    finally:
        for task in tasks:
            _leave(task)


def _leave(task: asyncio.Future[T]) -> None:
    """Cancels a task whose answer nobody waits for any more; what it ends with is no news."""
    task.cancel()
    task.add_done_callback(lambda done: done.cancelled() or done.exception())


async def _again(
    ask: Callable[[], Awaitable[T]], *, on: Callable[[Exception], bool], attempts: int | None
) -> T:
    # Only so many attempts, and not so long: `Asking._patiently` bounds the time.
    @retry(on=on, attempts=attempts, timeout=None, **BACKOFF)
    async def once() -> T:
        return await ask()

    return await once()


def _was_cut(error: Exception) -> bool:
    """Whether the server gave up because the worker that it had asked has gone; or whether it asked a run
    that had just ended for the next one, which does not end once more (`workflows.renewal`)."""
    if isinstance(error, WorkflowQueryFailedError):
        return "WorkflowExecutionContinuedAsNew" in str(error)
    return isinstance(error, RPCError) and error.status is RPCStatusCode.CANCELLED


#: What Temporal calls an update that no worker has begun.
UNPROCESSED = "UnprocessedUpdate"


def _was_not_begun(error: Exception) -> bool:
    return isinstance(error, WorkflowUpdateFailedError) and _kind(error) == UNPROCESSED


def _words(cause: BaseException | None) -> str:
    """What an update failed with; of arguments that could not be read also why."""
    texts: list[str] = []
    while isinstance(cause, ApplicationError):
        texts.append(cause.message)
        cause = cause.cause
    return ": ".join(texts) or str(cause)


def _kind(error: WorkflowUpdateFailedError) -> str | None:
    return error.cause.type if isinstance(error.cause, ApplicationError) else None
