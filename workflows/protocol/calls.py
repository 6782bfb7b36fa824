"""Signals, queries and updates as values: a name, with the kinds of its arguments and of its answer.

Both ends use the same value, so that neither spells a name and a type checker sees both: a workflow binds
its handler to it (``@STATUS.handler``), a client or another workflow sends by it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from temporalio import workflow

P = ParamSpec("P")
A = TypeVar("A")
#: The workflow.
W = TypeVar("W")


@dataclass(frozen=True)
class Signal(Generic[P]):
    """What a workflow is told, with arguments ``P``."""

    name: str

    def handler(self, method: Callable[Concatenate[W, P], None]) -> Callable[Concatenate[W, P], None]:
        """Binds the method of a workflow that takes the signal."""
        return workflow.signal(name=self.name)(method)


@dataclass(frozen=True)
class Query(Generic[P, A]):
    """What a workflow is asked, with arguments ``P`` and an answer ``A``; ``slow``: it may take a second."""

    name: str
    slow: bool = False

    def handler(self, method: Callable[Concatenate[W, P], A]) -> Callable[Concatenate[W, P], A]:
        """Binds the method of a workflow that answers the query."""
        return workflow.query(name=self.name)(method)


@dataclass(frozen=True)
class Update(Generic[P, A]):
    """What a workflow is asked to do, with arguments ``P`` and an answer ``A``; ``slow``: it may take
    minutes."""

    name: str
    slow: bool = False

    def handler(
        self, method: Callable[Concatenate[W, P], Awaitable[A]]
    ) -> Callable[Concatenate[W, P], Awaitable[A]]:
        """Binds the method of a workflow that carries the update out."""
        bound = cast(Callable[[Any], Any], workflow.update(name=self.name))(method)
        return cast(Callable[Concatenate[W, P], Awaitable[A]], bound)
