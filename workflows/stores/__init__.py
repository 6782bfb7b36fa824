"""Stores of carried states that are too large for a message: what one is, and which there are."""

from __future__ import annotations

from workflows.stores.opening import with_store
from workflows.stores.store import Store, Stored

__all__ = ["Store", "Stored", "with_store"]
