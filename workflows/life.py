"""What the registry keeps of a timeline's life: its versions, and whether it is paused."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NotRequired, TypedDict

from timeline.language.mistakes import Kinds

#: Versions of a timeline that are remembered.
MAX_VERSIONS = 20


class Version(TypedDict):
    """A spec that was accepted: its number, counted from 1, and when (ms since the epoch; null: long ago)."""

    number: int
    at: int | None
    spec: dict[str, Any]


class Warned(TypedDict):
    """Something of a timeline that is likely to be meant otherwise (`timeline.language.mistakes`)."""

    kind: Kinds
    place: str
    text: str
    suggestion: str | None


class Looked(TypedDict):
    """What the events of some partitions of a topic have shown."""

    partitions: list[int]
    warnings: list[Warned]


class Life(TypedDict):
    """The last versions, oldest first; a timeline that was registered before there were any has none.
    ``warnings`` is what events have shown of the last; of a topic each feeder notes what it has ``looked``
    at, apart."""

    versions: list[Version]
    paused: NotRequired[bool]
    warnings: NotRequired[list[Warned]]
    looked: NotRequired[list[Looked]]


class Standing(TypedDict):
    """What a list says of a timeline: the number of its version, since when, whether it is paused."""

    version: int
    at: int | None
    paused: bool


def versions(life: Life | None, spec: dict[str, Any]) -> list[Version]:
    """All remembered versions of a timeline that has that spec now, oldest first.

    >>> versions(None, {"name": "old"})
    [{'number': 1, 'at': None, 'spec': {'name': 'old'}}]
    """
    return (life and life["versions"]) or [Version(number=1, at=None, spec=spec)]


def standing(life: Life | None, spec: dict[str, Any]) -> Standing:
    """Where a timeline is in its life."""
    last = versions(life, spec)[-1]
    return Standing(version=last["number"], at=last["at"], paused=bool(life and life.get("paused")))


def accepted(life: Life | None, before: dict[str, Any] | None, spec: dict[str, Any], now: datetime) -> Life:
    """The life of a timeline whose spec is ``spec`` from ``now`` on, and was ``before``.

    >>> from datetime import UTC
    >>> life = accepted(None, {"description": "a"}, {"description": "b"}, datetime.fromtimestamp(8, UTC))
    >>> [(v["number"], v["at"], v["spec"]["description"]) for v in life["versions"]]
    [(1, None, 'a'), (2, 8000, 'b')]
    """
    had = [] if before is None else versions(life, before)
    number = had[-1]["number"] + 1 if had else 1
    new = Version(number=number, at=round(now.timestamp() * 1000), spec=spec)
    changed = Life(versions=[*had, new][-MAX_VERSIONS:])
    if life and life.get("paused"):
        changed["paused"] = True
    return changed


def noted(life: Life, warnings: list[Warned], partitions: list[int] | None) -> Life:
    """A life once events have shown something: instead of what was noted before, of these partitions if it is
    about some."""
    if partitions is None:
        changed = Life(**{**life, "warnings": warnings})
        changed.pop("looked", None)
        return changed
    others = [
        Looked(partitions=left, warnings=one["warnings"])
        for one in life.get("looked", [])
        if (left := [n for n in one["partitions"] if n not in partitions])
    ]
    changed = Life(**{**life, "looked": [*others, Looked(partitions=partitions, warnings=warnings)]})
    changed.pop("warnings", None)
    return changed


def warned(life: Life) -> list[Warned]:
    """What events have shown of a timeline. A column, say, that some partitions have is not missing: so what
    not all have shown is left out, but for a unit of time, which each producer may have wrong.

    >>> missing = Warned(kind="column", place="p", text="no event carries x", suggestion=None)
    >>> late = Warned(kind="unit", place="", text="times are in s", suggestion=None)
    >>> one = noted(Life(versions=[]), [missing, late], [0, 1])
    >>> [w["kind"] for w in warned(one)], [w["kind"] for w in warned(noted(one, [], [1]))]
    (['column', 'unit'], ['unit'])
    >>> [w["kind"] for w in warned(noted(one, [missing], [2]))]
    ['column', 'unit']
    """
    looked = [{(w["kind"], w["place"]): w for w in one["warnings"]} for one in life.get("looked", [])]
    found = {what: w for one in reversed(looked) for what, w in one.items()}
    shown = [w for what, w in found.items() if w["kind"] == "unit" or all(what in one for one in looked)]
    return [*life.get("warnings", []), *shown]
