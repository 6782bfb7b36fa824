"""The leaves that a partition is fed to, and where each of them is: live, behind or gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from feeder.leaves import interval_of, leaves_of, results_of
from feeder.stream import Stream
from feeder.topics.lead import Lead
from feeder.topics.source import Input
from timeline.engine.mark_log import MAX_MARKS
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from timeline.tables.marks import place_of
from workflows.client import Client


class State(Enum):
    """Where a leaf is, as far as a feeder knows."""

    #: It stands where the furthest does, and gets what the subscription brings.
    LIVE = auto()
    #: It has not had all that the live ones have: a reader of its own brings it up to them.
    BEHIND = auto()
    #: No timeline needs it any more; if one does again, it may be another node.
    GONE = auto()


@dataclass(slots=True)
class Leaf:
    """A leaf: the columns that it reads, where it is; where it stood when it was asked (``position``), and
    since when it has been the node that it is (``born``)."""

    columns: frozenset[str]
    state: State
    position: Position | None = None
    born: str = ""


class Shard:
    """The leaves of stream ``number``; ``stream`` is what the live ones are fed by. ``marks`` are those that
    leaves which are behind have to have too."""

    def __init__(
        self,
        number: int,
        timelines: Client,
        low: Position | None = None,
        had: Position | None = None,
        lead: Lead | None = None,
        marks: Iterable[Position] = (),
    ) -> None:
        self.number = number
        self.marks = list(marks)
        self.stream = Stream(timelines, {}, ())
        self.stream.low, self.stream.had = low, had
        if lead is not None:
            self.stream.leader = lambda: lead.leader
        #: Some leaf is live, or none is on its way to be.
        self.manned = asyncio.Event()
        self._leaves: dict[str, Leaf] = {}

    def put(self, leaves: Mapping[str, Leaf]) -> None:
        """Takes note of leaves, as they are now."""
        self._leaves.update(leaves)
        live = self.in_state(State.LIVE)
        # Not changed in place: what is being sent goes to those that it was for.
        self.stream.leaves = {name: leaf.columns for name, leaf in live.items()}
        self.stream.born = {name: leaf.born for name, leaf in live.items()}
        if live or not self.in_state(State.BEHIND):
            self.manned.set()
        else:
            self.manned.clear()

    def note(self, mark: Position) -> None:
        """The live leaves were sent a mark."""
        if self.marks and place_of(self.marks[-1]) == place_of(mark):
            self.marks.pop()
        self.marks.append(mark)
        del self.marks[:-MAX_MARKS]

    def known(self) -> list[str]:
        """The leaves that are not gone."""
        return [name for name, leaf in self._leaves.items() if leaf.state is not State.GONE]

    def in_state(self, state: State) -> dict[str, Leaf]:
        """The leaves that are in a state."""
        return {name: leaf for name, leaf in self._leaves.items() if leaf.state is state}

    def let_go(self, wanted: Iterable[str]) -> None:
        """Live leaves that are not wanted are gone. One that is behind is once it is up: see `meet`."""
        gone = self.in_state(State.LIVE).keys() - set(wanted)
        self.put({name: Leaf(self._leaves[name].columns, State.GONE) for name in gone})

    def unknown(self, wanted: Iterable[str]) -> list[str]:
        """Of the wanted leaves, those that are neither live nor behind."""
        gone = self.in_state(State.GONE)
        return [name for name in wanted if name in gone or name not in self._leaves]

    def meet(self, born: Mapping[str, str], wanted: Iterable[str]) -> None:
        """Leaves that were behind are where the live ones are: those that are wanted are live."""
        wanted = set(wanted)
        self.put(
            {
                name: Leaf(
                    self._leaves[name].columns, State.LIVE if name in wanted else State.GONE, born=since
                )
                for name, since in born.items()
            }
        )

    def count_results(self, specs: Iterable[Spec]) -> None:
        """A batch has arrived when all live leaves have it, and the results that hang on nothing else.

        The result of a timeline of which a leaf is behind would not get there: its live leaves count then.
        """
        live = self.stream.leaves.keys()
        specs = list(specs)
        self.stream.interval = interval_of(specs)
        whole = [spec for spec in specs if leaves_of([spec], self.number).keys() <= live]
        alone = live - leaves_of(whole, self.number).keys()
        self.stream.results = results_of(whole, self.number) | alone


class Roster:
    """The shards of a partition, and the timelines on it."""

    def __init__(self, shards: list[Shard], specs: list[Spec]) -> None:
        self.shards = shards
        self.specs = specs

    @property
    def streams(self) -> list[Stream]:
        return [shard.stream for shard in self.shards]

    @property
    def columns(self) -> frozenset[str]:
        """What the live leaves read."""
        return frozenset().union(*(columns for s in self.streams for columns in s.leaves.values()))

    @property
    def any_behind(self) -> bool:
        return any(shard.in_state(State.BEHIND) for shard in self.shards)

    async def manned(self) -> None:
        """Waits for shards all of whose leaves are behind: nobody there takes what is received, or says what
        was refused, until they are up."""
        await asyncio.gather(*(shard.manned.wait() for shard in self.shards))

    def wanted(self, shard: Shard) -> dict[str, frozenset[str]]:
        """The leaves that the timelines have on a shard, and their columns."""
        return leaves_of(self.specs, shard.number)

    def has_live(self, specs: list[Spec]) -> bool:
        """Whether all leaves of some timelines are live."""
        return all(leaves_of(specs, s.number).keys() <= s.stream.leaves.keys() for s in self.shards)

    def count_results(self) -> None:
        for shard in self.shards:
            shard.count_results(self.specs)


async def call_the_roll(
    timelines: Client, source: Input, specs: list[Spec], lead: Lead
) -> tuple[Roster, Position | None]:
    """Asks all leaves where they stand: those that are at the furthest, which is given too, are live.
    They also say whether the ``lead`` is still held."""
    every = [leaf for number in source.numbers for leaf in leaves_of(specs, number)]
    stands = dict(zip(every, await asyncio.gather(*map(timelines.leaves.stands, every)), strict=True))
    lead.look(stand.leader for stand in stands.values())
    places = [stand.position for stand in stands.values() if stand.position is not None]
    furthest = max(places, default=None)
    roster = Roster([], specs)
    for number in source.numbers:
        leaves = {}
        for name, columns in leaves_of(specs, number).items():
            stand = stands[name]
            state = State.LIVE if stand.position == furthest else State.BEHIND
            leaves[name] = Leaf(columns, state, stand.position, stand.born)
        live = [name for name, leaf in leaves.items() if leaf.state is State.LIVE]
        marks = await timelines.leaves.marks(live[0]) if source.heeds_stream and live else []
        low = source.begin if furthest is None else furthest
        shard = Shard(number, timelines, low, furthest, lead, marks)
        shard.put(leaves)
        roster.shards.append(shard)
    roster.count_results()
    return roster, furthest
