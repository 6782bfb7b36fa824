"""A timeline that is being written: what the form holds, as a spec's data and back."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from timeline.errors import Problem, SpecError
from timeline.spec.loading import MAX_LENGTH
from timeline.spec.spec import Spec

#: What it is called in errors.
WHAT = "this timeline"
#: Fields of the form that are a source's.
OF_SOURCE = ("topic", "key", "time", "unit")


@dataclass(slots=True)
class Draft:
    """What the form holds: ``texts`` are the outputs by name (a single one without a name: the expression),
    ``settings`` all that has no field of its own, as TOML."""

    name: str = ""
    description: str = ""
    texts: dict[str, str] = field(default_factory=lambda: {"": ""})
    topic: str = ""
    key: str = "key"
    time: str = "time"
    unit: str = "ms"
    settings: str = ""
    #: The texts as they are registered: what differs in the space around it only is the same.
    before: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: Spec) -> Draft:
        """The draft that a registered timeline is."""
        wire = spec.to_wire()
        source = wire.pop("source")
        for name in ("name", "description", "expression", "outputs"):
            wire.pop(name, None)
        rest = {
            name: value for name, value in source.items() if name not in OF_SOURCE and value not in ([], ())
        }
        texts = {name: text.strip() for name, text in spec.outputs.items()} or {"": spec.definition}
        settings = "\n".join(_toml({"source": rest, **wire})).strip()
        fields = {name: source[name] or "" for name in OF_SOURCE}
        before = dict(spec.outputs) or {"": spec.expression or ""}
        return cls(spec.name, spec.description, texts, settings=settings, before=before, **fields)

    def data(self) -> dict[str, Any]:
        """As a spec's file says it.

        >>> Draft("plays", texts={"": "count(a == 1)"}, key="session").data()
        {'name': 'plays', 'source': {'key': 'session'}, 'expression': 'count(a == 1)'}

        Raises:
            SpecError: the settings are no TOML.
        """
        more = self._settings()
        given = {name: getattr(self, name) for name in OF_SOURCE}
        default = Draft()
        source = {name: text for name, text in given.items() if text != getattr(default, name)}
        about = {"description": self.description} if self.description else {}
        texts = {name: self._text(name, text) for name, text in self.texts.items()}
        written = {"expression": texts[""]} if list(texts) == [""] else {"outputs": texts}
        settled = more.pop("source", {})
        if not isinstance(settled, dict):
            raise SpecError(WHAT, [Problem("settings", "source is a table: [source]")])
        return {"name": self.name, **about, "source": {**settled, **source}, **more, **written}

    def _text(self, name: str, text: str) -> str:
        before = self.before.get(name, text)
        return before if before.strip() == text.strip() else text

    def _settings(self) -> dict[str, Any]:
        if len(self.settings) > MAX_LENGTH:
            raise SpecError(WHAT, [Problem("settings", f"has more than {MAX_LENGTH} characters")])
        try:
            return tomllib.loads(self.settings)
        except (ValueError, RecursionError) as error:
            raise SpecError(WHAT, [Problem("settings", f"is not TOML: {error}")]) from None


def _toml(data: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Tables as TOML; what is null has no line.

    >>> print("\\n".join(_toml({"limits": {"shards": 2, "key_ttl": None}, "sink": [{"on": "final"}]})))
    [limits]
    shards = 2
    <BLANKLINE>
    [[sink]]
    on = "final"
    <BLANKLINE>
    """
    for name, value in data.items():
        several = isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)
        for table in value if several else [value] if isinstance(value, Mapping) else []:
            if not table:
                continue
            yield f"[[{above}{name}]]" if several else f"[{above}{name}]"
            plain = {n: v for n, v in table.items() if not isinstance(v, Mapping) and v is not None}
            # JSON's texts, numbers and lists are TOML's.
            yield from (
                f"{json.dumps(n) if not n.isidentifier() else n} = {json.dumps(v)}" for n, v in plain.items()
            )
            yield ""
            yield from _toml({n: v for n, v in table.items() if isinstance(v, Mapping)}, f"{above}{name}.")
