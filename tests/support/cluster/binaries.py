"""``python -m tests.support.cluster.binaries`` builds the server that docker-compose.yml names, if need be.

With ``--missing`` it builds nothing, and says why tests on it cannot run; it ends with 1 then.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from feeder.broker import cache_folder as broker_folder
from tests.support.go import go_install
from tests.support.places import ROOT
from timeline.errors import ServiceError

MODULE = "go.temporal.io/server"
#: What is installed, and by which name it is run: the server, and the tool that makes its tables.
COMMANDS = {"server": f"{MODULE}/cmd/server", "sql": f"{MODULE}/cmd/tools/sql"}
POSTGRES = "on Debian and Ubuntu: apt-get install postgresql"
#: Set to 1: build the server where it is not there.
WANTED = "TIMELINE_REAL_SERVER"


def compose_service(name: str) -> dict[str, Any]:
    """A service of docker-compose.yml."""
    service: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][name]
    return service


def version() -> str:
    """The version of the server's image: ``1.31.0``, say."""
    image: str = compose_service("temporal")["image"]
    return image.partition("@")[0].rpartition(":")[2]


def folder() -> Path:
    """Where the binaries are, or will be, for all of a user's projects."""
    return broker_folder().with_name(f"temporal-{version()}")


def postgres_folder() -> Path | None:
    """Where the programs of the newest PostgreSQL are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if on_path else None


def missing() -> str | None:
    """Why no real server can run here, and what to do; ``None`` if one can."""
    if postgres_folder() is None:
        return f"a real Temporal server needs PostgreSQL, and there is none; {POSTGRES}"
    if folder().exists():
        return None
    if os.environ.get(WANTED) != "1":
        return f"the Temporal server {version()} is not built here; {WANTED}=1 builds it, in 4 to 10 minutes"
    if shutil.which("go") is None:
        return "to build the Temporal server takes Go, and there is none"
    return None


def install(say: Callable[[str], None] = lambda _: None) -> Path:
    """The folder with the binaries; builds them if they are not there. Blocks.

    Raises:
        ServiceError: something is missing, or Go could not build them.
    """
    if (reason := missing()) is not None:
        raise ServiceError(reason)
    made = folder()
    return go_install(
        made,
        [f"{package}@v{version()}" for package in COMMANDS.values()],
        "the Temporal server",
        lambda: say(f"building the Temporal server {version()} (once, some minutes) into {made}"),
    )


def main() -> int:
    if "--missing" in sys.argv[1:]:
        reason = missing()
        print(reason or f"the Temporal server {version()} is here")
        return int(reason is not None)
    os.environ[WANTED] = "1"
    try:
        print(install(print))
    except ServiceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
