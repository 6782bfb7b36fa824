"""What payload converters have in common that only read what others write."""

from __future__ import annotations

from typing import Any, ClassVar

from temporalio.api.common.v1 import Payload
from temporalio.converter import EncodingPayloadConverter


class ReadingConverter(EncodingPayloadConverter):
    """Writes nothing, and reads what is of the encoding ``reads``."""

    reads: ClassVar[bytes]

    @property
    def encoding(self) -> str:
        return self.reads.decode()

    def to_payload(self, value: Any) -> Payload | None:
        return None
