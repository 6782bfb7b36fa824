"""Connecting to Temporal as its own environment configuration says (``temporalio.envconfig``)."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from timeline.errors import ServiceError
from workflows.names import DEFAULT_TASK_QUEUE
from workflows.payloads import encryption
from workflows.payloads.codec import data_converter

CONNECT_TIMEOUT = 5.0


def task_queue() -> str:
    """The task queue of all workflows: ``TIMELINE_TASK_QUEUE``, else ``timeline``."""
    return os.environ.get("TIMELINE_TASK_QUEUE") or DEFAULT_TASK_QUEUE


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


async def connect() -> Client:
    """A client for ``TEMPORAL_ADDRESS``, ``TEMPORAL_NAMESPACE``, ``TEMPORAL_API_KEY``, ``TEMPORAL_TLS_*``
    or the profile ``TEMPORAL_PROFILE`` of ``temporal.toml``.

    Raises:
        ServiceError: the configuration is wrong, or nothing answers there within a few seconds.
    """
    encryption.keys()  # complains now if they are none
    try:
        config = ClientConfig.load_client_connect_config()
    except (RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ServiceError(f"Temporal's configuration cannot be read: {reason}") from None
    target = config.setdefault("target_host", "localhost:7233")
    try:
        return await asyncio.wait_for(
            Client.connect(**config, data_converter=data_converter), CONNECT_TIMEOUT
        )
    except (RuntimeError, ValueError, OSError, TimeoutError, RPCError) as error:
        raise ServiceError(
            f"no Temporal server answers at {target} ({_reason(error)}); "
            "start one with `timeline dev`, or set TEMPORAL_ADDRESS"
        ) from None


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


def no_worker(client: Client) -> ServiceError:
    """What to say when nothing works on the task queue."""
    target = client.service_client.config.target_host
    return ServiceError(
        f"no worker answers on task queue {task_queue()!r} at {target}; "
        "start one with `timeline worker` (`timeline dev` runs one of its own)"
    )
