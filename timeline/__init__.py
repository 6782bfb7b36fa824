"""Timeline: durable time-state analytics on Temporal and Apache Pulsar.

The public API of the pure part: expressions (text or builder), specs, reading events, evaluation.
``__init__.pyi`` lists it; a name is imported when it is first used, so that a command pays only for what it
needs. An operator that is not in the list (yet) is there all the same.

>>> import timeline as tl
>>> str(tl.duration_where(tl.latest_event_to_state("state") == "buffer"))
'duration_where(latest_event_to_state(state) == "buffer")'
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import lazy_loader

_listed, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name.startswith("_") or name in __all__:
        return _listed(name)
    try:
        return getattr(import_module("timeline.language.calls"), name)
    except AttributeError:
        raise AttributeError(f"module 'timeline' has no attribute {name!r}") from None
