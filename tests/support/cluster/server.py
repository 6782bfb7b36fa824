"""Hosts of a real Temporal cluster, each a process of the server with all its services."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import yaml
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from tests.support.cluster.binaries import folder, install
from tests.support.cluster.ports import stable_port
from tests.support.cluster.postgres import Postgres, server_environment
from tests.support.places import ROOT
from workflows.child import Child
from workflows.connection import connect_embedded

START_TIMEOUT = 240.0
#: One a host; all hosts of a cluster have the same ports, at addresses of their own.
ADDRESSES = ("127.0.0.1", "127.0.0.2")
SERVICES = ("FRONTEND", "HISTORY", "MATCHING", "WORKER")
#: As compose has it.
SHARDS = int(server_environment()["NUM_HISTORY_SHARDS"])
RETENTION = timedelta(days=1)


class RealServer(Child):
    """A host of a cluster on a database of a PostgreSQL; ``async with`` starts it and stops it.

    ``options`` are those of the dev server's command line; of them the dynamic configuration counts,
    beside ``deploy/temporal.yaml``. Further hosts of the cluster come by `beside`. Log and configuration
    go into a folder.
    """

    def __init__(
        self,
        postgres: Postgres,
        database: str,
        folder: Path,
        *,
        port: int = 0,
        shards: int = SHARDS,
        options: Sequence[str] = (),
    ) -> None:
        self._postgres = postgres
        self._database = database
        self._folder = folder
        self._shards = shards
        self._options = options
        self.port = port or stable_port(*ADDRESSES)
        taken = {f"{service}_GRPC_PORT": str(stable_port(*ADDRESSES)) for service in SERVICES}
        taken |= {f"{service}_MEMBERSHIP_PORT": str(stable_port(*ADDRESSES)) for service in SERVICES}
        taken["FRONTEND_HTTP_PORT"] = str(stable_port(*ADDRESSES))
        self._ports = taken | {"FRONTEND_GRPC_PORT": str(self.port)}
        self._place(0)

    def _place(self, number: int) -> None:
        self._host = ADDRESSES[number]
        name = "the Temporal server" if number == 0 else f"host {number + 1} of the Temporal server"
        super().__init__(name, log=self._folder / f"temporal-{number + 1}.log", grace=30.0)

    @property
    def address(self) -> str:
        return f"{self._host}:{self.port}"

    def beside(self) -> RealServer:
        """A second host of the same cluster; not started."""
        other = RealServer(
            self._postgres,
            self._database,
            self._folder,
            port=self.port,
            shards=self._shards,
            options=self._options,
        )
        other._ports = self._ports
        other._place(1)
        return other

    async def start(self) -> Client:
        """Starts the server, and PostgreSQL and a database if they are not there, and waits until it answers.

        Raises:
            ServiceError: it is not built, ended at once or does not answer; with its last words.
        """
        if not self._postgres.running:
            await self._postgres.start()
        self._folder.mkdir(parents=True, exist_ok=True)
        await self._make_database()
        return await self._run(self._database)

    async def _run(self, database: str) -> Client:
        command = [str(await asyncio.to_thread(install) / "server"), "--allow-no-auth", "start"]
        await self.spawn(command, environment=self._environment(database), folder=folder())
        return await self.ready(self._client, START_TIMEOUT)

    async def _make_database(self) -> None:
        """As a copy of one with tables and namespace: a server learns of a new namespace by and by, and
        until then say that it is not there."""
        postgres, template = self._postgres, f"template_{self._shards}"
        here = await asyncio.to_thread(postgres.databases)
        if self._database in here:
            return
        if template not in here:
            await asyncio.to_thread(postgres.make, template)
            await self._run(template)
            await self.stop()
            await asyncio.to_thread(postgres.sql, "delete from cluster_membership", template)
        await asyncio.to_thread(postgres.copy, template, self._database)

    def _environment(self, database: str) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
        where = {
            "POSTGRES_SEEDS": "127.0.0.1",
            "DB_PORT": str(self._postgres.port),
            "POSTGRES_USER": self._postgres.user,
            "POSTGRES_PWD": self._postgres.password,
            "DBNAME": database,
            "VISIBILITY_DBNAME": f"{database}_visibility",
            "BIND_ON_IP": self._host,
            "TEMPORAL_BROADCAST_ADDRESS": self._host,
            "NUM_HISTORY_SHARDS": str(self._shards),
            "DYNAMIC_CONFIG_FILE_PATH": str(self._dynamic()),
        }
        return clean | server_environment() | where | self._ports

    def _dynamic(self) -> Path:
        """The dynamic configuration of the deployment, and the options' over it."""
        told = yaml.safe_load((ROOT / "deploy" / "temporal.yaml").read_text())
        for option in self._options:
            name, sign, value = option.partition("=")
            if sign:
                told[name] = [{"value": json.loads(value)}]
        path = self._folder / "dynamic.yaml"
        path.write_text(yaml.safe_dump(told))
        return path

    async def _client(self) -> Client | None:
        try:
            client = await connect_embedded(self.address)
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=client.namespace)
            )
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                await self._make_namespace(client)
            return None
        except RuntimeError:
            return None
        return client

    async def _make_namespace(self, client: Client) -> None:
        keep = Duration()
        keep.FromTimedelta(RETENTION)
        request = RegisterNamespaceRequest(
            namespace=client.namespace, workflow_execution_retention_period=keep
        )
        try:
            await client.workflow_service.register_namespace(request)
        except RPCError as error:
            if error.status != RPCStatusCode.ALREADY_EXISTS:
                raise
