"""Topics of Apache Pulsar as sources."""

from feeder.sources.pulsar.source import PulsarConnector, connect

__all__ = ["PulsarConnector", "connect"]
