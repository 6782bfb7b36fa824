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


class Life(TypedDict):
    """The last versions, oldest first; a timeline that was registered before there were any has none.
    ``warnings`` is what events have shown of the last."""

    versions: list[Version]
    paused: NotRequired[bool]
    warnings: NotRequired[list[Warned]]


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
