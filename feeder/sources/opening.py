"""Which broker a topic is on: each broker is a folder beside this file, whose face has ``connect()``.

The scheme of a topic's name is the folder: ``NAME://...``. Any other topic is Pulsar's.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

from feeder.sources.base import Connector, Source
from timeline.errors import NotFoundError
from timeline.spec.spec import Spec

DEFAULT = "pulsar"


class Brokers:
    """All brokers as one: a `Connector` that asks the one that a topic is on, opened when first needed."""

    def __init__(self) -> None:
        self._open = {DEFAULT: _connect(DEFAULT)}

    @property
    def where(self) -> str:
        return ", ".join(connector.where for connector in self._open.values())

    def source(self, spec: Spec) -> Source:
        if spec.source.topic is None:
            raise NotFoundError(f"timeline {spec.name!r} has no topic; give source.topic in its spec")
        name = broker_of(spec.source.topic)
        if name not in self._open:
            self._open[name] = _connect(name)
        return self._open[name].source(spec)

    def close(self) -> None:
        for connector in self._open.values():
            connector.close()


def connect() -> Connector:
    """All brokers, as the environment says where they are. They are connected to when first used.

    Raises:
        ServiceError: the environment contradicts itself.
    """
    return Brokers()


def broker_of(topic: str) -> str:
    """The folder of the broker that a topic is on.

    >>> broker_of("plays"), broker_of("persistent://acme/video/plays")
    ('pulsar', 'pulsar')
    """
    folders = {module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.ispkg}
    scheme, found, _ = topic.partition("://")
    return scheme if found and scheme in folders else DEFAULT


def _connect(name: str) -> Connector:
    connector: Connector = import_module(f"feeder.sources.{name}").connect()
    return connector
