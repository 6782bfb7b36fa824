"""JSON with columns of whole numbers in it, as bytes: text as JSON, columns by pcodec.

    magic (4) | bytes of the text | the same as stored | text, by zstd if that is less | columns | padding

The text is ``[value, [[path, numbers, bytes], ...]]``: where in the value each column belongs (there it
says null), how many numbers it has, and how many bytes; and how many bytes of padding follow, if any do
(`timeline.tables.bounds`). Columns hold differences, or numbers without any
order: so pcodec need not look for an order itself, which would cost two thirds of its time for 1 % fewer
bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import orjson
import zstandard
from pcodec import ChunkConfig, DeltaSpec, ModeSpec, standalone

from timeline.errors import LaterFormError, WireError
from timeline.tables import bounds
from timeline.tables.bounds import Budget
from timeline.values.vocabulary import I64

#: The form that is written, here and nowhere else: 2, or 1 (JSON throughout) for workers of before to
#: read. Both are read always.
FORM = 2
_NAME = b"TLC"
MAGIC = _NAME + b"\x02"
#: A column of fewer numbers is shorter as text: pcodec needs 30 bytes for any.
FEWEST = 64
#: Text below this many bytes is stored as it is.
_SMALL = 256

_LENGTHS = struct.Struct("<II")
_TEXT_AT = len(MAGIC) + _LENGTHS.size
#: Where a column is in a value: names of fields, and places in lists.
Path: TypeAlias = tuple[str | int, ...]


def has_columns(value: Any) -> bool:
    """Whether a value has columns that `to_bytes` writes as such."""
    found: list[tuple[Path, I64]] = []
    _apart(value, (), found)
    return FORM > 1 and bool(found)


def is_ours(data: bytes) -> bool:
    """Whether these bytes are text and columns, of which `from_bytes` says more.

    Raises:
        LaterFormError: they are of a form that is later than this worker.
    """
    if data.startswith(_NAME) and not data.startswith(MAGIC):
        raise LaterFormError(
            f"a value is of form {data[len(_NAME) : len(MAGIC)].hex()}, this version reads 1 and 2; "
            "run a worker of the version that wrote it, or a later one"
        )
    return data.startswith(MAGIC)


def to_bytes(value: Any, level: int = 1, share: float = 1.0) -> bytes:
    """A value that is JSON but for numpy arrays, which may be in dicts, and in lists of arrays or dicts.

    ``level`` is zstd's, for the text. A value without columns becomes text only. What would be too
    short to be read again is made longer; ``share`` is as `timeline.tables.bounds.lacking` has it.

    Raises:
        WireError: there is more than `from_bytes` would take.
    """
    if FORM == 1:
        return zstandard.ZstdCompressor(level).compress(_json(value))
    found: list[tuple[Path, I64]] = []
    text = _apart(value, (), found)
    numbers = sum(len(column) for _, column in found)
    if numbers > bounds.MAX_NUMBERS:
        raise WireError(
            f"a value has more than {bounds.MAX_NUMBERS} numbers in its columns, too many to be read"
        )
    columns = [standalone.simple_compress(column, _config()) for _, column in found]
    data, plain = _packed(text, found, columns, level)
    if short := bounds.lacking(numbers, plain, len(data), share):
        data, plain = _packed(text, found, columns, level, short)
    if len(plain) > bounds.MAX_TEXT:
        raise WireError(f"a value has {len(plain)} bytes of text, at most {bounds.MAX_TEXT} can be read")
    return data


def _packed(
    text: Any, found: Sequence[tuple[Path, I64]], columns: Sequence[bytes], level: int, padding: int = 0
) -> tuple[bytes, bytes]:
    """The bytes of a value, and its text as it is within."""
    index = [(path, len(c), len(data)) for (path, c), data in zip(found, columns, strict=True)]
    plain = _json([text, index, padding] if padding else [text, index])
    stored = plain
    if len(plain) >= _SMALL:
        packed = zstandard.ZstdCompressor(level).compress(plain)
        stored = min(packed, plain, key=len)
    return b"".join((MAGIC, _LENGTHS.pack(len(plain), len(stored)), stored, *columns, bytes(padding))), plain


def from_bytes(data: bytes, budget: Budget | None = None) -> Any:
    """The inverse of `to_bytes`, with columns as int64 arrays; also of form 1, where they are lists.

    Nothing is allocated by a declared length before it is known to be within bounds. What is read is taken
    from the ``budget``; without one from what so many bytes may be.

    Raises:
        WireError: these are no such bytes, or they say of themselves what is not so.
    """
    if not is_ours(data):
        return _loads(_old_text(data))
    budget = budget or Budget.of(len(data))
    if len(data) < _TEXT_AT:
        raise WireError(f"a value of {len(data)} bytes ends within its header")
    plain, stored = _LENGTHS.unpack_from(data, len(MAGIC))
    end = _TEXT_AT + stored
    if end > len(data) or plain > budget.text:
        raise WireError(f"a value of {len(data)} bytes says that it has {plain} bytes of text in {stored}")
    text = data[_TEXT_AT:end]
    if stored != plain:
        text = decompress(text, plain)
    budget.take_text(text)
    parts = _loads(text)
    if len(text) != plain or not isinstance(parts, list) or not 2 <= len(parts) <= 3:
        raise WireError("the text of a value is not what it says it is")
    value, index, padding = parts if len(parts) > 2 else (*parts, 0)
    if type(padding) is not int or not 0 <= padding <= len(data) - end:
        raise WireError("a value does not have the padding that it says it has")
    return _joined(value, index, memoryview(data)[end : len(data) - padding], budget)


def _old_text(data: bytes) -> bytes:
    if bounds.OLD_STATES:
        return decompress(data, bounds.MAX_TEXT)
    budget = Budget.old(len(data))
    try:
        text = decompress(data, budget.text)
        budget.take_text(text)
        if (strings := text.count(b'"') // 2) > (most := Budget.of(len(data)).items):
            raise WireError(f"a text has about {strings} texts in it, at most {most} are read")
    except WireError as error:
        raise WireError(
            f"{error}; if version 0.2 wrote it, start workers with TIMELINE_STATES_OF_0_2=accept until all "
            "runs have continued as new (docs/upgrading.md)"
        ) from None
    return text


def decompress(data: bytes, most: int) -> bytes:
    """What zstd made of at most ``most`` bytes.

    Raises:
        WireError: it is more, it does not say how much, or it is nothing of zstd's.
    """
    try:
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= most:
            raise WireError(f"compressed data say that they are of {size} bytes, at most {most} are taken")
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise WireError(f"{len(data)} bytes cannot be decompressed: {error}") from None


@cache
def _config() -> ChunkConfig:
    # Level 6 of 12: 8 takes a fifth longer for 0.3 % fewer bytes, 4 takes a tenth less for 1 % more.
    return ChunkConfig(compression_level=6, delta_spec=DeltaSpec.no_op(), mode_spec=ModeSpec.classic())


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _loads(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise WireError(f"{len(text)} bytes of text are no JSON: {error}") from None


def _apart(value: Any, path: Path, found: list[tuple[Path, I64]]) -> Any:
    """The value with null for each column, which is added to ``found``."""
    if isinstance(value, np.ndarray):
        if value.ndim != 1 or value.dtype.kind != "i" or len(value) < FEWEST:
            return value
        found.append((path, np.ascontiguousarray(value, np.int64)))
        return None
    if isinstance(value, dict):
        return {name: _apart(part, (*path, name), found) for name, part in value.items()}
    # Lists of names and values are long, and hold no columns; lists are of one kind.
    if isinstance(value, list) and value and isinstance(value[0], dict | np.ndarray):
        return [_apart(part, (*path, i), found) for i, part in enumerate(value)]
    return value


def _joined(value: Any, index: Any, data: memoryview, budget: Budget) -> Any:
    """The value with its columns in their places."""
    entries = _checked(index, len(data), budget)
    root, begin = [value], 0
    for path, numbers, size in entries:
        parent, place = _place(root, path)
        parent[place] = _column(data[begin : begin + size], numbers, path)
        begin += size
    return root[0]


def _checked(index: Any, size: int, budget: Budget) -> list[tuple[Sequence[Any], int, int]]:
    """The entries of an index, once they are known to be of that shape and within bounds."""
    entries: list[tuple[Sequence[Any], int, int]] = []
    if isinstance(index, list):
        for entry in index:
            match entry:
                case [list(path), int(numbers), int(length)] if numbers >= 0 and length >= 0:
                    entries.append((path, numbers, length))
    if not isinstance(index, list) or len(entries) != len(index):
        raise WireError("the columns of a value are not listed as they should be")
    budget.take_numbers(sum(numbers for _, numbers, _ in entries))
    if sum(length for _, _, length in entries) != size:
        raise WireError(f"a value has {size} bytes of columns, and lists others")
    return entries


def _place(root: list[Any], path: Iterable[Any]) -> tuple[Any, Any]:
    """What holds the column at that path, and where: a null is there."""
    parent: Any = root
    place: Any = 0
    try:
        for step in path:
            parent, place = parent[place], step
        if isinstance(parent, dict | list) and parent[place] is None:
            return parent, place
    except (IndexError, KeyError, TypeError):
        pass
    raise WireError(f"a column belongs at {path}, and there is no place for it")


def _column(data: memoryview, numbers: int, path: Sequence[Any]) -> I64:
    column = np.empty(numbers, np.int64)
    try:
        done = standalone.simple_decompress_into(bytes(data), column)
    except (RuntimeError, TypeError) as error:
        raise WireError(f"the column at {path} cannot be decompressed: {error}") from None
    if done.n_processed != numbers or not done.finished:
        raise WireError(f"the column at {path} does not have the {numbers} numbers that it should have")
    return column
