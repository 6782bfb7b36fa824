"""Places in a topic: Pulsar's ids as positions, and back."""

from __future__ import annotations

from typing import Any

import pulsar

from timeline.tables.events import Position


def place_of(message_id: Any) -> Position:
    """What an id of Pulsar's says: ledger, entry, batch index."""
    return message_id.ledger_id(), message_id.entry_id(), max(0, message_id.batch_index())


def id_at(position: Position) -> pulsar.MessageId:
    """The id of the entry that a position is in, from its beginning on."""
    return pulsar.MessageId(-1, position[0], position[1])


def follows(before: Position | None, first: Position) -> bool:
    """Whether a message is sure to be the next one; where a ledger ends the answer is no, too.

    >>> follows((4, 7, 0), (4, 8, 0)), follows((4, 7, 0), (4, 9, 0)), follows((4, 7, 0), (5, 0, 0))
    (True, False, False)
    """
    if before is None or first[0] != before[0]:
        return False
    return first <= before or first in ((*before[:2], before[2] + 1), (before[0], before[1] + 1, 0))
