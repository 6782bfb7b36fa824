"""Timelines that are moved to another policy: their nodes' states are handed over to new nodes.

A part of the registry's workflow, as `workflows.wiring` is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from workflows.protocol.handover import CONFLICT, HEARTBEAT, NAME, Handover
from workflows.wiring import Wiring, wanted

with workflow.unsafe.imports_passed_through():
    from timeline.spec.spec import Spec

#: Streams whose states are handed over at a time.
AT_ONCE = 4
RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5))
#: An attempt, and all of them: then the old nodes go on.
ATTEMPT, ALL = timedelta(minutes=3), timedelta(minutes=6)

#: A timeline as it is and as it is to be.
Move = tuple[Spec, Spec]


async def hand_over(wiring: Wiring, moves: Sequence[Move]) -> list[str]:
    """Starts the nodes of moved timelines with what those of before know, which are held from then on:
    returns their ids.

    Timelines on one source are moved together. Where another one of their new policy has some of their
    nodes already, nothing is handed over.

    Raises:
        ApplicationError: it cannot be done; all is as it was.
    """
    work: list[Handover] = []
    for same in _by_source(moves):
        streams = wiring.streams(same[0][1])
        after = [spec for _, spec in same]
        if any(wanted(after, stream).keys() & wiring.state["users"].keys() for stream in streams):
            continue
        token = str(workflow.uuid4())
        for stream in streams:
            work.append(
                Handover(
                    before=[spec.to_wire() for spec, _ in same],
                    after=[spec.to_wire() for spec in after],
                    stream=stream,
                    max_state=wiring.max_state,
                    token=token,
                )
            )
    for first in range(0, len(work), AT_ONCE):
        # One that fails must not leave another at work that is to be undone.
        done = await asyncio.gather(*map(_handed, work[first : first + AT_ONCE]), return_exceptions=True)
        if failed := [error for error in done if isinstance(error, BaseException)]:
            begun = work[: first + AT_ONCE]
            await wiring.give_up(_ids(begun, "after"))
            await wiring.go_on(_ids(begun, "before"))
            raise _refusal(failed[0], [spec.name for spec, _ in moves]) from None
    wiring.adopt(_ids(work, "after"))
    return _ids(work, "before")


async def _handed(work: Handover) -> None:
    await workflow.execute_activity(
        NAME,
        work,
        start_to_close_timeout=ATTEMPT,
        schedule_to_close_timeout=ALL,
        heartbeat_timeout=HEARTBEAT,
        retry_policy=RETRY,
    )


def _ids(work: Sequence[Handover], which: str) -> list[str]:
    every: list[str] = []
    for one in work:
        specs = one["before"] if which == "before" else one["after"]
        every += wanted(map(Spec.from_wire, specs), one["stream"])
    return every


def _by_source(moves: Sequence[Move]) -> list[list[Move]]:
    groups: dict[str, list[Move]] = {}
    for move in moves:
        groups.setdefault(move[1].source_id, []).append(move)
    return list(groups.values())


def _refusal(error: BaseException, names: Sequence[str]) -> BaseException:
    if not isinstance(error, ActivityError):
        return error
    cause = error.cause
    what = cause.message if isinstance(cause, ApplicationError) else f"not in time ({cause})"
    kind = cause.type if isinstance(cause, ApplicationError) else None
    return ApplicationError(
        f"{', '.join(map(repr, names))}: the states were not handed over, and all is as before: {what}",
        type=kind or CONFLICT,
        non_retryable=True,
    )
