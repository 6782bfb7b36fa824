"""Connecting to Temporal as its own environment configuration says (``temporalio.envconfig``)."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeAlias

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from timeline.errors import ServiceError, UnavailableError
from workflows.frontends import Frontends, hosts_of
from workflows.names import DEFAULT_DEPLOYMENT, DEFAULT_TASK_QUEUE
from workflows.patience import Patience
from workflows.payloads import encryption
from workflows.payloads.codec import data_converter
from workflows.traces import interceptors

CONNECT_TIMEOUT = 5.0
#: The SDK's client, for those who may not know the SDK.
TemporalClient: TypeAlias = Client


def task_queue() -> str:
    """The task queue of all workflows: ``TIMELINE_TASK_QUEUE``, else ``timeline``."""
    return os.environ.get("TIMELINE_TASK_QUEUE") or DEFAULT_TASK_QUEUE


def deployment() -> str:
    """What all builds of the workers are builds of: ``TIMELINE_DEPLOYMENT``, else ``timeline``."""
    return os.environ.get("TIMELINE_DEPLOYMENT") or DEFAULT_DEPLOYMENT


async def connect_embedded(address: str) -> Client:
    """A client for a dev server of our own, whatever the environment says of another.

    Raises:
        RuntimeError: nothing answers there (yet).
    """
    return await Client.connect(address, data_converter=data_converter)


def _reason(error: BaseException) -> str:
    """The SDK's account of a failed connection in a few words: it prints the structs of its core."""
    text = str(error).lower()
    for sign in ("connection refused", "dns error", "certificate", "timed out"):
        if sign in text:
            return sign
    return "no answer in time" if isinstance(error, TimeoutError) else text.split("(")[0][:80].strip(" :")


#: Signs in the SDK's account of a failed connection that no waiting helps.
_LASTING = (
    "certificate",
    "permissiondenied",
    "unauthenticated",
    "invalidargument",
    "notfound",
    "invalid uri",
)


async def connect(patience: Patience | None = None) -> Client:
    """A client for ``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``, ``TEMPORAL_API_KEY``, ``TEMPORAL_TLS_*``
    or the profile ``TEMPORAL_PROFILE`` of ``temporal.toml``. Of several addresses, with commas between, it
    takes one that answers, and another when that one goes.

    Raises:
        ServiceError: the configuration is wrong; `UnavailableError` if nothing answers there within a few
            seconds, and again until ``patience`` is over.
    """
    encryption.keys()  # complains now if they are none
    watching = interceptors()
    try:
        config = ClientConfig.load_client_connect_config()
    except (RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ServiceError(f"Temporal's configuration cannot be read: {reason}") from None
    target = config.setdefault("target_host", "localhost:7233")
    hosts = hosts_of(target)
    if len(hosts) > 1:
        config["target_host"] = _relay(tuple(hosts))
        if config.get("tls"):
            config["tls"] = _named(config["tls"], hosts[0])

    async def attempt() -> Client:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await Client.connect(**config, data_converter=data_converter, interceptors=watching)
        except (RuntimeError, ValueError, OSError, TimeoutError, RPCError) as error:
            text = str(error).lower().replace(" ", "")
            kind = ServiceError if any(sign in text for sign in _LASTING) else UnavailableError
            raise kind(
                f"no Temporal server answers at {target} ({_reason(error)}); "
                "start one with `timeline dev`, or set TEMPORAL_ADDRESS"
            ) from None

    return await (patience or Patience()).ask(attempt)


@lru_cache
def _relay(hosts: tuple[str, ...]) -> str:
    return Frontends(hosts).address


def _named(tls: bool | TLSConfig, host: str) -> TLSConfig:
    """TLS that expects the certificate of a host, and not of where the bytes go first."""
    given = tls if isinstance(tls, TLSConfig) else TLSConfig()
    return dataclasses.replace(given, domain=given.domain or host.rpartition(":")[0])


async def namespace_is_there(client: Client) -> None:
    """Looks whether the server knows the namespace, as a worker does before it polls.

    Raises:
        ServiceError: it does not; `UnavailableError` if it does not say.
    """
    try:
        request = DescribeNamespaceRequest(namespace=client.namespace)
        await client.workflow_service.describe_namespace(request, timeout=timedelta(seconds=5))
    except RPCError as error:
        lasting = (RPCStatusCode.NOT_FOUND, RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)
        kind = ServiceError if error.status in lasting else UnavailableError
        target = client.service_client.config.target_host
        raise kind(f"no worker can run at {target}: {error.message}") from None


async def trouble(client: Client) -> str | None:
    """Why Temporal cannot be worked with at the moment; ``None``: it answers."""
    target = client.service_client.config.target_host
    try:
        healthy = await client.service_client.check_health(timeout=timedelta(seconds=2))
    except (RPCError, RuntimeError) as error:
        return f"Temporal does not answer at {target} ({_reason(error)})"
    return None if healthy else f"Temporal at {target} is not ready"


async def worker_is_there(client: Client) -> bool:
    """Whether a worker has polled the task queue within the last minute."""
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue()),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        ),
        timeout=timedelta(seconds=5),
    )
    now = datetime.now(UTC)
    # A worker polls anew at least once a minute; the server remembers dead ones for longer.
    return any(
        now - poller.last_access_time.ToDatetime(UTC) < timedelta(seconds=70) for poller in answer.pollers
    )


def no_worker(client: Client) -> UnavailableError:
    """What to say when nothing works on the task queue."""
    target = client.service_client.config.target_host
    return UnavailableError(
        f"no worker answers on task queue {task_queue()!r} at {target}; "
        "start one with `timeline worker` (`timeline dev` runs one of its own)"
    )
