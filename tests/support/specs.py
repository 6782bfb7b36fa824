"""Specs from text."""

from __future__ import annotations

from pathlib import Path

import pytest

from timeline.errors import SpecError
from timeline.spec.loading import load_spec
from timeline.spec.spec import Spec

GOOD = 'name = "plays"\nexpression = "has_existed(a == 1)"\n'


def load(tmp_path: Path, text: str | bytes) -> Spec:
    path = tmp_path / "spec.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_spec(path)


def problems(tmp_path: Path, text: str | bytes) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'spec.toml'}: {len(caught.value.problems)} problem")
    return {p.place: p.message for p in caught.value.problems}
