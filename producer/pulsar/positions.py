"""Places in a topic: Pulsar's ids as positions, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pulsar

from timeline.tables.events import Position
from timeline.values.vocabulary import I64


def place_of(message_id: Any) -> Position:
    """What an id of Pulsar's says: ledger, entry, batch index."""
    return message_id.ledger_id(), message_id.entry_id(), max(0, message_id.batch_index())


def columns_of(ids: Sequence[Any]) -> I64:
    """The places (n, 3) of many ids of one kind, without a tuple for each."""
    count = len(ids)
    kind = type(ids[0])
    parts = (kind.ledger_id, kind.entry_id, kind.batch_index)
    places = np.stack([np.fromiter(map(part, ids), np.int64, count) for part in parts], axis=1)
    np.maximum(places[:, 2], 0, out=places[:, 2])
    return places


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
