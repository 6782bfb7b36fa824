"""A real Pulsar broker without docker: the official server's own jars from Maven, as a child process."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import urllib.error
from collections.abc import Callable, Mapping
from pathlib import Path

from producer.pulsar.admin import Admin
from timeline.errors import ServiceError
from workflows.child import Child, free_port, port_is_free
from workflows.disk import private_folder, private_open

VERSION = "4.0.7"
START_TIMEOUT = 240.0
INSTALL = "on Debian and Ubuntu: apt-get install openjdk-17-jre-headless maven"
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>timeline</groupId><artifactId>broker</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>org.apache.pulsar</groupId><artifactId>pulsar-broker</artifactId><version>{VERSION}</version>
  </dependency></dependencies>
</project>
"""
#: What a standalone broker on one small machine needs: one copy of everything, and little memory.
_SETTINGS = {
    "clusterName": "standalone",
    "bindAddress": "127.0.0.1",
    "advertisedAddress": "127.0.0.1",
    "managedLedgerDefaultEnsembleSize": "1",
    "managedLedgerDefaultWriteQuorum": "1",
    "managedLedgerDefaultAckQuorum": "1",
    "allowLoopback": "true",
    "journalSyncData": "false",
    "functionsWorkerEnabled": "false",
    "loadBalancerEnabled": "false",
    "ledgerStorageClass": "org.apache.bookkeeper.bookie.storage.ldb.DbLedgerStorage",
    "dbStorage_writeCacheMaxSizeMb": "64",
    "dbStorage_readAheadCacheMaxSizeMb": "16",
    "dbStorage_rocksDB_blockCacheSize": "16777216",
    "acknowledgmentAtBatchIndexLevelEnabled": "true",
    # What a timeline has had stays for those that are registered later.
    "defaultRetentionTimeInMinutes": "10080",
    "defaultRetentionSizeInMB": "10240",
}
#: What the log says whenever the storage registers itself anew; and how often that is no accident any more.
_REGISTERED_ANEW = "Successfully re-acquired lock at /ledgers/available/"
_TOO_OFTEN = 10
#: How many starts a broker that was killed gets.
_STARTS = 5
_OPENS = ["java.io", "java.util.zip", "java.nio", "jdk.internal.misc", "sun.net"]
_DRIVERS = "org.apache.pulsar.metadata.bookkeeper.PulsarMetadata"


def cache_folder() -> Path:
    """Where the broker's jars are kept for all of a user's projects."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "timeline" / f"pulsar-{VERSION}"


def missing() -> str | None:
    """What keeps a broker from running here, with what to install; ``None`` if nothing does."""
    java = shutil.which("java")
    if java is None:
        return f"a Pulsar broker needs Java 17 or newer, and there is none; {INSTALL}"
    words = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', words)
    if found is None or int(found[1]) < 17:
        got = words.splitlines()[0] if words else java
        return f"a Pulsar broker needs Java 17 or newer, got {got}; {INSTALL}"
    if not cache_folder().exists() and shutil.which("mvn") is None:
        return f"Maven, which fetches the Pulsar broker, is not here; {INSTALL}"
    return None


def install(say: Callable[[str], None] = lambda _: None) -> Path:
    """The folder with the broker's jars; fetches them (about 235 MB) if they are not there. Blocks.

    Raises:
        ServiceError: Java or Maven is missing, or Maven could not fetch them.
    """
    if (reason := missing()) is not None:
        raise ServiceError(reason)
    folder = cache_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "install.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another process, which is fetching the Pulsar broker")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder
        say(f"fetching the Pulsar {VERSION} broker (235 MB, once) into {folder}")
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:
            (Path(work) / "pom.xml").write_text(_POM)
            goal = ["dependency:copy-dependencies", "-DoutputDirectory=lib", "-DincludeScope=runtime"]
            done = subprocess.run(
                ["mvn", "-q", "-B", *goal], cwd=work, capture_output=True, text=True, check=False
            )
            if done.returncode:
                words = (done.stdout + done.stderr).strip()[-800:]
                raise ServiceError(f"Maven could not fetch the Pulsar broker; is the network there?\n{words}")
            (Path(work) / "lib").rename(folder)
    return folder


class Broker(Child):
    """A standalone broker that keeps its data in a folder; ``async with`` starts it and stops it.

    Ports 0 take free ones, and stay the same when it is started again; without a ``tls_port`` there is
    no TLS. ``settings`` are further lines of its configuration: certificates, who may do what. Where
    those want a token, ``token`` is a superuser's. The log goes into the folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        web_port: int = 0,
        tls_port: int | None = None,
        settings: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> None:
        self.folder = folder.absolute()
        super().__init__("the Pulsar broker", log=self.folder / "broker.log", grace=20.0)
        self.port = port or free_port()
        self.web_port = web_port or free_port()
        self.tls_port = free_port() if tls_port == 0 else tls_port
        self.settings = dict(settings or {})
        self.token = token

    @property
    def service_url(self) -> str:
        return f"pulsar://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        assert self.tls_port is not None, "without TLS"
        return f"pulsar+ssl://127.0.0.1:{self.tls_port}"

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def admin(self) -> Admin:
        return Admin(self.web_url, self.token)

    async def start(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Starts the broker, and waits until topics can be written and read; 6 to 15 s.

        Raises:
            ServiceError: it cannot run here, ended at once or does not answer; with its last words.
        """
        for port in filter(None, (self.port, self.web_port, self.tls_port)):
            if not port_is_free(port):
                raise ServiceError(f"port {port} is taken: a Pulsar broker may be running; choose another")
        jars = await asyncio.to_thread(install, say)
        config = self._configured()
        for _ in range(_STARTS):
            await self.spawn(self._command(jars, config), folder=self.folder)
            await self.ready(self._answers, START_TIMEOUT)
            if not self._at_odds():
                return
            await self.stop()
        raise self.failure("does not come up after it was killed; start it once more")

    async def create_topic(self, name: str, partitions: int) -> None:
        """Makes a topic with so many partitions in the namespace public/default.

        Raises:
            ServiceError: the broker refuses.
        """
        path = f"persistent/public/default/{name}/partitions"
        try:
            await asyncio.to_thread(self.admin.ask, path, str(partitions).encode(), "PUT")
        except OSError as error:
            raise ServiceError(f"topic {name} could not be made: {error}") from None

    def _configured(self) -> Path:
        """Writes the configuration, which may hold tokens and passwords."""
        private_folder(self.folder)
        config = self.folder / "standalone.conf"
        ports = {"brokerServicePort": str(self.port), "webServicePort": str(self.web_port)}
        if self.tls_port is not None:
            ports["brokerServicePortTls"] = str(self.tls_port)
        lines = [f"{name}={value}" for name, value in (_SETTINGS | ports | self.settings).items()]
        with open(config, "w", opener=private_open) as file:
            file.write("\n".join([*lines, ""]))
        return config

    def _command(self, jars: Path, config: Path) -> list[str]:
        opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENS]
        return [
            *("java", *opens, "--add-opens=java.management/sun.management=ALL-UNNAMED"),
            *("-Xmx512m", "-XX:MaxDirectMemorySize=1g", "-Dio.netty.tryReflectionSetAccessible=true"),
            f"-Dbookkeeper.metadata.bookie.drivers={_DRIVERS}BookieDriver",
            f"-Dbookkeeper.metadata.client.drivers={_DRIVERS}ClientDriver",
            *("-cp", f"{jars}/*", "org.apache.pulsar.PulsarStandaloneStarter"),
            *("--config", str(config), "-nfw", "-nss", "-a", "127.0.0.1"),
            *("--metadata-dir", str(self.folder / "metadata")),
            *("--bookkeeper-dir", str(self.folder / "bookkeeper")),
        ]

    async def _answers(self) -> bool:
        """Whether topics can be used, or it has to be started anew."""
        if self._at_odds():
            return True
        try:
            # The namespace of all topics is the last that it makes at its first start. It answers before it
            # can load topics: to be healthy it writes and reads one, which takes a slow machine long.
            spaces = await asyncio.to_thread(self.admin.ask, "namespaces/public")
            if b"public/default" not in spaces:
                return False
            return await asyncio.to_thread(self.admin.ask, "brokers/health") == b"ok"
        except urllib.error.HTTPError as error:
            return error.code == 401  # it is there, and wants to know who asks
        except OSError:
            return False

    def _at_odds(self) -> bool:
        """Whether its storage registers itself over and over, a thousand times a second.

        The entry of a killed broker is taken away when the next one registers. If that is told a moment late
        (Pulsar 4.0.7), the storage takes it for the loss of its own entry, which it makes anew by taking it
        away, which is told again, and so on. Stopped in order it leaves no entry.
        """
        return self._said().count(_REGISTERED_ANEW) >= _TOO_OFTEN
