"""Runs that begin anew, and on which workers: those of the build that is current by then.

With `timeline worker --build-id` a run stays with workers of the build that began it, so that no history is
ever replayed by another; without, all of this does nothing.
"""

from __future__ import annotations

from typing import Any, NoReturn

from temporalio import workflow
from temporalio.workflow import ContinueAsNewVersioningBehavior


def is_due() -> bool:
    """Whether the run should end soon: its history is long, or another build has become the current one."""
    info = workflow.info()
    return info.is_continue_as_new_suggested() or info.is_target_worker_deployment_version_changed()


def continue_as_new(*args: Any) -> NoReturn:
    """Ends the run; the next one, with these arguments, is for workers of the current build."""
    workflow.continue_as_new(
        args=args, initial_versioning_behavior=ContinueAsNewVersioningBehavior.AUTO_UPGRADE
    )
