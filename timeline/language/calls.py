"""Operators as functions of Python, each made from its operator's signature when it is asked for.

``calls.pyi`` has their types; ``python -m tests.support.operator_reference`` writes it anew.

>>> from timeline.language.calls import count, lag
>>> from timeline.language.builder import col
>>> stalls = count(col("state") == "buffer")
>>> print(stalls - lag(stalls, "10m"))
count(state == "buffer") - lag(count(state == "buffer"), 10m)
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping

from timeline.language.builder import Build, call
from timeline.language.signatures import Signature, operator_classes, signatures


def __getattr__(name: str) -> Callable[..., Build]:
    if name.startswith("_") or name not in _functions():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _functions()[name]


def __dir__() -> list[str]:
    return sorted(_functions())


@functools.cache
def _functions() -> Mapping[str, Callable[..., Build]]:
    return {s.python_name: _function(s) for s in signatures() if not s.symbol}


def _function(signature: Signature) -> Callable[..., Build]:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(p.python_name, kind) for p in signature.parameters]
    bound = inspect.Signature(parameters)

    def function(*arguments: object, **named: object) -> Build:
        given = bound.bind(*arguments, **named).args
        return call(signature.name, *given)

    function.__name__ = function.__qualname__ = signature.python_name
    module = sys.modules[operator_classes()[signature.name].__module__]
    function.__doc__ = module.__doc__
    function.__signature__ = bound  # type: ignore[attr-defined]
    return function
