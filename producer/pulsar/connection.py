"""Connecting to Pulsar as the environment says; no secret is ever on a command line or in a message.

``PULSAR_SERVICE_URL``            ``pulsar://HOST:PORT``, or ``pulsar+ssl://HOST:PORT`` for TLS
``PULSAR_TLS_TRUST_CERTS_FILE``   certificates of the authorities that are trusted (PEM)
``PULSAR_TLS_VALIDATE_HOSTNAME``  ``false`` to accept a certificate of another host
``PULSAR_TOKEN_FILE``             a file with a token (or the token itself in ``PULSAR_TOKEN``)
``PULSAR_TLS_CERT_FILE``, ``PULSAR_TLS_KEY_FILE``   a client certificate and its key (mutual TLS)
``PULSAR_OAUTH2_ISSUER_URL``, ``PULSAR_OAUTH2_PRIVATE_KEY_FILE``, ``PULSAR_OAUTH2_AUDIENCE``,
``PULSAR_OAUTH2_SCOPE``           client credentials of OAuth 2
"""

from __future__ import annotations

import json
import logging
import os
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pulsar

from producer.pulsar.admin import is_this_machine
from timeline.errors import ServiceError

DEFAULT_URL = "pulsar://localhost:6650"
CONNECT_TIMEOUT_MS = 5_000
OPERATION_TIMEOUT_S = 15
_OAUTH2 = {
    "PULSAR_OAUTH2_ISSUER_URL": "issuer_url",
    "PULSAR_OAUTH2_PRIVATE_KEY_FILE": "private_key",
    "PULSAR_OAUTH2_AUDIENCE": "audience",
    "PULSAR_OAUTH2_SCOPE": "scope",
}
#: What the client's log says of a failed connection, and what to tell a person; the first that fits counts.
_SIGNS = (
    (
        "certificate",
        "its certificate is not trusted, or is one of another host name; check PULSAR_TLS_TRUST_CERTS_FILE "
        "and PULSAR_SERVICE_URL",
    ),
    ("handshake", "the TLS handshake failed; check that the port speaks TLS, and the host name"),
    ("Authentication", "it does not accept who we are; check PULSAR_TOKEN_FILE or what is used instead"),
    ("Connection refused", "connection refused; start one with `timeline broker`, or set PULSAR_SERVICE_URL"),
)


class _Log(logging.Handler):
    """Keeps the last words of the client's own log, which alone say why a connection failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.words = [*self.words[-20:], record.getMessage()]


_log = _Log()


def _logger() -> logging.Logger:
    logger = logging.getLogger("timeline.pulsar")
    logger.propagate = False
    if _log not in logger.handlers:
        logger.addHandler(_log)
    logger.setLevel(logging.WARNING)
    return logger


def service_url() -> str:
    """Where the broker is."""
    return os.environ.get("PULSAR_SERVICE_URL") or DEFAULT_URL


def connect() -> pulsar.Client:
    """A client as the environment says. It connects when it is first used.

    Raises:
        ServiceError: the environment contradicts itself, or names a file that cannot be read.
    """
    url = service_url()
    parts = urlsplit(url)
    if parts.scheme not in ("pulsar", "pulsar+ssl") or not parts.hostname:
        raise ServiceError(
            f"PULSAR_SERVICE_URL must be pulsar://HOST:PORT or pulsar+ssl://HOST:PORT, got {url!r}"
        )
    if parts.username or parts.password:
        raise ServiceError("PULSAR_SERVICE_URL must not carry a secret; set PULSAR_TOKEN_FILE")
    _log.words = []
    return pulsar.Client(
        url,
        authentication=_authentication(
            os.environ, parts.scheme == "pulsar+ssl" or is_this_machine(parts.hostname)
        ),
        operation_timeout_seconds=OPERATION_TIMEOUT_S,
        connection_timeout_ms=CONNECT_TIMEOUT_MS,
        tls_trust_certs_file_path=_file("PULSAR_TLS_TRUST_CERTS_FILE"),
        tls_validate_hostname=os.environ.get("PULSAR_TLS_VALIDATE_HOSTNAME", "true").lower() != "false",
        tls_allow_insecure_connection=False,
        logger=_logger(),
    )


def _authentication(environment: Mapping[str, str], protected: bool) -> Any:
    token = bool(environment.get("PULSAR_TOKEN")) or bool(environment.get("PULSAR_TOKEN_FILE"))
    mutual = bool(environment.get("PULSAR_TLS_CERT_FILE")) or bool(environment.get("PULSAR_TLS_KEY_FILE"))
    oauth2 = {word: environment[name] for name, word in _OAUTH2.items() if environment.get(name)}
    ways = [name for name, used in (("a token", token), ("mutual TLS", mutual), ("OAuth 2", oauth2)) if used]
    if not ways:
        return None
    if len(ways) > 1:
        raise ServiceError(f"the environment names {' and '.join(ways)} for Pulsar; set the variables of one")
    if not protected:
        raise ServiceError(
            f"{ways[0]} would go to {service_url()} in plain text; use pulsar+ssl:// in PULSAR_SERVICE_URL"
        )
    if token:
        path = _file("PULSAR_TOKEN_FILE")
        secret = Path(path).read_text().strip() if path else environment["PULSAR_TOKEN"].strip()
        return pulsar.AuthenticationToken(secret)
    if mutual:
        certificate, key = _file("PULSAR_TLS_CERT_FILE"), _file("PULSAR_TLS_KEY_FILE")
        if certificate is None or key is None:
            raise ServiceError("mutual TLS needs both PULSAR_TLS_CERT_FILE and PULSAR_TLS_KEY_FILE")
        return pulsar.AuthenticationTLS(certificate, key)
    missing = [name for name, word in _OAUTH2.items() if word not in oauth2 and word != "scope"]
    if missing:
        raise ServiceError(f"OAuth 2 for Pulsar needs {', '.join(missing)} too")
    _file("PULSAR_OAUTH2_PRIVATE_KEY_FILE")
    return pulsar.AuthenticationOauth2(json.dumps({"type": "client_credentials"} | oauth2))


def _file(variable: str) -> str | None:
    path = os.environ.get(variable)
    if not path:
        return None
    try:
        with Path(path).open("rb"):
            return path
    except OSError as error:
        raise ServiceError(f"{variable} names {path}, which cannot be read: {error.strerror}") from None


def failure(error: Exception, what: str = "Pulsar") -> ServiceError:
    """Says why Pulsar did not answer, in a person's words and without secrets.

    >>> str(failure(pulsar.Timeout("timeout")))[:24]
    'no Pulsar broker answers'
    """
    words = " ".join([*_log.words, type(error).__name__, str(error)])
    for sign, text in _SIGNS:
        if sign in words:
            return ServiceError(f"no Pulsar broker answers at {service_url()}: {text}")
    tls = service_url().startswith("pulsar+ssl://")
    speaks = _speaks_tls()
    if speaks is None:
        text = "nothing listens there; start one with `timeline broker`, or set PULSAR_SERVICE_URL"
    elif speaks and not tls:
        text = "it speaks TLS; use pulsar+ssl:// in PULSAR_SERVICE_URL"
    elif tls and not speaks:
        text = "it does not speak TLS; use the port that does in PULSAR_SERVICE_URL"
    else:
        # The client tries again and again when it is not let in, and in the end says only that time is up.
        text = (
            f"{what} failed ({type(error).__name__}); it may not accept who we are: check PULSAR_TOKEN_FILE "
            "or what else says so"
        )
    return ServiceError(f"no Pulsar broker answers at {service_url()}: {text}")


def _speaks_tls() -> bool | None:
    """Whether the broker's port speaks TLS, whatever its certificate; ``None`` if nothing listens."""
    parts = urlsplit(service_url())
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 6650), timeout=3) as probe:
            try:
                context.wrap_socket(probe, server_hostname=parts.hostname).close()
            except OSError:
                return False
            return True
    except OSError:
        return None
