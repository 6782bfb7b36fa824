"""Signals, queries and updates as values: a name, with the kinds of its arguments and of its answer.

Both ends use the same value, so that neither spells a name and a type checker sees both: a workflow binds
its handler to it (``@STATUS.handler``), a client or another workflow sends by it.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from timeline.errors import TimelineError, shortened

P = ParamSpec("P")
A = TypeVar("A")
#: Characters of a refusal.
MAX_TEXT = 2_000
#: The workflow.
W = TypeVar("W")


@dataclass(frozen=True)
class Signal(Generic[P]):
    """What a workflow is told, with arguments ``P``."""

    name: str

    def handler(self, method: Callable[Concatenate[W, P], None]) -> Callable[Concatenate[W, P], None]:
        """Binds the method of a workflow that takes the signal, once `workflows.told` has understood it."""
        method.signal = self.name  # type: ignore[attr-defined]
        return method

    async def tell(self, workflow_id: str, *args: P.args, **_: P.kwargs) -> bool:
        """Sends it from one workflow to another; false if that is gone: one that somebody terminated by hand
        cannot be told anything."""
        try:
            await workflow.get_external_workflow_handle(workflow_id).signal(self.name, args=args)
        except ApplicationError as error:
            workflow.logger.warning("%s to %s not delivered: %s", self.name, workflow_id, error)
            return False
        return True


@dataclass(frozen=True)
class Query(Generic[P, A]):
    """What a workflow is asked, with arguments ``P`` and an answer ``A``; ``slow``: it may take a second."""

    name: str
    slow: bool = False

    def handler(self, method: Callable[Concatenate[W, P], A]) -> Callable[Concatenate[W, P], A]:
        """Binds the method of a workflow that answers the query."""

        @functools.wraps(method)
        def answered(workflow_: W, *args: P.args, **more: P.kwargs) -> A:
            try:
                return method(workflow_, *args, **more)
            except Exception as error:
                # Of a query that fails the server hands on nothing but a message as it is.
                error.is_open = True  # type: ignore[attr-defined]
                raise

        return cast(Callable[Concatenate[W, P], A], workflow.query(name=self.name)(answered))


@dataclass(frozen=True)
class Update(Generic[P, A]):
    """What a workflow is asked to do, with arguments ``P`` and an answer ``A``; ``slow``: it may take
    minutes."""

    name: str
    slow: bool = False

    def handler(
        self, method: Callable[Concatenate[W, P], Awaitable[A]]
    ) -> Callable[Concatenate[W, P], Awaitable[A]]:
        """Binds the method of a workflow that carries the update out. Whatever it raises is the answer: it
        never fails the workflow's task, which would take the workflow away from all others."""

        @functools.wraps(method)
        async def carried_out(workflow_: W, *args: P.args, **more: P.kwargs) -> A:
            try:
                return await method(workflow_, *args, **more)
            except (FailureError, workflow.NondeterminismError, workflow.ReadOnlyContextError):
                raise
            except Exception as error:
                raise refusal(error) from error

        return cast(Callable[Concatenate[W, P], Awaitable[A]], workflow.update(name=self.name)(carried_out))

    def check(
        self, handler: Callable[Concatenate[W, P], Awaitable[A]]
    ) -> Callable[[Callable[Concatenate[W, P], None]], Callable[Concatenate[W, P], None]]:
        """Binds the method that looks at the arguments before the update is accepted: what it raises is
        the reason why it is refused, and nothing has happened then."""

        def bind(method: Callable[Concatenate[W, P], None]) -> Callable[Concatenate[W, P], None]:
            @functools.wraps(method)
            def checked(workflow_: W, *args: P.args, **more: P.kwargs) -> None:
                try:
                    method(workflow_, *args, **more)
                except FailureError:
                    raise
                except Exception as error:
                    raise refusal(error) from None

            cast(Any, handler).validator(checked)
            return method

        return bind


def refusal(error: Exception) -> ApplicationError:
    """An error as the answer to an update; its type is the name of its class."""
    kind = type(error).__name__
    text = str(error) if isinstance(error, TimelineError) else f"{kind}: {error}"
    return ApplicationError(shortened(text, MAX_TEXT), type=kind, non_retryable=True)
