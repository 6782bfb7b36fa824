"""Who asks a workflow can be told to end at any moment."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError

from timeline.errors import UnavailableError
from workflows.client import asking
from workflows.client.asking import Asking


async def steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("after", range(12))
async def test_one_that_is_told_to_end_while_its_answer_comes_ends(after: int) -> None:
    """However many turns of the loop lie between the two."""
    come = asyncio.Event()

    async def answer() -> str:
        await come.wait()
        return "answer"

    task = asyncio.create_task(Asking(cast(Any, None))._patiently(answer()))
    await steps(3)
    come.set()
    await steps(after)
    told = task.cancel()
    await asyncio.wait({task})
    assert task.cancelled() is told
    assert told or task.result() == "answer"


async def test_one_that_is_told_to_end_does_not_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An update that is cancelled says that it was cut off, as one that took too long does."""
    monkeypatch.setattr(asking, "PATIENCE", 0.0)
    there = asyncio.Event()

    async def is_there(_: object) -> bool:
        there.set()
        return True

    monkeypatch.setattr(asking, "worker_is_there", is_there)

    async def update() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise WorkflowUpdateRPCTimeoutOrCancelledError from None
        return "never"

    asked = Asking(cast(Any, None))
    task = asyncio.create_task(asked._patiently(update()))
    await there.wait()
    await steps(5)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    with pytest.raises(UnavailableError, match="no answer within"):
        await asked._patiently(update(), 0.05)
