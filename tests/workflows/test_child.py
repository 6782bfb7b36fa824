"""Child processes: ready, too slow, ended, unwilling to stop, and gone when their parent is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from timeline.errors import ServiceError
from workflows.child import Child

#: More than any machine takes to start Python.
PATIENCE = 120.0


class Script(Child):
    """A Python script, ready when it says so."""

    def __init__(self, script: str, log: Path | None = None, grace: float = PATIENCE) -> None:
        super().__init__("the script", log=log, grace=grace)
        self.script = script
        self.within = PATIENCE

    async def start(self) -> str:
        await self.spawn([sys.executable, "-u", "-c", self.script])
        return await self.ready(lambda: self.line("ready"), self.within)


WAITING = "import signal; print('warming up'); print('ready now'); signal.pause()"


@pytest.mark.parametrize("in_a_file", [True, False])
async def test_is_ready_and_stops(in_a_file: bool, tmp_path: Path) -> None:
    async with Script(WAITING, tmp_path / "log" if in_a_file else None) as child:
        assert child.running
        os.kill(child.pid, 0)
    assert await child.wait() == -signal.SIGTERM
    assert not child.running
    await child.stop()  # once more is no error
    assert await child.start() == "ready now"
    await child.stop(kill=True)
    assert await child.wait() == -signal.SIGKILL


async def test_one_that_ends_says_why_and_only_what_this_run_said(tmp_path: Path) -> None:
    log = tmp_path / "made" / "log"
    child = Script(WAITING, log)
    await child.start()
    await child.stop()
    child.script = "raise ValueError('no such thing')"
    with pytest.raises(ServiceError) as caught:
        await child.start()
    message = str(caught.value)
    assert message.startswith(f"the script ended at once; see {log}:\n")
    assert message.endswith("ValueError: no such thing")
    assert "ready" not in message
    assert "ready now" in log.read_text()
    with pytest.raises(ServiceError, match=r"^the script ended at once; what it said stands above$"):
        await Script("raise SystemExit(3)").start()


async def test_one_that_is_never_ready_is_killed(tmp_path: Path) -> None:
    child = Script("import signal; print('hm', flush=True); signal.pause()", tmp_path / "log")
    child.within = 0.5
    with pytest.raises(ServiceError, match=r"the script does not answer; see .*log:"):
        await child.start()
    assert not child.running


async def test_one_that_does_not_want_to_stop_is_killed() -> None:
    child = Script(DEAF, grace=0.1)
    await child.start()
    await child.stop()
    assert await child.wait() == -signal.SIGKILL


DEAF = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready')\nwhile True: signal.pause()"
)


async def cancelled(task: asyncio.Task[object]) -> None:
    """Lets a task begin, and cancels it."""
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_is_told_twice_to_stop_leaves_nothing_behind() -> None:
    child = Script(DEAF)
    await child.start()
    await cancelled(asyncio.ensure_future(child.stop()))
    assert not child.running
    assert await child.wait() == -signal.SIGKILL


async def test_who_is_told_to_stop_while_it_starts_leaves_nothing_behind() -> None:
    child = Script(WAITING)
    await cancelled(asyncio.ensure_future(child.start()))
    assert not child.running
    assert await child.wait() == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
async def test_ends_with_its_parent(tmp_path: Path) -> None:
    parent = """
import asyncio
from tests.workflows.test_child import WAITING, Script

async def main():
    child = Script(WAITING)
    await child.start()
    print(f"ready {child.pid}", flush=True)
    await child.wait()

asyncio.run(main())
"""
    child = Script(parent)
    pid = int((await child.start()).split()[1])
    ended = asyncio.Event()
    watched = os.pidfd_open(pid)
    asyncio.get_running_loop().add_reader(watched, ended.set)
    await child.stop(kill=True)
    await ended.wait()
    asyncio.get_running_loop().remove_reader(watched)
    os.close(watched)
