"""Builds of the workers (`timeline worker --build-id`): which is the current one, and which runs are whose.

A run stays with workers of the build that began it. What begins, begins with the current build; so an upgrade
is to make another build the current one, and to have all workflows begin a new run.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import TypeVar

from temporalio.api.enums.v1 import VersioningBehavior
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from timeline.errors import NotFoundError, ServiceError, UnavailableError
from workflows.backoff import until
from workflows.client.asking import PASSING, Asking
from workflows.client.registry import Registry
from workflows.connection import deployment
from workflows.names import REGISTRY_ID, merged_id, sink_id
from workflows.protocol.node import RENEW
from workflows.protocol.registry import streams_of_source

T = TypeVar("T")

#: Workers that were started without a build.
UNVERSIONED = None
#: Workflows that are asked at once; seconds between two looks at those that have not moved.
AT_ONCE = 100
PAUSE, LONGEST_PAUSE = 0.2, 2.0
TIMEOUT = timedelta(seconds=10)
#: How long (s) the server may take to know of a worker that has begun.
SEEN = 5.0


class Builds:
    """The builds of one deployment (`workflows.connection.deployment`).

    Every method raises `ServiceError` if the server refuses or does not answer.
    """

    def __init__(self, asking: Asking, registry: Registry) -> None:
        self.asking = asking
        self.registry = registry

    async def current(self) -> str | None:
        """The current build; `UNVERSIONED` if that is none."""
        temporal = self.asking.temporal
        request = DescribeWorkerDeploymentRequest(namespace=temporal.namespace, deployment_name=deployment())

        async def attempt() -> str | None:
            try:
                answer = await temporal.workflow_service.describe_worker_deployment(request, timeout=TIMEOUT)
            except RPCError as error:
                if error.status == RPCStatusCode.NOT_FOUND:
                    return UNVERSIONED
                raise self._refusal(error) from None
            routing = answer.worker_deployment_info.routing_config
            return routing.current_deployment_version.build_id or UNVERSIONED

        return await self.asking.patience.ask(attempt)

    async def make_current(self, build: str | None) -> None:
        """Has all that begins from now on begin with a build, once a worker of it is there.

        Raises:
            UnavailableError: there is none.
        """
        temporal = self.asking.temporal
        request = SetWorkerDeploymentCurrentVersionRequest(
            namespace=temporal.namespace,
            deployment_name=deployment(),
            build_id=build or "",
            identity=temporal.identity,
        )

        async def made() -> bool:
            try:
                await temporal.workflow_service.set_worker_deployment_current_version(
                    request, timeout=TIMEOUT
                )
            except RPCError as error:
                if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION):
                    return build is UNVERSIONED and await self.current() is UNVERSIONED
                raise self._refusal(error) from None
            return True

        async def attempt() -> None:
            try:
                await until(made, within=SEEN)
            except TimeoutError:
                raise UnavailableError(
                    f"no worker of {_named(build)} has been seen (deployment {deployment()!r}); "
                    f"start one with `timeline worker{_option(build)}`"
                ) from None

        await self.asking.patience.ask(attempt)

    async def running(self) -> dict[str, str | None]:
        """Whose the runs of all workflows are: the registry's, nodes' and sinks', by id."""
        try:
            ids = await self._ids()
        except NotFoundError:
            return {}
        found = await self._builds([REGISTRY_ID, *ids])
        return {i: build for i, (_, build) in found.items()}

    async def move(
        self, build: str | None, within: float, on_progress: Callable[[int, int], None] = lambda _, __: None
    ) -> dict[str, str | None]:
        """Has every workflow that is not a build's, the current one, begin a new run: the registry first, as
        what it starts is of its build. Returns those that have not within so many seconds, and whose they
        are: they are at something that does not end.

        ``on_progress`` is told how many have moved, and of how many.
        """
        end = asyncio.get_running_loop().time() + within

        def left() -> float:
            return max(end - asyncio.get_running_loop().time(), 0.0)

        try:
            await self.asking.describe(REGISTRY_ID)
        except NotFoundError:
            return {}
        if late := await self._moved([REGISTRY_ID], build, left(), lambda _, __: None):
            return late
        return await self._moved(await self._ids(), build, left(), on_progress)

    async def _moved(
        self,
        ids: Iterable[str],
        build: str | None,
        within: float,
        on_progress: Callable[[int, int], None],
    ) -> dict[str, str | None]:
        every = list(ids)
        late: dict[str, str | None] = dict.fromkeys(every)
        nudged: dict[str, str] = {}

        async def all_have() -> bool:
            nonlocal late
            found = await self._builds(late)
            late = {i: of for i, (_, of) in found.items() if of != build}
            # Once a run: the next one may have begun with the old build, if it began too soon.
            new = [i for i in late if nudged.get(i) != found[i][0]]
            await self._all(new, self._nudge)
            nudged.update((i, found[i][0]) for i in new)
            on_progress(len(every) - len(late), len(every))
            return not late

        with contextlib.suppress(TimeoutError):
            await until(all_have, within, PAUSE, LONGEST_PAUSE)
        return late

    async def _nudge(self, workflow_id: str) -> None:
        try:
            await self.asking.signal(workflow_id, RENEW)
        except NotFoundError:
            return  # It has ended meanwhile, and does not come again.

    async def _ids(self) -> list[str]:
        """The ids of all nodes and sinks."""
        users, specs, topics = await asyncio.gather(
            self.registry.users(), self.registry.specs(), self.registry.topics()
        )
        sinks = [
            sink_id(spec, sink, stream)
            for spec in specs.values()
            for sink in spec.sinks
            for stream in streams_of_source(spec, topics)
        ]
        merged = [merged_id(spec, sink) for spec in specs.values() for sink in spec.sinks if sink.merged]
        return [*users, *sinks, *merged]

    async def _builds(self, ids: Iterable[str]) -> dict[str, tuple[str, str | None]]:
        """The run of each workflow, and whose it is; without those that have ended."""

        async def one(workflow_id: str) -> tuple[str, str, str | None] | None:
            try:
                described = await self.asking.describe(workflow_id)
            except NotFoundError:
                return None
            if described.close_time is not None:
                return None
            info = described.raw_description.workflow_execution_info.versioning_info
            pinned = info.behavior != VersioningBehavior.VERSIONING_BEHAVIOR_UNSPECIFIED
            build = info.deployment_version.build_id if pinned else UNVERSIONED
            return workflow_id, described.run_id, build

        found = await self._all(ids, one)
        return {i: (run, build) for i, run, build in filter(None, found)}

    async def _all(self, ids: Iterable[str], work: Callable[[str], Awaitable[T]]) -> list[T]:
        """What some work gives for each of many workflows, not too many at once."""
        free = asyncio.Semaphore(AT_ONCE)

        async def one(workflow_id: str) -> T:
            async with free:
                return await work(workflow_id)

        return await asyncio.gather(*map(one, ids))

    def _refusal(self, error: RPCError) -> ServiceError:
        target = self.asking.temporal.service_client.config.target_host
        kind = UnavailableError if error.status in PASSING else ServiceError
        return kind(f"Temporal at {target} refused: {error.message}")


def _named(build: str | None) -> str:
    return "no build" if build is UNVERSIONED else f"build {build!r}"


def _option(build: str | None) -> str:
    return "" if build is UNVERSIONED else f" --build-id {build}"
