"""Which file is which: by what is in it from the start, whatever its name and whether it is packed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from timeline.errors import EventError
from timeline.reading import count_lines
from timeline.reading.files import CSV, PARQUET, format_of, is_packed, open_file, read_chunk, read_lines
from workflows.protocol import Segment

#: A first line is looked at up to here.
HEAD_BYTES = 65_536
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Known:
    """The first ``lines`` of a file are those of another that was fed; ``whole``: it has no more."""

    path: str
    like: str
    lines: int
    whole: bool

    def __str__(self) -> str:
        if self.whole:
            what = f"holds nothing but what {self.like} begins with"
        else:
            what = f"begins with {self.lines} lines of {self.like}"
        return f"{self.path} {what}, which was fed before; --again feeds it all the same"


def describe_file(path: str | Path, now: int | None = None) -> Segment:
    """A file as the log knows it, up to its last line now, which is ``now`` (ms) by the feeder's clock.

    Raises:
        EventError: it cannot be read.
    """
    return _described(path, now, ())[0]


def describe_files(
    paths: Sequence[str | Path], log: Sequence[Segment], now: int, *, again: bool = False
) -> tuple[list[Segment], list[Known]]:
    """Files as a log is to have them, from behind what it has under another name; and which those are.

    Raises:
        EventError: one cannot be read.
    """
    described: list[Segment] = []
    found = []
    for path in paths:
        known_parts = [*log, *described]
        segment, digests = _described(path, now, known_parts)
        if again:
            segment["again"] = True
        elif (known := _best(segment, digests, known_parts)) is not None:
            segment["after"] = known.lines
            found.append(known)
        described.append(segment)
    return described, found


def fingerprint_of(path: Path) -> str:
    """Of the bytes that a file begins with, so that one which grows stays the same file."""
    with path.open("rb") as file:
        # A CSV file's first line is its header, which says little about what it holds.
        head = file.readline(HEAD_BYTES) + file.readline(HEAD_BYTES) if path.suffix in CSV else b""
        head = head or file.readline(HEAD_BYTES)
    # A first line that was written without its end gets it when the file grows.
    return hashlib.sha256(head.rstrip(b"\r\n")).hexdigest()[:16]


def contents(
    path: str | Path, at: Collection[int] = (), stop: int | None = None
) -> tuple[int, dict[int, str]]:
    """How many lines (rows) a file has, unpacked, or ``stop``; and digests of its first lines: of those
    numbers that it has so many of, and of all.

    Of Parquet there is but one, of the file: it never grows.
    """
    name = str(path)
    if format_of(name) in PARQUET:
        rows = count_lines(name)
        return rows, {rows: _digest_of(name)}
    digest = hashlib.sha256(b"csv" if format_of(name) in CSV else b"json")
    digests: dict[int, str] = {}
    wanted = sorted({*at, *([] if stop is None else [stop])})
    lines, rest = 0, b""
    with open_file(name) as stream:
        while chunk := read_lines(stream, CHUNK_BYTES, name):
            end = chunk.rfind(b"\n") + 1
            upto, place, rest = lines + chunk.count(b"\n", 0, end), 0, chunk[end:]
            if here := [number for number in wanted if lines < number <= upto]:
                newlines = np.flatnonzero(np.frombuffer(chunk, np.uint8) == 10)
                for number in here:
                    behind = int(newlines[number - lines - 1]) + 1
                    digest.update(chunk[place:behind])
                    digests[number], place = digest.hexdigest()[:16], behind
            if stop is not None and upto >= stop:
                return stop, digests
            digest.update(chunk[place:end])
            lines = upto
    if rest.strip():
        # As it will be when the line has got its end.
        digest.update(rest + b"\n")
        lines += 1
    digests[lines] = digest.hexdigest()[:16]
    return lines, digests


def _digest_of(name: str) -> str:
    digest = hashlib.sha256(b"parquet")
    with open_file(name) as stream:
        while chunk := read_chunk(stream, CHUNK_BYTES, name):
            digest.update(chunk)
    return digest.hexdigest()[:16]


def _described(path: str | Path, now: int | None, log: Iterable[Segment]) -> tuple[Segment, dict[int, str]]:
    path = Path(path).resolve()
    if (name := str(path).encode(errors="replace").decode()) != str(path):
        raise EventError(f"{name}: the name of a file is remembered, and so must be UTF-8 text; rename it")
    head = _head_of(path)
    last, digests = contents(path, {part["last"] for part in log if _may_begin(part, head)})
    segment = Segment(path=str(path), fingerprint=fingerprint_of(path), after=0, last=last)
    segment["head"], segment["content"] = head, digests[last]
    if now is not None:
        segment["now"] = now
    return segment, digests


def _head_of(path: Path) -> str:
    """The fingerprint that a file has, or would have if it were not packed."""
    if not is_packed(path.name):
        return fingerprint_of(path)
    with open_file(str(path)) as stream:
        head = read_chunk(stream, HEAD_BYTES, str(path)).split(b"\n")
    count = 2 if format_of(str(path)) in CSV else 1
    return hashlib.sha256(b"\n".join(head[:count]).rstrip(b"\r\n")).hexdigest()[:16]


def _may_begin(part: Segment, head: str) -> bool:
    """Whether what a log has of a file may be what one with that head begins with."""
    packed = is_packed(part["path"])
    # What was packed and fed before heads were noted may have any.
    return part.get("head", head if packed else part["fingerprint"]) == head


def _best(file: Segment, digests: dict[int, str], log: Sequence[Segment]) -> Known | None:
    """The longest beginning of a file that a log has under another name, if it has less under this one."""
    name = file["path"], file["fingerprint"]
    most = max((part["last"] for part in log if (part["path"], part["fingerprint"]) == name), default=0)
    best: Known | None = None
    for part in log:
        lines = min(part["last"], file["last"])
        other = (part["path"], part["fingerprint"]) != name
        if other and lines > most and _may_begin(part, file["head"]) and _alike(digests, part, lines):
            most = lines
            best = Known(file["path"], part["path"], lines, lines == file["last"])
    return best


def _alike(digests: dict[int, str], part: Segment, lines: int) -> bool:
    """Whether a file with these digests begins with the first ``lines`` of another."""
    if lines == part["last"] and "content" in part:
        return digests.get(lines) == part["content"]
    # More was fed of the other than this one has, or nobody noted what it was: then it is looked up.
    path = Path(part["path"])
    if not path.exists() or fingerprint_of(path) != part["fingerprint"]:
        return False
    return contents(path, stop=lines)[1].get(lines, "") == digests.get(lines)
