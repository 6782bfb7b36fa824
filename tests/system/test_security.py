"""The edges refuse what they must, say why, and never say a secret."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from feeder.broker import Broker, missing
from tests.support.certificates import Authority, Pair, token
from tests.support.cli import Cli
from tests.support.servers import Server

SECRET = b"0123456789abcdef0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A broker that speaks TLS on one port, and wants a token or a client's certificate on both."""

    plain: str
    tls: str
    authority: Path
    token: str
    client: Pair
    folder: Path


@pytest.fixture(scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    if (reason := missing()) is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("guarded")
    authority = Authority(folder, "authority")
    server = authority.issue("server", "localhost")
    client = authority.issue("client")
    (folder / "secret").write_bytes(SECRET)
    provider = "org.apache.pulsar.broker.authentication.AuthenticationProvider"
    settings = {
        "tlsCertificateFilePath": str(server.certificate),
        "tlsKeyFilePath": str(server.key),
        "tlsTrustCertsFilePath": str(authority.certificate),
        "authenticationEnabled": "true",
        "authenticationProviders": f"{provider}Token,{provider}Tls",
        "tokenSecretKey": f"file://{folder / 'secret'}",
        "brokerClientAuthenticationPlugin": "org.apache.pulsar.client.impl.auth.AuthenticationToken",
        "brokerClientAuthenticationParameters": f"token:{token(SECRET, 'broker')}",
    }
    admin = token(SECRET, "admin")
    async with Broker(folder / "pulsar", settings=settings, tls_port=0, token=admin) as broker:
        url = f"pulsar+ssl://localhost:{broker.tls_port}"
        good = token(SECRET, "somebody")
        yield Guarded(broker.service_url, url, authority.certificate, good, client, folder)


def produce(cli: Cli, guarded: Guarded, wanted: bool, **environment: str | Path) -> str:
    """What `timeline produce` says: its output if it must succeed, else its error."""
    here = {name: str(value) for name, value in environment.items()}
    cli.environment = {k: v for k, v in cli.environment.items() if not k.startswith("PULSAR_")} | here
    arguments = ("produce", "--to", "t", "--events", "3", "--flat-out")
    done = cli.run(*arguments)
    said = done.stdout + done.stderr
    for secret in (guarded.token, guarded.token.rsplit(".", 1)[1], "wrong-secret"):
        assert secret not in said
    assert done.returncode == (0 if wanted else 2), said
    return said


async def test_pulsar_with_token_over_tls(guarded: Guarded, local_cli: Cli) -> None:
    token_file = guarded.folder / "token"
    token_file.write_text(guarded.token + "\n")
    tls: dict[str, str | Path] = {
        "PULSAR_SERVICE_URL": guarded.tls,
        "PULSAR_TLS_TRUST_CERTS_FILE": guarded.authority,
    }

    def run() -> None:
        right = produce(local_cli, guarded, True, **tls, PULSAR_TOKEN_FILE=token_file)
        assert "sent 3 messages" in right
        mutual: dict[str, str | Path] = {
            "PULSAR_TLS_CERT_FILE": guarded.client.certificate,
            "PULSAR_TLS_KEY_FILE": guarded.client.key,
        }
        assert "sent 3 messages" in produce(local_cli, guarded, True, **tls, **mutual)
        wrong = produce(local_cli, guarded, False, **tls, PULSAR_TOKEN=token(b"wrong-secret" * 4, "somebody"))
        assert "accept who we are" in wrong
        nobody = produce(local_cli, guarded, False, **tls)
        assert "accept who we are" in nobody

    await asyncio.to_thread(run)


async def test_pulsar_refuses_what_it_cannot_trust(guarded: Guarded, local_cli: Cli) -> None:
    other = Authority(guarded.folder / "other", "other")
    by_address = guarded.tls.replace("localhost", "127.0.0.1")

    def run() -> None:
        untrusted = produce(
            local_cli,
            guarded,
            False,
            PULSAR_SERVICE_URL=guarded.tls,
            PULSAR_TLS_TRUST_CERTS_FILE=other.certificate,
            PULSAR_TOKEN=guarded.token,
        )
        assert "its certificate is not trusted" in untrusted
        another_host = produce(
            local_cli,
            guarded,
            False,
            PULSAR_SERVICE_URL=by_address,
            PULSAR_TLS_TRUST_CERTS_FILE=guarded.authority,
            PULSAR_TOKEN=guarded.token,
        )
        assert "or is one of another host name" in another_host
        plain_text = produce(
            local_cli,
            guarded,
            False,
            PULSAR_SERVICE_URL=guarded.tls.replace("pulsar+ssl", "pulsar"),
            PULSAR_TOKEN=guarded.token,
        )
        assert "it speaks TLS; use pulsar+ssl:// in PULSAR_SERVICE_URL" in plain_text

    await asyncio.to_thread(run)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PULSAR_SERVICE_URL": "localhost:6650"}, "PULSAR_SERVICE_URL must be pulsar://HOST:PORT"),
        ({"PULSAR_SERVICE_URL": "pulsar://a:wrong-secret@b"}, "must not carry a secret"),
        (
            {"PULSAR_SERVICE_URL": "pulsar://broker.example:6650", "PULSAR_TOKEN": "wrong-secret"},
            "a token would go to pulsar://broker.example:6650 in plain text; use pulsar+ssl://",
        ),
        ({"PULSAR_TOKEN_FILE": "nowhere"}, "PULSAR_TOKEN_FILE names nowhere, which cannot be read"),
        (
            {"PULSAR_TOKEN": "wrong-secret", "PULSAR_TLS_CERT_FILE": "c"},
            "names a token and mutual TLS for Pulsar; set the variables of one",
        ),
        (
            {"PULSAR_OAUTH2_ISSUER_URL": "https://i"},
            "needs PULSAR_OAUTH2_PRIVATE_KEY_FILE, PULSAR_OAUTH2_AUDIENCE too",
        ),
    ],
)
def test_an_environment_that_cannot_be_meant(
    local_cli: Cli, environment: dict[str, str], message: str
) -> None:
    local_cli.environment |= environment
    error = local_cli.bad("produce", "--to", "t", "--events", "1")
    assert message in error
    assert "wrong-secret" not in error


@contextlib.asynccontextmanager
async def tls_in_front_of(port: int, server: Pair, clients: Path | None) -> AsyncIterator[int]:
    """A port that speaks TLS and passes all on; with ``clients`` it wants to see certificates."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server.certificate, server.key)
    context.set_alpn_protocols(["h2"])
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                while data := await source.read(65_536):
                    target.write(data)
                    await target.drain()
            target.close()

        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    front = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context)
    try:
        yield front.sockets[0].getsockname()[1]
    finally:
        front.close()


async def test_temporal_over_tls(server: Server, timelines: object, local_cli: Cli, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    other = Authority(tmp_path / "other", "other")
    pair, client = authority.issue("server", "localhost"), authority.issue("client")
    async with tls_in_front_of(server.port, pair, authority.certificate) as port:
        base = {
            "TEMPORAL_ADDRESS": f"localhost:{port}",
            "TEMPORAL_TLS": "true",
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(authority.certificate),
        }
        mutual = {
            "TEMPORAL_TLS_CLIENT_CERT_PATH": str(client.certificate),
            "TEMPORAL_TLS_CLIENT_KEY_PATH": str(client.key),
        }
        local_cli.environment |= base | mutual
        await asyncio.to_thread(local_cli.good, "list")
        local_cli.environment |= {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(other.certificate)}
        untrusted = await asyncio.to_thread(local_cli.bad, "list")
        assert f"no Temporal server answers at localhost:{port}" in untrusted
        local_cli.environment |= base
        for name in mutual:
            del local_cli.environment[name]
        unknown = await asyncio.to_thread(local_cli.bad, "list")
        assert f"no Temporal server answers at localhost:{port}" in unknown
        for name in [name for name in local_cli.environment if name.startswith("TEMPORAL_TLS")]:
            del local_cli.environment[name]
        plain_text = await asyncio.to_thread(local_cli.bad, "list")
        assert f"no Temporal server answers at localhost:{port}" in plain_text
        local_cli.environment |= {"TEMPORAL_API_KEY": "wrong-secret"}
        keyed = await asyncio.to_thread(local_cli.bad, "list")
        assert "wrong-secret" not in keyed
