"""Buckets of S3 and GCS as stores, by the SDK's own drivers; each needs an optional library."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from temporalio.contrib.aws.s3driver import S3StorageDriver, S3StorageDriverClient
from temporalio.contrib.gcp.gcsdriver import GCSStorageDriver, GCSStorageDriverClient

from timeline.errors import StoreError
from workflows.stores.pieces import PieceDriver
from workflows.stores.store import Store, Stored

#: How both drivers name what belongs to a workflow.
_OWNED = re.compile(r"v0/ns/[^/]+/wt/[^/]+/wi/([^/]+)/ri/([^/]+)/d/sha256/[0-9a-f]{64}")


def _place(workflow_id: str, run_id: str, digest: str) -> str:
    """Where a frozen piece is: a name as the drivers give, below which they put nothing."""
    owner = quote(workflow_id, safe="")
    return f"v0/ns/-/wt/-/wi/{owner}/ri/{run_id}/d/sha256/{digest}"


def _missing(url: str, extra: str) -> StoreError:
    return StoreError(
        f'the store {url} needs a library that is not installed; pip install "timeline-analytics[{extra}]"'
    )


def _stored(name: str, modified: datetime, size: int) -> Stored | None:
    """What a sweep must know of an object, if its name says whose it is."""
    owned = _OWNED.fullmatch(name)
    return owned and Stored(name, unquote(owned[1]), owned[2], modified.timestamp(), size)


class _S3Below(S3StorageDriverClient):
    """Puts a prefix before all names: the driver knows none."""

    def __init__(self, client: S3StorageDriverClient, prefix: str) -> None:
        self._client, self._prefix = client, prefix

    async def object_exists(self, *, bucket: str, key: str) -> bool:
        return await self._client.object_exists(bucket=bucket, key=self._prefix + key)

    async def put_object(self, *, bucket: str, key: str, data: bytes) -> None:
        await self._client.put_object(bucket=bucket, key=self._prefix + key, data=data)

    async def get_object(self, *, bucket: str, key: str) -> bytes:
        return await self._client.get_object(bucket=bucket, key=self._prefix + key)


class _GcsBelow(GCSStorageDriverClient):
    """Puts a prefix before all names: the driver knows none."""

    def __init__(self, client: GCSStorageDriverClient, prefix: str) -> None:
        self._client, self._prefix = client, prefix

    async def object_exists(self, *, bucket: str, object_name: str) -> bool:
        return await self._client.object_exists(bucket=bucket, object_name=self._prefix + object_name)

    async def put_object(self, *, bucket: str, object_name: str, data: bytes) -> None:
        await self._client.put_object(bucket=bucket, object_name=self._prefix + object_name, data=data)

    async def get_object(self, *, bucket: str, object_name: str) -> bytes:
        return await self._client.get_object(bucket=bucket, object_name=self._prefix + object_name)


class _S3Objects:
    """One bucket, for frozen pieces."""

    def __init__(self, client: _S3Below, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    async def exists(self, name: str) -> bool:
        return await self._client.object_exists(bucket=self._bucket, key=name)

    async def put(self, name: str, data: bytes) -> None:
        await self._client.put_object(bucket=self._bucket, key=name, data=data)

    async def get(self, name: str) -> bytes:
        return await self._client.get_object(bucket=self._bucket, key=name)


class _GcsObjects:
    """One bucket, for frozen pieces."""

    def __init__(self, client: _GcsBelow, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    async def exists(self, name: str) -> bool:
        return await self._client.object_exists(bucket=self._bucket, object_name=name)

    async def put(self, name: str, data: bytes) -> None:
        await self._client.put_object(bucket=self._bucket, object_name=name, data=data)

    async def get(self, name: str) -> bytes:
        return await self._client.get_object(bucket=self._bucket, object_name=name)


@asynccontextmanager
async def s3(url: str, bucket: str, prefix: str) -> AsyncIterator[Store]:
    """A bucket of S3; credentials, region and endpoint as boto3 finds them.

    Raises:
        StoreError: aioboto3 is not installed.
    """
    try:
        import aioboto3
        from temporalio.contrib.aws.s3driver.aioboto3 import new_aioboto3_client
    except ImportError:
        raise _missing(url, "s3") from None

    async with aioboto3.Session().client("s3") as client:

        async def stored() -> AsyncIterator[Stored]:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            async for page in pages:
                for found in page.get("Contents", []):
                    name = found["Key"].removeprefix(prefix)
                    if one := _stored(name, found["LastModified"], found["Size"]):
                        yield one

        async def delete(place: str) -> None:
            await client.delete_object(Bucket=bucket, Key=prefix + place)

        below = _S3Below(new_aioboto3_client(client), prefix)
        pieces = PieceDriver(_S3Objects(below, bucket), _place, "key", url)
        yield Store(url, S3StorageDriver(below, bucket), pieces, "key", stored, delete)


@asynccontextmanager
async def gcs(url: str, bucket: str, prefix: str) -> AsyncIterator[Store]:
    """A bucket of GCS; credentials as Google's libraries find them.

    Raises:
        StoreError: gcloud-aio-storage is not installed.
    """
    try:
        from gcloud.aio.storage import Storage
        from temporalio.contrib.gcp.gcsdriver.gcloud_aio import new_gcloud_aio_client
    except ImportError:
        raise _missing(url, "gcs") from None

    async with Storage() as client:

        async def stored() -> AsyncIterator[Stored]:
            ask: dict[str, Any] = {"prefix": prefix}
            while True:
                page = await client.list_objects(bucket, params=ask)
                for found in page.get("items", []):
                    name = found["name"].removeprefix(prefix)
                    modified = datetime.fromisoformat(found["updated"])
                    if one := _stored(name, modified, int(found["size"])):
                        yield one
                if "nextPageToken" not in page:
                    return
                ask["pageToken"] = page["nextPageToken"]

        async def delete(place: str) -> None:
            await client.delete(bucket, prefix + place)

        below = _GcsBelow(new_gcloud_aio_client(client), prefix)
        pieces = PieceDriver(_GcsObjects(below, bucket), _place, "object_name", url)
        yield Store(url, GCSStorageDriver(below, bucket), pieces, "object_name", stored, delete)
