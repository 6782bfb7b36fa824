"""Where carried states go that are too large for a message: a directory, or a bucket of S3 or GCS.

Temporal's own claim check (``ExternalStorage``): the history holds a reference, a *claim*, and workers
put and fetch what it stands for. Only carried states go out, so that clients need no store.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from timeline.errors import ServiceError, StoreError
from workflows.stores.directory import DirectoryDriver
from workflows.stores.pieces import PieceDriver
from workflows.stores.store import Store, Stored


def store_url(text: str) -> str:
    """A setting of the store in full: a directory's path is made absolute.

    >>> store_url("s3://bucket/prefix/")
    's3://bucket/prefix'

    Raises:
        StoreError: it is none of ``file:PATH``, ``s3://BUCKET/PREFIX`` and ``gs://BUCKET/PREFIX``.
    """
    parts = urlsplit(text)
    if parts.scheme == "file" and not parts.netloc and parts.path:
        return f"file:{Path(text.removeprefix('file://').removeprefix('file:')).absolute()}"
    if parts.scheme in ("s3", "gs") and parts.netloc and not (parts.query or parts.fragment):
        return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    raise StoreError(
        f"a store is file:PATH, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX, got {text!r}; "
        "correct --store or TIMELINE_STORE"
    )


@asynccontextmanager
async def with_store(client: Client, url: str) -> AsyncIterator[tuple[Client, Store]]:
    """The client with a store of states, for a worker; and the store.

    States are kept apart by the id of the namespace, which no two servers have in common: a sweep
    for one of them never meets the states of another.

    Raises:
        StoreError: the setting is wrong, a library is missing, or the directory cannot be made.
        ServiceError: there is no such namespace.
    """
    url = store_url(url)
    try:
        namespace = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace)
        )
    except RPCError as error:
        raise ServiceError(f"the namespace {client.namespace!r} cannot be used: {error.message}") from None
    async with _open(url, namespace.namespace_info.id) as store:
        config = client.config()
        config["data_converter"] = dataclasses.replace(
            client.data_converter, external_storage=store.external_storage()
        )
        yield Client(**config), store


def _open(url: str, folder: str) -> AbstractAsyncContextManager[Store]:
    if url.startswith("file:"):
        return _directory(url, folder)
    # Not at the top: their libraries are optional.
    from workflows.stores.buckets import gcs, s3

    parts = urlsplit(url)
    prefix = "/".join(part for part in (parts.path.strip("/"), folder, "") if part) + "/"
    return (s3 if parts.scheme == "s3" else gcs)(url, parts.netloc, prefix)


@asynccontextmanager
async def _directory(url: str, folder: str) -> AsyncIterator[Store]:
    driver = DirectoryDriver(Path(url.removeprefix("file:")), folder)
    driver.make()

    async def stored() -> AsyncIterator[Stored]:
        for place, workflow_id, run_id, modified, size in driver.list():
            yield Stored(place, workflow_id, run_id, modified, size)

    async def delete(place: str) -> None:
        driver.delete(place)

    yield Store(url, driver, PieceDriver(driver, driver.place, "path", url), "path", stored, delete)
