"""Runs that begin anew, and on which workers: those of the build that is current by then.

With `timeline worker --build-id` a run stays with workers of the build that began it, so that no history is
ever replayed by another; without, all of this does nothing.
"""

from __future__ import annotations

from typing import Any, NoReturn

from temporalio import workflow
from temporalio.workflow import ContinueAsNewVersioningBehavior


def is_due(renewing: bool = False, *, moves: bool = True) -> bool:
    """Whether the run should end now: its history is long, another build has become the current one, or that
    was asked for (``renewing``). One that does not move by itself heeds no build.

    Never while it is replayed. A run of which there is more has not ended here, whatever the server's
    suggestion says: that comes with a task, but a question may bring a signal to the workflow before the task
    for it has begun. Who looked at the suggestion then saw the one of the task before, and whoever replays it
    would see another. So one that has ended cannot be asked any more: who asks it meanwhile asks again, and
    reaches the next run (`workflows.client.asking`).
    """
    if workflow.unsafe.is_replaying():
        return False
    info = workflow.info()
    moved = moves and info.is_target_worker_deployment_version_changed()
    return renewing or moved or info.is_continue_as_new_suggested()


def takes_one_at_a_time() -> bool:
    """Whether a run takes what it is told one after another, and not at once what came together. To be asked
    once, when it begins; runs of before 0.3 do not.

    What came together is not the same in every replay, for the reason that `is_due` has: if it were taken
    together, other commands would follow.
    """
    return workflow.patched("one-at-a-time")


def continue_as_new(*args: Any) -> NoReturn:
    """Ends the run; the next one, with these arguments, is for workers of the current build."""
    workflow.continue_as_new(
        args=args, initial_versioning_behavior=ContinueAsNewVersioningBehavior.AUTO_UPGRADE
    )
