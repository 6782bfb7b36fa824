"""Feeding from a broker, whichever that is: see `feeder.sources.base`."""

from feeder.topics.service import Feeder

__all__ = ["Feeder"]
