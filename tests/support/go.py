"""Programs that Go builds from their modules, once, into the user's cache."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from timeline.errors import ServiceError


def go_install(made: Path, packages: Sequence[str], what: str, begin: Callable[[], None]) -> Path:
    """The folder ``made`` with the programs of ``packages``, built if it is not there; ``begin`` is called
    before that. One process builds, others wait for it. Blocks.

    Raises:
        ServiceError: Go could not build ``what``.
    """
    if made.exists():
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    with (made.parent / f"{made.name.partition('-')[0]}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made.exists():
            return made
        begin()
        with tempfile.TemporaryDirectory(dir=made.parent) as work:
            done = subprocess.run(
                ["go", "install", "-trimpath", "-ldflags=-s -w", *packages],
                # Without debugging symbols and C: a third of the size, and no compiler is asked for.
                env=os.environ | {"GOBIN": f"{work}/bin", "CGO_ENABLED": "0"},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                words = done.stderr.strip()[-800:]
                raise ServiceError(f"Go could not build {what}; is the network there?\n{words}")
            (Path(work) / "bin").rename(made)
    return made
