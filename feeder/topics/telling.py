"""Telling what seems wrong with a timeline, from the first messages of its topic: once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial

from timeline.language.mistakes import Mistake
from timeline.reading.heads import head_of_records
from timeline.reading.looking import Looking
from timeline.spec.spec import Spec
from timeline.tables.events import Events
from workflows.client import Client

#: Where something seems wrong, so many messages are looked at before it is told: the first few may just not
#: carry a column.
ENOUGH = 1_000


@dataclass(slots=True)
class _Look:
    looking: Looking
    messages: int = 0
    partitions: set[int] = field(default_factory=set)


class Telling:
    """Looks at what the timelines on a source get, from whatever partition, as long as that is of use."""

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self._name = name
        self._say = say
        # By name; ``None``: that was told.
        self._looks: dict[str, tuple[Spec, _Look | None]] = {}
        #: What was found, and is not noted yet.
        self._found: list[tuple[Spec, list[Mistake], list[int]]] = []

    async def note(self, timelines: Client) -> None:
        """Notes what was found at the registry, for whoever asks later.

        Raises:
            TimelineError: it cannot be noted.
        """
        while self._found:
            spec, found, partitions = self._found.pop()
            await timelines.registry.note_warnings(spec, found, partitions)

    def look(
        self,
        specs: Iterable[Spec],
        columns: AbstractSet[str],
        events: Events,
        payloads: Sequence[bytes],
        partition: int = 0,
    ) -> None:
        """Looks at the events of some messages of a partition, of which ``columns`` were read."""
        for spec in specs:
            look = self._look_of(spec)
            if look is None or not columns >= set(look.looking.columns):
                continue
            looking = look.looking
            looking.add(events)
            look.messages += len(payloads)
            look.partitions.add(partition)
            if look.messages < ENOUGH and (looking.suspicious or looking.early):
                continue
            self._looks[spec.name] = spec, None
            found = looking.mistakes(partial(head_of_records, payloads, looking.time))
            self._found.append((spec, found, sorted(look.partitions)))
            for mistake in found:
                self._say(f"{self._name}: warning: {spec.name}: {mistake}")

    def _look_of(self, spec: Spec) -> _Look | None:
        known = self._looks.get(spec.name)
        # A timeline that was changed is another.
        if known is None or (known[0] is not spec and known[0].definition != spec.definition):
            source, plan = spec.source, spec.plan
            looking = Looking(plan.result.expression, plan.columns, source.time, source.numeric_unit)
            self._looks[spec.name] = known = spec, _Look(looking)
        return known[1]
