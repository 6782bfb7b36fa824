"""How payloads look on the wire: columnar JSON, compressed, and encrypted if there is a key."""

from __future__ import annotations

from workflows.payloads.codec import TimelineCodec, data_converter, is_state, prepared
from workflows.payloads.encryption import Keys, new_key

__all__ = ["Keys", "TimelineCodec", "data_converter", "is_state", "new_key", "prepared"]
