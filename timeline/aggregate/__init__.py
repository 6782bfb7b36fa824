"""Questions over all keys of a result, as it is at one position of each stream.

A `Request` is asked of every stream's result node by `partial`, where the keys are; `merge` makes one
`Result` of what they answer. Work and answers are columns: there is no loop over keys.
"""

from __future__ import annotations

from timeline.aggregate.functions import Aggregate
from timeline.aggregate.merging import merge
from timeline.aggregate.parts import Partial
from timeline.aggregate.request import Request, needs_span
from timeline.aggregate.result import Result
from timeline.aggregate.stream import partial, span
from timeline.plan import kinds_of

__all__ = ["Aggregate", "Partial", "Request", "Result", "kinds_of", "merge", "needs_span", "partial", "span"]
