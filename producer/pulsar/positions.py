"""Places in a topic: Pulsar's ids as positions, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pulsar

from timeline.tables.events import Position
from timeline.values.vocabulary import I64

#: The number of the field with a batch's size in the bytes of an id, with the kind of an integer.
BATCH_SIZE_FIELD = 6 << 3


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


def batch_size(message_id: Any) -> int:
    """How many messages are in the batch that one is in; 1 if its id says nothing of that.

    The client has no method for it. But it is in the bytes of an id, as field 6 of a message of Protocol
    Buffers in which all before it are integers too.

    >>> batch_size(pulsar.MessageId(0, 300, 7, 2))
    1
    >>> batch_size(pulsar.MessageId.deserialize(bytes([8, 5, 16, 6, 32, 2, 48, 172, 2])))
    300
    """
    numbers: list[int] = []
    number = shift = 0
    for byte in message_id.serialize():
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
    fields = dict(zip(numbers[::2], numbers[1::2], strict=False))
    return fields.get(BATCH_SIZE_FIELD, 1)


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
