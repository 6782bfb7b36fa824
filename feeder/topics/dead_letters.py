"""Which messages become dead letters, and why; where they are put is the source's business."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from feeder.sources.base import LetterBox, Source
from feeder.topics.batches import MessageBatch

_REASONS = {
    "late": "older than allowed_lateness permits",
    "closed": "older than the newest event of its stream by more than key_ttl, its key closed or unknown",
}


def put_rejected(box: LetterBox, batch: MessageBatch) -> Counter[str]:
    """Puts the messages of a batch that are no events, or too far ahead. How many were which."""
    kinds: Counter[str] = Counter()
    for rejected in batch.rejected:
        kind = "ahead" if rejected.ahead else "broken"
        box.put(batch.messages[rejected.line], kind, rejected.reason)
        kinds[kind] += 1
    return kinds


def put_refused(box: LetterBox, batch: MessageBatch, refused: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """Puts the messages whose events a leaf refused, found by their positions. How many were which."""
    if not refused:
        return Counter()
    index = {tuple(place): i for i, place in enumerate(batch.position.tolist())}
    found = [(index[p], r["reason"]) for r in refused if (p := tuple(r["position"])) in index]
    for i, kind in found:
        box.put(batch.messages[i], kind, _REASONS[kind])
    return Counter(kind for _, kind in found)


def count_by_kind(source: Source) -> Counter[str]:
    """How many dead letters of each kind a source has. Blocks."""
    return Counter(letter.kind for letter in source.letters())
