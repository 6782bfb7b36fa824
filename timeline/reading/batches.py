"""Rows of Arrow tables as records: their numbers, and how one reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from timeline.values.vocabulary import I64


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a record batch, or of a table, and the number of each."""

    batch: Any
    lines: I64

    def text(self, i: int) -> str:
        names, columns = self.batch.schema.names, self.batch.columns
        row = {name: _shown(column[i]) for name, column in zip(names, columns, strict=True)}
        return json.dumps(row, default=str, ensure_ascii=False)


def _shown(value: Any) -> Any:
    """A value for a person, also one that Python has not."""
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return value.cast(pa.binary()).as_py()
    except (ValueError, OverflowError):
        whole = pa.int32() if pa.types.is_date32(value.type) else pa.int64()
        return f"{value.cast(whole).as_py()} as {value.type}"
