"""What the HTTP API takes and answers with. Times are ms, positions places in a stream."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Position = list[int] | None


class Part(BaseModel):
    """Nothing that is not known here."""

    model_config = ConfigDict(extra="forbid")


class Timeline(Part):
    """A registered timeline; ``outputs`` are the kinds by name."""

    name: str
    description: str
    definition: str
    outputs: dict[str, str]
    source: str
    streams: int
    version: int
    paused: bool


class Timelines(Part):
    """The timelines from one name on, and behind which name the next page begins."""

    timelines: list[Timeline]
    next: str | None


class PlannedNode(Part):
    """A node of a plan: its DSL text, what it computes from (``inputs``, by index), what it reads."""

    index: int
    text: str
    operator: str
    kind: str
    inputs: list[int]
    columns: list[str]
    digest: str


class Plan(Part):
    """The nodes, inputs first; ``outputs`` are their indices by name."""

    outputs: dict[str, int]
    nodes: list[PlannedNode]


class Expression(Part):
    """What is to be explained: one expression, or several outputs by name."""

    expression: str | None = Field(default=None, max_length=20_000)
    outputs: dict[str, str] = {}


class Node(Part):
    """A node on one stream: where it stands, what it holds, and why it takes no more if it does not."""

    node: str
    operator: str
    workflow: str
    stream: int
    position: Position
    keys: int
    rows: int
    accepted: int
    refused: int
    waiting: int
    state_bytes: int
    quarantined: int
    full: str | None


class Quarantined(Part):
    """A key without a function, since which position, where, and why."""

    key: str
    node: str
    workflow: str
    position: list[int]
    error: str


class Described(Timeline):
    """A timeline with its spec, its nodes, and what is wrong with it."""

    spec: dict[str, Any]
    nodes: list[Node]
    quarantined: list[Quarantined]
    sinks: list[dict[str, Any]]


class Version(Part):
    """A spec that a timeline has had, and when it came."""

    number: int
    at: int | None
    spec: dict[str, Any]


class Setting(Part):
    """A setting that a change changes."""

    place: str
    before: Any
    after: Any


class Change(Part):
    """What becomes of the nodes: which stay, are new and go. ``moves``: only who lives with whom changes;
    ``anew``: none can stay."""

    stays: list[str]
    new: list[str]
    goes: list[str]
    settings: list[Setting]
    anew: bool
    moves: bool


class Registered(Part):
    """What became of a spec, or with ``dry_run`` what would: ``version`` is what is registered then.

    ``replaced``: the version that it took the place of. ``not_caught_up``: why questions are refused yet.
    """

    name: str
    done: bool
    version: int | None
    new: bool
    replaced: int | None
    stopped: list[str]
    change: Change | None
    not_caught_up: str | None


class Paused(Part):
    """Whether a timeline is paused now, and whether it was otherwise before."""

    name: str
    paused: bool
    changed: bool


class Removed(Part):
    """A timeline that was removed, and the workflows that stopped."""

    name: str
    stopped: list[str]


class Value(Part):
    """The value of a key at a time over the stream's prefix up to ``position``; ``final``: nothing acceptable
    can change it. ``error``: why there is none."""

    key: str
    time: int | None
    value: Any
    position: Position
    final: bool
    error: str | None
    exact_from: int | None
    counted_from: int | None


class Values(Part):
    """Values, each key at all times before the next; ``kinds`` are those of the outputs."""

    timeline: str
    node: str
    kinds: dict[str, str]
    values: list[Value]


class Piece(Part):
    """From ``start`` (ms) up to the next: the value there, and how much a second is added (of a Numeric). Of
    a Ratio it is the value at the start alone; what it is between, `/values` says."""

    start: int
    value: Any
    slope: int | float | None = None


class Lane(Part):
    """A node's whole timeline of a key."""

    node: str
    operator: str
    kind: str
    origin: int
    newest: int
    pieces: list[Piece]
    error: str | None


class Lanes(Part):
    """All nodes of a key, inputs first."""

    timeline: str
    key: str
    position: Position
    lanes: list[Lane]


class Life(Part):
    """A node's timeline of one life of a key; once it is ``closed`` nothing changes it."""

    origin: int
    newest: int
    closed: bool
    value: Any
    pieces: list[Piece]
    error: str | None


class Lives(Part):
    """The lives of a key, in order of time."""

    timeline: str
    key: str
    node: str
    lives: list[Life]


class Interval(Part):
    """A key has a value from a time up to, and without, another (ms); ``open``: it goes on there."""

    key: str
    value: Any
    begin: int = Field(alias="from")
    end: int = Field(alias="to")
    seconds: int | float
    open: bool


class LeftOut(Part):
    """A key that has no intervals, and why."""

    key: str
    reason: str


class Intervals(Part):
    """Intervals of a node, key by key in order of time."""

    timeline: str
    node: str
    kind: str
    intervals: list[Interval]
    left_out: list[LeftOut]


class Keys(Part):
    """Keys in the order of their names, from behind one on; how many there are, and where the next page
    begins."""

    keys: list[str]
    count: int
    next: str | None


class Excluded(Part):
    """How many keys had no value, when and why."""

    time: int | None
    reason: str
    keys: int


class Aggregate(Part):
    """The answer to a question over all keys: the rows, and what they stand on: ``positions`` by the number
    of the stream."""

    timeline: str
    columns: list[str]
    rows: list[dict[str, Any]]
    positions: dict[str, Position]
    keys: int
    excluded: list[Excluded]
    errors: dict[str, float]
    forgotten_before: int | None
    counted: dict[str, int | None] | None


class Refused(Part):
    """An event that was too late, or of a closed key."""

    stream: int
    position: list[int]
    key: str
    time: int
    reason: str


class RefusedPage(Part):
    """Refused events of one stream, in order; ``next`` is where the next page begins."""

    events: list[Refused]
    next: str | None


class Recent(Part):
    """A key with its value at its newest event."""

    key: str
    time: int | None
    value: Any
    stream: int
    error: str | None


class Look(Part):
    """A timeline at one moment: the keys with the newest events, how many keys there are, at the position of
    each stream; and how many events were accepted and refused, which may be more than up to there."""

    keys: list[Recent]
    count: int
    accepted: int
    refused: int
    positions: list[Position]


class Health(Part):
    """Whether the service works; else why not."""

    status: Literal["ok", "failing"]
    reason: str | None = None
