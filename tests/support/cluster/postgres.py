"""PostgreSQL, as Debian has it, for as long as a test or a benchmark runs."""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.cluster.binaries import POSTGRES, compose_service, install, postgres_folder
from tests.support.cluster.ports import stable_port
from timeline.errors import ServiceError
from workflows.child import Child

START_TIMEOUT = 120.0
#: How often it is started after it was killed: its processes have its memory for a moment longer than it.
STARTS = 20
#: As whom it runs where we are root, which it refuses to be.
USERS = ("postgres", "nobody")
#: The parts of Temporal's database, and which of its schemas each has.
PARTS = {"": "temporal", "_visibility": "visibility"}


class Postgres(Child):
    """A PostgreSQL of our own on an empty folder, which is deleted by `remove`; ``async with`` does both.

    One that is not ``durable`` does not sync to disk: it loses nothing when it is killed, but would if the
    machine went down.
    """

    def __init__(self, *, durable: bool = True) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="timeline-postgres-"))
        super().__init__("PostgreSQL", log=self.folder / "postgres.log", grace=20.0)
        self.port = stable_port()
        self.user = "temporal"
        self.password = secrets.token_hex(16)
        self._durable = durable
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            self._as_user = _as_user(self.folder)

    async def start(self) -> None:
        """Starts it, and waits until it answers.

        Raises:
            ServiceError: it is not here, ended at once or does not answer; with its last words.
        """
        if not (self.folder / "data").exists():
            await asyncio.to_thread(self._initialize)
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "300",
            "fsync": "on" if self._durable else "off",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [*self._as_user, str(_program("postgres")), "-D", str(self.folder / "data"), *settings]
        for number in range(STARTS):
            await self.spawn(command, folder=self.folder)
            try:
                await self.ready(self._answers, START_TIMEOUT)
                return
            except ServiceError:
                if number + 1 == STARTS:
                    raise
                await asyncio.sleep(0.2)

    async def stop(self, *, kill: bool = False) -> None:
        if self.running and not kill:
            # SIGTERM waits for all who are connected; this one does not.
            os.kill(self.pid, signal.SIGINT)
        await super().stop(kill=kill)

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()
        self.remove()

    def remove(self) -> None:
        """Ends it, if it runs, and deletes its folder."""
        if self.running:
            os.kill(self.pid, signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def databases(self) -> list[str]:
        """The names of those that there are. Blocks."""
        return self.sql("select datname from pg_database").split()

    def make(self, name: str) -> None:
        """Makes a database for Temporal, by its tool and in the steps of docker-compose.yml, and one for its
        visibility. Blocks.

        Raises:
            ServiceError: it cannot be made.
        """
        where = ["--plugin", "postgres12", "--ep", "127.0.0.1", "--port", str(self.port), "--user", self.user]
        environment = os.environ | {"SQL_PASSWORD": self.password}
        for part, schema in PARTS.items():
            for step in (
                ["create"],
                ["setup-schema", "--version", "0.0"],
                ["update-schema", "--schema-name", f"postgresql/v12/{schema}"],
            ):
                _run([str(install() / "sql"), *where, "--db", name + part, *step], environment)

    def copy(self, template: str, name: str) -> None:
        """Makes a database and that of its visibility as others are, to which nobody is connected. Blocks."""
        for part in PARTS:
            self.sql(f'create database "{name}{part}" template "{template}{part}"')
            # The version of the tables is kept under the database's name.
            self.sql(f"update schema_version set db_name = '{name}{part}'", name + part)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Runs a statement; its rows as lines. Blocks.

        Raises:
            ServiceError: it fails.
        """
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", self.user, "-d", database]
        command = [str(_program("psql")), "-XqAt", "-v", "ON_ERROR_STOP=1", *where, "-c", statement]
        return _run(command, os.environ | {"PGPASSWORD": self.password})

    def _initialize(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        shutil.chown(secret, self.folder.owner())
        how = ["--auth=scram-sha-256", f"--username={self.user}", f"--pwfile={secret}", "--no-sync"]
        how += ["--encoding=UTF8", "--no-locale"]
        _run([*self._as_user, str(_program("initdb")), "-D", str(self.folder / "data"), *how], os.environ)
        secret.unlink()

    async def _answers(self) -> bool:
        command = [str(_program("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        asking = await asyncio.create_subprocess_exec(*command)
        return await asking.wait() == 0


def server_environment() -> dict[str, str]:
    """What docker-compose.yml tells the server, but for what it takes from the environment."""
    told: dict[str, object] = compose_service("temporal")["environment"]
    return {name: str(value) for name, value in told.items() if "$" not in str(value)}


def _program(name: str) -> Path:
    folder = postgres_folder()
    if folder is None:
        raise ServiceError(f"no PostgreSQL; {POSTGRES}")
    return folder / name


def _as_user(folder: Path) -> list[str]:
    """How to run something as another user than root, whose the folder becomes; it ends with us."""
    for name in USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        who = [f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
        return ["setpriv", *who, "--pdeathsig", "QUIT", "--"]
    raise ServiceError(f"PostgreSQL does not run as root, and there is no user {' or '.join(USERS)}")


def _run(command: Sequence[str], environment: os._Environ[str] | dict[str, str]) -> str:
    done = subprocess.run(
        command, env=dict(environment), cwd="/", capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = (done.stdout + done.stderr).strip()[-800:]
        raise ServiceError(f"{Path(command[0]).name} {command[-1]!r} failed:\n{words}")
    return done.stdout
