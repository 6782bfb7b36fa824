"""The Temporal server that tests run on: the dev server, or with ``TIMELINE_TEST_SERVER=real`` a real one."""

from __future__ import annotations

import atexit
import hashlib
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

from tests.support.cluster.postgres import Postgres
from tests.support.cluster.server import RealServer
from workflows.server import DevServer

Server: TypeAlias = DevServer | RealServer
#: History shards of a real server in tests; few, which start sooner.
SHARDS = 4


def is_real() -> bool:
    """Whether tests are to run on a real server."""
    return os.environ.get("TIMELINE_TEST_SERVER") == "real"


def make_server(database: Path, *, port: int = 0, options: Sequence[str] = ()) -> Server:
    """A server that keeps what it knows under this name, also when another one is made for it."""
    if not is_real():
        return DevServer(database, port=port, options=options)
    name = "t" + hashlib.sha256(str(database.absolute()).encode()).hexdigest()[:16]
    folder = database.with_suffix(".server")
    return RealServer(shared_postgres(), name, folder, port=port, shards=SHARDS, options=options)


@cache
def shared_postgres() -> Postgres:
    """One for all servers of this process; whoever needs it first starts it."""
    postgres = Postgres(durable=False)
    atexit.register(postgres.remove)
    return postgres
