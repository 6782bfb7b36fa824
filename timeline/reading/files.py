"""Opening files of events, and what their names say about their format."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

from timeline.errors import EventError

JSONL = (".jsonl", ".ndjson", ".json")
CSV = (".csv", ".tsv")
PARQUET = (".parquet", ".pq")


#: What files may be packed by; Parquet packs itself.
PACKED = (".gz", ".zst")
#: Bytes of a line.
MAX_LINE = 16 << 20


def format_of(name: str) -> str:
    """The suffix that decides the format, one of those above.

    Raises:
        EventError: there is no such suffix.

    >>> format_of("a.CSV.gz")
    '.csv'
    """
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    known: tuple[str, ...] = (*JSONL, *CSV, *PARQUET)
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
        known = (*JSONL, *CSV)
    if suffixes and suffixes[-1] in known:
        return suffixes[-1]
    raise EventError(
        f"cannot tell the format of {name} from its suffix; known are "
        f"{', '.join((*JSONL, *CSV, *PARQUET))}, and packed ones such as .jsonl.gz, .csv.zst"
    )


def is_packed(name: str) -> bool:
    """Whether a file's bytes are not what is in it.

    >>> is_packed("a.csv.GZ"), is_packed("a.csv")
    (True, False)
    """
    return name.lower().endswith(PACKED)


def open_file(name: str) -> BinaryIO:
    """The bytes of a file, unpacked if it is a ``.gz`` or ``.zst``.

    Raises:
        EventError: it is absent, a directory or not readable.
    """
    try:
        if name.lower().endswith(".gz"):
            return cast(BinaryIO, gzip.open(name, "rb"))
        if name.lower().endswith(".zst"):
            open(name, "rb").close()  # whose errors say what is wrong
            return _unpacked(name)
        return open(name, "rb")
    except FileNotFoundError:
        raise EventError(f"no such file: {name}; check the path") from None
    except IsADirectoryError:
        raise EventError(f"{name} is a directory; name one file of events in it") from None
    except OSError as error:
        raise EventError(f"cannot read {name}: {error.strerror}; check its permissions") from None


def _unpacked(name: str) -> BinaryIO:
    """What zstd packed; one that breaks off is damaged, as with gzip."""
    import pyarrow  # which takes 0.1 s to import

    raw: Any = pyarrow.input_stream(name, compression="zstd")
    return cast(BinaryIO, io.BufferedReader(raw, 1 << 17))


def read_chunk(stream: BinaryIO, size: int, name: str) -> bytes:
    """The next ``size`` bytes, fewer only at the end.

    Raises:
        EventError: the file is damaged.
    """
    try:
        return stream.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(name, error) from None


def damaged(name: str, error: Exception) -> EventError:
    """What to say of a file that breaks off or makes no sense."""
    return EventError(f"cannot read {name}: {error}; is the file whole?")


def read_lines(stream: BinaryIO, size: int, name: str) -> bytes:
    """The next ``size`` bytes and what is missing of the line that they end in; fewer only at the end.

    Raises:
        EventError: the file is damaged, or a line is too long.
    """
    chunk = read_chunk(stream, size, name)
    if not chunk or chunk.endswith(b"\n"):
        return chunk
    try:
        rest = stream.readline(MAX_LINE)
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(name, error) from None
    if len(rest) == MAX_LINE and not rest.endswith(b"\n"):
        raise too_long(name)
    return chunk + rest


def too_long(name: str) -> EventError:
    """A line that is none: what is read as text is something else, or made to fill the memory."""
    return EventError(f"cannot read {name}: it has a line of more than {MAX_LINE} bytes; is it text?")
