"""One partition of a source as the timelines on it read it: from where it begins for them, as events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from feeder.sources.base import NONE, Cursor, Messages, Partition, Piece, Reading, Source, in_a_row
from feeder.topics.batches import Decoder, decode
from timeline.errors import ServiceError
from timeline.reading.messages import MessageReader
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from timeline.tables.marks import place_of
from timeline.values.ticks import parse_time

#: How long (ms) the next message of a partition that has more is waited for.
PATIENCE_MS = 10_000
#: Messages that are decoded at once.
AT_ONCE = 20_000


def subscription_of(source_id: str) -> str:
    """The subscription of all feeders of a source."""
    return f"timeline-{source_id}"


def feeding(spec: Spec, source: Source) -> list[Reading | None]:
    """Who feeds each partition of a timeline's source, as far as that is known. Blocks."""
    return [one.reading(subscription_of(spec.source_id)) for one in source.partitions()]


class Input:
    """Partition ``number`` of a source; ``begin`` is the position behind which the source begins for its
    timelines, of which ``spec`` is any: key, time, start and limits are the same for all."""

    def __init__(self, partition: Partition, number: int, begin: Position | None, spec: Spec) -> None:
        self.partition = partition
        self.number = number
        self.source_id = spec.source_id
        self.begin = begin
        self.source = spec.source
        self.limits = spec.limits
        #: Whether anything depends on the stream's time, so that marks matter.
        self.heeds_stream = spec.node_limits.heeds_stream
        #: The streams that the partition is divided into.
        self.numbers = range(number * spec.limits.shards, (number + 1) * spec.limits.shards)

    @property
    def name(self) -> str:
        return self.partition.name

    def decoder(self, columns: Iterable[str]) -> Decoder:
        """Makes events of messages."""
        source = self.source
        reader = MessageReader(
            self.name,
            key=source.key,
            time=source.time,
            columns=sorted(columns),
            unit=source.numeric_unit,
            zone=source.timezone,
        )
        return Decoder(reader, self.limits.max_ahead)

    def seek_to_begin(self, cursor: Cursor) -> None:
        """Puts a cursor where the source begins. Blocks."""
        if (time := self._time()) is not None:
            cursor.seek_time(time)
        else:
            cursor.seek(self.begin)

    def read(self, low: Position | None) -> Cursor:
        """A reader of its own for what is behind a position, or for all of the source. Blocks."""
        cursor = self.partition.read(self.begin if low is None else place_of(low))
        if low is None and (time := self._time()) is not None:
            cursor.seek_time(time)
        return cursor

    def newest(self, end: Position) -> tuple[int, int] | None:
        """The newest event of what came last, up to ``end``: its time, and when it was published (ms);
        ``None`` if that is no event. Blocks."""
        cursor = self.partition.read((*end[:-1], end[-1] - 1))
        try:
            messages = NONE
            while not messages or messages.last < end:
                messages = cursor.receive(PATIENCE_MS, AT_ONCE)
                if not messages:
                    return None
            return decode(self.decoder(()), messages)[0].newest
        finally:
            cursor.close()

    def following(self, place: Position) -> Position | None:
        """The first message that there still is behind a position. Blocks."""
        cursor = self.partition.read(place)
        try:
            while cursor.more():
                messages = cursor.receive(PATIENCE_MS, AT_ONCE)
                messages = messages.split(messages.up_to(place))[1]
                if messages:
                    return tuple(messages.position[0].tolist())
            return None
        finally:
            cursor.close()

    def _time(self) -> int | None:
        """When (ms) the first message was published, if the source begins at a time."""
        start = self.source.start
        return parse_time(start) if self.begin is None and start not in ("earliest", "latest") else None


class MessageLog:
    """What is in a partition up to a position, as a `feeder.sources.base.Log`."""

    def __init__(self, source: Input, end: Position | None) -> None:
        self._input = source
        self._end = None if end is None else place_of(end)

    def end(self) -> Position | None:
        return self._end

    def pieces(self, after: Position | None, columns: Sequence[str]) -> Iterator[Piece]:
        low = self._input.begin if after is None else place_of(after)
        if self._end is None or (low is not None and low >= self._end):
            return
        decoder, cursor = self._input.decoder(columns), self._input.read(after)
        try:
            waiting: list[Messages] = []
            place = None
            while place is None or place < self._end:
                messages = cursor.receive(PATIENCE_MS, AT_ONCE)
                if not messages:
                    raise ServiceError(
                        f"{self._input.name} has nothing more behind {place}, and had messages up to "
                        f"{self._end}; were they deleted?"
                    )
                place = messages.last
                if low is not None:
                    messages = messages.split(messages.up_to(low))[1]
                waiting.append(messages.split(messages.up_to(self._end))[0])
                count = sum(map(len, waiting))
                if count and (place >= self._end or count >= AT_ONCE):
                    batch, events = decode(decoder, in_a_row(waiting))
                    yield Piece(events, batch.rejected, batch.last, count)
                    waiting = []
        finally:
            cursor.close()
