"""Rows of a sink on their way to a webhook, signed as Standard Webhooks (standardwebhooks.com) says.

A message a row, in order. Its id is made of the row's: a row that is posted again has the same, by which a
receiver knows it.
"""

from __future__ import annotations

import hashlib
import http.client
import ssl
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import orjson

from timeline.errors import ServiceError
from timeline.language.output_names import name_of_time
from timeline.sinks.batches import Batch, Row, Written
from workflows.writing.receivers import PORTS, receiver_of, receivers

#: Seconds that an answer may take, and after which a batch is left for the next try.
ANSWER_TIMEOUT, AT_ONCE = 20.0, 10.0
#: Seconds after which a receiver that asks for more is asked all the same.
LONGEST_WAIT = 300.0
#: Bytes of an answer that are read: nothing of it is used.
MAX_ANSWER = 64 << 10
BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


class WaitError(ServiceError):
    """A receiver that says when to come again, in so many ``seconds``."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(what)
        self.seconds = seconds


class Webhook:
    """A `timeline.sinks.batches.Writer`: posts to a URL that the environment allows, and to no other: what an
    answer says of another place is not heeded, and no proxy is asked.

    Raises:
        ServiceError: it is not allowed.
    """

    def __init__(self, url: str, _: str) -> None:
        self._url = url
        self._receiver = receiver_of(url, receivers())
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._connection = (
            http.client.HTTPSConnection(
                host, port, timeout=ANSWER_TIMEOUT, context=ssl.create_default_context()
            )
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=ANSWER_TIMEOUT)
        )

    def close(self) -> None:
        self._connection.close()

    def write(self, batch: Batch) -> Written:
        """Posts the first rows of a batch, as many as there is time for or as the receiver takes.

        Raises:
            ServiceError: it does not take the first.
        """
        begun, when = time.monotonic(), name_of_time(batch["types"])
        for number, row in enumerate(batch["rows"]):
            try:
                self._post(row, row[when])
            except ServiceError:
                if not number:
                    raise
                return Written(offset=0, exactly_once=None, rows=number)
            if time.monotonic() - begun > AT_ONCE:
                return Written(offset=0, exactly_once=None, rows=number + 1)
        return Written(offset=0, exactly_once=None)

    def _post(self, row: Row, at: int) -> None:
        occurred = (BEGIN + timedelta(milliseconds=at)).isoformat(timespec="milliseconds")
        body = orjson.dumps({"type": "timeline.row", "timestamp": occurred, "data": row})
        # Keys may hold what no header may.
        number = f"row_{hashlib.sha256(row['id'].encode()).hexdigest()}"
        now = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "timeline-analytics",
            "webhook-id": number,
            "webhook-timestamp": str(now),
            "webhook-signature": self._receiver.signatures(number, now, body),
        }
        try:
            self._connection.request("POST", self._path, body, headers)
            answer = self._connection.getresponse()
            status, wait = answer.status, answer.getheader("Retry-After")
            if len(answer.read(MAX_ANSWER)) == MAX_ANSWER:
                self._connection.close()
        except (OSError, http.client.HTTPException) as error:
            # It connects anew with the next row.
            self._connection.close()
            raise ServiceError(f"webhook {self._url} does not answer: {_reason(error)}") from None
        if not 200 <= status < 300:
            # Nothing of the answer is told: it may be of a service that is not for who wrote the spec.
            what = f"webhook {self._url} answers {status} instead of 2xx"
            if (seconds := _seconds(wait)) is not None:
                raise WaitError(what, seconds)
            raise ServiceError(what)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {ANSWER_TIMEOUT:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message})"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def _seconds(text: str | None) -> float | None:
    """How long to wait, of a ``Retry-After``: seconds, or a time."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return min(float(text), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    left = until.timestamp() - time.time()
    return min(max(left, 0.0), LONGEST_WAIT)
