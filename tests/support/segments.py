"""A directory of segments as a source: what a broker is to the feeder, in files that a test can look at.

    ROOT/TOPIC/0/00000001.jsonl     partition 0, its first segment: a message a line
    ROOT/TOPIC/0/NAME.offset        up to where the subscription NAME has acknowledged: [segment, line]
    ROOT/TOPIC/SOURCE.dead.jsonl    dead letters of the timelines with that source id

Positions are (segment, line), both from 1. Whoever has the lock of a subscription gets its messages.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from feeder.sources.base import NONE, DeadLetter, Message, Messages, Reading
from timeline.spec.spec import Spec
from timeline.tables.events import Position

#: Lines of a segment: few, so that there are many.
LINES = 50


@dataclass(frozen=True, slots=True)
class SegmentMessage:
    """A line of a segment; ``published`` in ms."""

    position: Position
    key: str
    published: int
    payload: bytes


class SegmentPartition:
    """A folder of segments. ``grown`` is told when one of them does. One that ``forgets`` no longer has
    what was acknowledged."""

    def __init__(
        self, folder: Path, letters: Path, grown: threading.Condition, forgets: bool = False
    ) -> None:
        self.name = f"{folder.parent.name}/{folder.name}"
        self.folder = folder
        self.grown = grown
        self.forgets = forgets
        self._letters = letters

    def append(self, payload: bytes, key: str = "", published: int | None = None) -> None:
        """Adds a message; the next segment begins when one is full."""
        about = {"key": key, "published": int(time.time() * 1_000) if published is None else published}
        with self.grown:
            segment, line = self.end() or (1, 0)
            segment += line == LINES
            with (self.folder / f"{segment:08}.jsonl").open("a") as file:
                file.write(json.dumps(about | {"payload": payload.decode("latin-1")}) + "\n")
            self.grown.notify_all()

    def messages(self, after: Position | None) -> Iterator[SegmentMessage]:
        """All there is behind a position."""
        if self.forgets:
            gone = [tuple(json.loads(path.read_text())) for path in self.folder.glob("*.offset")]
            after = max([*gone, *([] if after is None else [after])], default=None)
        for path in sorted(self.folder.glob("*.jsonl")):
            segment = int(path.stem)
            if after is not None and segment < after[0]:
                continue
            for line, text in enumerate(path.read_text().splitlines(), start=1):
                if after is None or (segment, line) > after:
                    about = json.loads(text)
                    payload = about["payload"].encode("latin-1")
                    yield SegmentMessage((segment, line), about["key"], about["published"], payload)

    def end(self) -> Position | None:
        paths = sorted(self.folder.glob("*.jsonl"))
        return (int(paths[-1].stem), len(paths[-1].read_text().splitlines())) if paths else None

    def follows(self, before: Position | None, first: Position) -> bool:
        return before is not None and before[0] == first[0] and first[1] <= before[1] + 1

    def read(self, after: Position | None) -> SegmentCursor:
        return SegmentCursor(self, after)

    def subscribe(self, name: str, reader: str | None = None) -> SegmentSubscription:
        return SegmentSubscription(self, name)

    def reading(self, name: str) -> Reading | None:
        return None

    def letter_box(self) -> SegmentLetterBox:
        return SegmentLetterBox(self, self._letters)


class SegmentCursor:
    """Reads a partition; ``after`` is what was received last."""

    def __init__(self, partition: SegmentPartition, after: Position | None) -> None:
        self._partition = partition
        self._after = after
        self._waiting: deque[SegmentMessage] = deque()

    def receive(self, patience_ms: int, most: int = 1) -> Messages:
        with self._partition.grown:
            if not self._partition.grown.wait_for(self._any, patience_ms / 1_000):
                return NONE
            count = min(most, len(self._waiting))
            messages = [self._waiting.popleft() for _ in range(count)]
            self._after = messages[-1].position
        places = np.array([message.position for message in messages], np.int64)
        published = np.array([message.published for message in messages], np.int64)
        return Messages(messages, [message.payload for message in messages], places, published)

    def more(self) -> bool:
        with self._partition.grown:
            return self._any()

    def seek(self, after: Position | None) -> None:
        with self._partition.grown:
            self._after = after
            self._waiting.clear()

    def seek_time(self, time: int) -> None:
        before = [m.position for m in self._partition.messages(None) if m.published < time]
        self.seek(before[-1] if before else None)

    def close(self) -> None:
        self._waiting.clear()

    def _any(self) -> bool:
        if not self._waiting:
            self._waiting.extend(self._partition.messages(self._after))
        return bool(self._waiting)


class SegmentSubscription(SegmentCursor):
    """A cursor whose place is kept in a file, for whoever has its lock."""

    def __init__(self, partition: SegmentPartition, name: str) -> None:
        super().__init__(partition, None)
        self._offset = partition.folder / f"{name}.offset"
        self._lock: TextIO = (partition.folder / f"{name}.lock").open("w")
        self._mine = False

    def acknowledge(self, message: Message) -> None:
        self._write(message.position)

    def _write(self, position: Position) -> None:
        place = self._offset.with_suffix(".new")
        place.write_text(json.dumps(position))
        place.replace(self._offset)

    def seek(self, after: Position | None) -> None:
        super().seek(after)
        if after is None:
            self._offset.unlink(missing_ok=True)
        else:
            self._write(after)

    def end(self) -> Position | None:
        return self._partition.end()

    def acknowledged(self) -> Position | None:
        return tuple(json.loads(self._offset.read_text())) if self._offset.exists() else None

    def give_up(self) -> None:
        self._offset.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        super().close()
        self._lock.close()
        with self._partition.grown:
            self._partition.grown.notify_all()

    def _any(self) -> bool:
        if not self._mine:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._mine = True
                if self._after is None and self._offset.exists():
                    self._after = tuple(json.loads(self._offset.read_text()))
        return self._mine and super()._any()


class SegmentLetterBox:
    """Dead letters, a line each; they are written at `flush`."""

    def __init__(self, partition: SegmentPartition, path: Path) -> None:
        self._partition = partition
        self._path = path
        self._lines: list[str] = []

    def put(self, message: Message, kind: str, reason: str) -> None:
        assert isinstance(message, SegmentMessage)
        letter = DeadLetter(
            kind,
            reason,
            self._partition.name,
            int(self._partition.folder.name),
            message.position,
            message.key,
            message.published,
            message.payload,
        )
        self._lines.append(json.dumps(asdict(letter) | {"payload": message.payload.decode("latin-1")}) + "\n")

    def flush(self) -> None:
        with self._path.open("a") as file:
            file.writelines(self._lines)
        self._lines.clear()

    def close(self) -> None:
        pass


class SegmentSource:
    """A topic: a folder of partitions."""

    def __init__(
        self, folder: Path, source_id: str, grown: threading.Condition, forgets: bool = False
    ) -> None:
        self.name = folder.name
        self._forgets = forgets
        self._folder = folder
        self._letters = folder / f"{source_id}.dead.jsonl"
        self._grown = grown

    def partitions(self) -> Sequence[SegmentPartition]:
        folders = sorted(path for path in self._folder.iterdir() if path.is_dir())
        return [SegmentPartition(folder, self._letters, self._grown, self._forgets) for folder in folders]

    def letters(self) -> Iterator[DeadLetter]:
        lines = self._letters.read_text().splitlines() if self._letters.exists() else []
        seen: set[tuple[str, Position]] = set()
        for line in lines:
            about: dict[str, Any] = json.loads(line)
            payload, place = about.pop("payload").encode("latin-1"), tuple(about.pop("position"))
            letter = DeadLetter(payload=payload, position=place, **about)
            if (letter.topic, place) not in seen:
                seen.add((letter.topic, place))
                yield letter

    def send_again(self, kind: str) -> int:
        done = self._letters.with_suffix(f".{kind}-sent")
        before = int(done.read_text()) if done.exists() else 0
        letters = [letter for letter in self.letters() if letter.kind == kind]
        for letter in letters[before:]:
            self.partitions()[letter.partition].append(letter.payload, letter.key)
        done.write_text(str(len(letters)))
        return len(letters) - before


class Segments:
    """All topics under a folder, as a `feeder.sources.base.Connector`."""

    def __init__(self, root: Path, forgets: bool = False) -> None:
        self._root = root
        self._forgets = forgets
        self._grown = threading.Condition(threading.RLock())

    @property
    def where(self) -> str:
        return str(self._root)

    def create(self, topic: str, partitions: int) -> None:
        """Makes an empty topic."""
        for number in range(partitions):
            (self._root / topic / str(number)).mkdir(parents=True)

    def source(self, spec: Spec) -> SegmentSource:
        assert spec.source.topic is not None
        return SegmentSource(self._root / spec.source.topic, spec.source_id, self._grown, self._forgets)

    def close(self) -> None:
        pass
