"""Registering a timeline, as the API and the page do it: over the version that somebody has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from timeline.errors import Problem, SpecError, TimelineError
from timeline.spec.changes import Change, changes
from timeline.spec.loading import spec_of
from timeline.spec.spec import Spec
from workflows.client import Client, Registered


@dataclass(frozen=True, slots=True)
class Proposal:
    """A spec, and what registering it comes to: ``version`` is what is registered now (null: nothing), and
    ``change`` what becomes of its nodes (null: none of that name, or the same spec)."""

    spec: Spec
    version: int | None
    change: Change | None

    @property
    def new(self) -> bool:
        """Whether it changes anything."""
        return self.version is None or self.change is not None


def spec_in(data: Mapping[str, Any], what: str) -> Spec:
    """The spec that data say which came over the network; ``what`` they are is said in the error.

    Raises:
        SpecError: all that is wrong with it.
    """
    spec = spec_of(data, what)
    for folder in [sink.folder for sink in spec.sinks if sink.folder is not None]:
        if not folder.startswith("/"):
            # Beside which file it is to be, nobody knows here.
            raise SpecError(what, [Problem("sink.folder", f"must be a whole path, got {folder!r}")])
    return spec


async def propose(timelines: Client, spec: Spec) -> Proposal:
    """What registering a spec comes to; nothing is done."""
    known = (await timelines.registry.specs()).get(spec.name)
    standing = (await timelines.registry.standings()).get(spec.name)
    change = None if known is None or known == spec else changes(known, spec)
    return Proposal(spec, None if standing is None else standing["version"], change)


async def carry_out(timelines: Client, proposal: Proposal, seen: int | None) -> Registered:
    """Registers a spec, over the version that was ``seen`` if it changes one.

    Raises:
        TimelineError: another version is registered than was seen.
    """
    spec, version = proposal.spec, proposal.version
    if proposal.change is not None and seen != version:
        told = "" if seen is None else f", and you have seen version {seen}"
        raise TimelineError(
            f"timeline {spec.name!r} is registered with another spec, version {version}{told}; "
            f"look at what would change (dry_run=true), then give version={version}"
        )
    replaces = {spec.name: version} if proposal.change is not None and version is not None else {}
    [done] = await timelines.registry.register_all([spec], replaces)
    return done
