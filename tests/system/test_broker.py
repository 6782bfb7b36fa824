"""The broker that tests and demonstrations use: a real one, whose topics survive a kill."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import subprocess
import time
from pathlib import Path

import pulsar
import pytest

from feeder.broker import Broker, cache_folder, install, missing
from producer.pulsar.connection import connect
from producer.pulsar.topics import partitions
from tests.support.cli import PATIENCE, Cli, stop, wait_for_line
from timeline.errors import ServiceError

needs_java = pytest.mark.skipif(missing() is not None, reason=missing() or "")


SECRET = b"a secret key of this test only.."


def token(role: str) -> str:
    """A JSON web token, which the broker takes as proof of the role."""

    def encoded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    text = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256"}, {"sub": role}))
    return f"{text}.{encoded(hmac.new(SECRET, text.encode(), hashlib.sha256).digest())}"


def certified(folder: Path) -> tuple[Path, Path]:
    """A new key of 127.0.0.1 with its certificate (PKCS 12), and the certificate alone (PEM)."""
    store, certificate = folder / "broker.p12", folder / "broker.pem"
    keytool = ["keytool", "-keystore", str(store), "-storepass", "not-secret", "-alias", "broker"]
    pair = ["-genkeypair", "-keyalg", "RSA", "-dname", "CN=127.0.0.1", "-ext", "SAN=ip:127.0.0.1"]
    for step in (pair, ["-exportcert", "-rfc", "-file", str(certificate)]):
        subprocess.run([*keytool, *step], check=True, capture_output=True)
    return store, certificate


def first_message(url: str, topic: str) -> bytes:
    client = pulsar.Client(url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    reader = client.create_reader(topic, pulsar.MessageId.earliest)
    data: bytes = reader.read_next(timeout_millis=PATIENCE * 1_000).data()
    client.close()
    return data


@needs_java
async def test_topics_survive_a_kill(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "pulsar")
    await broker.start()
    try:

        def send() -> None:
            client = pulsar.Client(broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
            client.create_producer("kept").send(b"still here")
            client.close()

        await asyncio.to_thread(send)
        await broker.stop(kill=True)
        await broker.start()
        assert await asyncio.to_thread(first_message, broker.service_url, "kept") == b"still here"
    finally:
        await broker.stop(kill=True)


async def test_partitioned_topics(broker: Broker) -> None:
    name = f"four-{time.time_ns()}"
    await broker.create_topic(name, 4)
    client = await asyncio.to_thread(connect)
    try:
        assert await asyncio.to_thread(partitions, client, name) == 4
        assert await asyncio.to_thread(partitions, client, f"other-{name}") == 0
    finally:
        await asyncio.to_thread(client.close)
    with pytest.raises(ServiceError, match="could not be made"):
        await broker.create_topic(name, 4)


@needs_java
async def test_a_broker_that_ends_says_why(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "pulsar", settings={"managedLedgerDefaultEnsembleSize": "many"})
    with pytest.raises(ServiceError, match=r"ended at once; see .*broker\.log"):
        await broker.start()


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(ServiceError, match=f"port {taken} is taken"):
            await Broker(tmp_path, web_port=taken).start()


@needs_java
async def test_tls_and_tokens(tmp_path: Path) -> None:
    store, certificate = await asyncio.to_thread(certified, tmp_path)
    plugin = "org.apache.pulsar.client.impl.auth.AuthenticationToken"
    settings = {
        "tlsEnabledWithKeyStore": "true",
        "tlsKeyStoreType": "PKCS12",
        "tlsKeyStore": str(store),
        "tlsKeyStorePassword": "not-secret",
        "authenticationEnabled": "true",
        "authorizationEnabled": "true",
        "superUserRoles": "admin",
        "authenticationProviders": "org.apache.pulsar.broker.authentication.AuthenticationProviderToken",
        "tokenSecretKey": "data:;base64," + base64.b64encode(SECRET).decode(),
        "brokerClientAuthenticationPlugin": plugin,
        "brokerClientAuthenticationParameters": f"token:{token('admin')}",
    }
    async with Broker(tmp_path / "pulsar", tls_port=0, settings=settings, token=token("admin")) as broker:
        await broker.create_topic("guarded", 2)

        def topics(role: str) -> list[str]:
            client = pulsar.Client(
                broker.tls_url,
                authentication=pulsar.AuthenticationToken(token(role)),
                tls_trust_certs_file_path=str(certificate),
                tls_validate_hostname=True,
                logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error),
            )
            try:
                names: list[str] = client.get_topic_partitions("guarded")
                return names
            finally:
                client.close()

        assert len(await asyncio.to_thread(topics, "admin")) == 2
        with pytest.raises(pulsar.AuthorizationError):
            await asyncio.to_thread(topics, "somebody")
        broker.token = None
        with pytest.raises(ServiceError, match="401"):
            await broker.create_topic("more", 2)


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("java", "maven", "message"),
    [
        (None, None, "needs Java 17 or newer, and there is none; on Debian .* openjdk-17-jre-headless maven"),
        ("1.8.0_412", None, 'needs Java 17 or newer, got openjdk version "1.8.0_412"; on Debian'),
        ("21.0.2", None, "Maven, which fetches the Pulsar broker, is not here; on Debian"),
        ("21.0.2", "no route to host", "(?s)could not fetch the Pulsar broker.*no route to host"),
    ],
)
def test_what_is_missing_is_named(
    java: str | None, maven: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    if java is not None:
        program(programs / "java", f"echo 'openjdk version \"{java}\"' >&2")
    if maven is not None:
        program(programs / "mvn", f"echo '{maven}'; exit 1")
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ServiceError, match=message):
        install()
    # Nothing half done is taken for a broker the next time.
    assert not cache_folder().exists()
    assert cache_folder().is_relative_to(tmp_path)


async def test_a_broker_that_registers_over_and_over_is_started_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    said = "ResourceLockImpl@338] - Successfully re-acquired lock at /ledgers/available/127.0.0.1:3181"
    words = "\n".join([said] * 10)
    program(
        programs / "java",
        f"""case "$1" in
-version) echo 'openjdk version "21.0.2"' >&2 ;;
*) echo started >> {tmp_path}/starts; echo '{words}'; exec sleep 600 ;;
esac""",
    )
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache_folder().mkdir(parents=True)
    broker = Broker(tmp_path / "pulsar")
    with pytest.raises(ServiceError, match="does not come up after it was killed; start it once more"):
        await broker.start()
    assert (tmp_path / "starts").read_text().split() == ["started"] * 5
    assert not broker.running


@needs_java
def test_command(local_cli: Cli) -> None:
    process = local_cli.start("broker", "--port", "0", "--web-port", "0", "--data", "topics")
    line = wait_for_line(process, "For other commands: export PULSAR_SERVICE_URL=")
    url = line.partition("=")[2].strip()
    client = pulsar.Client(url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    client.create_producer("t").send(b"x")
    client.close()
    assert stop(process) == 0
