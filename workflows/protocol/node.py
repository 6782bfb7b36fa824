"""The protocol of a node's workflow."""

from __future__ import annotations

from typing import Any, NotRequired, TypeAlias, TypedDict, final

from timeline.fragments import Policy
from timeline.spec.parts import Watermark
from timeline.tables.wire import Wire
from timeline.values.scalars import Value
from workflows.protocol.calls import Query, Signal

#: The most keys that one answer speaks of.
MAX_ANSWER = 2_000

#: A place in a stream as JSON has it (`timeline.tables.wire.to_position`); null: before the first event.
Place: TypeAlias = list[int] | None


class Subscriber(TypedDict):
    """A parent: its workflow id, and which of its inputs this node is; ``node`` is the digest of the member
    of a fragment of which it wants patches, if that is not the root. A node keeps beside it by which ``line``
    it tells it patches, and how many it has ``told``."""

    workflow: str
    inputs: list[int]
    node: NotRequired[str]
    line: NotRequired[str]
    told: NotRequired[int]


class NodeSpec(TypedDict):
    """What a fragment is started with, and keeps: its root's expression, and the policy that says which
    nodes live with it (``node`` where none is given). ``target`` is how far others had the stream when it
    was started: before it stands there itself, it answers no question."""

    expression: str
    stream: int
    allowed_lateness: int | None
    retention: int | None
    key_ttl: NotRequired[int | None]
    watermark: NotRequired[Watermark]
    subscribers: list[Subscriber]
    max_state: NotRequired[int]
    fragments: NotRequired[Policy]
    target: NotRequired[list[int]]


#: A feeder that has the lead of a partition: the number of its lead, and a name of its own. Of two the
#: greater counts.
Leader: TypeAlias = str


class About(TypedDict, total=False):
    """What a leaf is told besides a batch: for whom it is (``born``, as `Stand` gives it: another of the
    same id may be at another place), and up to where the sender has ``settled`` what was refused; with
    which lead it sends (``leader``), where feeders have one; the place that the batch goes on ``after``: the
    leaf has had all up to there, if nothing was lost."""

    born: str | None
    settled: Place
    after: Place
    leader: Leader


class Late(TypedDict, total=False):
    """How many keys are not known from their origin on: exact, or counted, from a later tick on."""

    exact_later: int
    counted_later: int


class Odd(TypedDict):
    """A signal that was set aside, and why."""

    signal: str
    why: str


class SetAside(TypedDict):
    """How many signals were not understood and set aside, and the last of them, newest last."""

    count: int
    last: list[Odd]


class IsOdd(TypedDict, total=False):
    """What was set aside, if anything was."""

    odd: SetAside


class IsMissing(TypedDict, total=False):
    """Why a node, or a sink, cannot go on, if a patch of a child is missing."""

    missing: str


class Member(TypedDict):
    """What is particular to one of several nodes that live together; ``node`` is its digest."""

    node: str
    expression: str
    operator: str
    position: Place
    keys: int
    rows: int
    quarantined: int


class NodeStatus(Late, IsOdd, IsMissing):
    """Position, counters, sizes (bytes, events of the history), and what is wrong if anything is; of a
    fragment, ``position``, ``keys`` and ``rows`` are its root's, and ``members`` tells of all."""

    expression: str
    operator: str
    stream: int
    position: Place
    keys: int
    rows: int
    accepted: int
    refused: int
    #: The newest event of the stream (ms); -1: there was none.
    newest: int
    #: Signals in the inbox.
    waiting: int
    #: About how many bytes its state has.
    state_bytes: int
    #: Why no more events are taken.
    full: str | None
    subscribers: list[str]
    quarantined: int
    history_length: int
    members: NotRequired[list[Member]]
    #: It waits for its state to be handed over.
    held: NotRequired[bool]


class Stand(TypedDict):
    """A node's position, and which of all nodes that ever had its id it is; whose batches it takes, if not
    anybody's, and whether any wait in its inbox; up to where it was told that refused events are settled."""

    position: Place
    born: str
    leader: NotRequired[Leader | None]
    waiting: NotRequired[bool]
    settled: NotRequired[Place]


class Catching(TypedDict):
    """Where a node stands, and the ``target`` that it has still to reach (null: none). ``busy``: it has
    something to take or to tell; ``full``: why it takes no more."""

    position: Place
    target: Place
    busy: bool
    full: str | None


class Piece(TypedDict):
    """A piece of a carried state, in base 64, with the size (bytes) and the SHA-256 of all of it."""

    size: int
    digest: str
    piece: str


class From(TypedDict, total=False):
    """From when on (ms) a key's values hold, where that is not its origin: ``exact_from`` is where they
    begin and are exact, ``counted_from`` where operators with memory began."""

    exact_from: int
    counted_from: int


class KeyValue(From):
    """The value of a key ``at`` a tick, or the ``error`` that says why there is none."""

    at: int | None
    value: NotRequired[Value]
    final: NotRequired[bool]
    error: NotRequired[str]


class Values(TypedDict):
    """Values in the order in which they were asked for, at one position; null: an unknown key."""

    position: Place
    values: list[KeyValue | None]


class RecentKey(From, total=False):
    """A key, and its value at its newest event as `KeyValue` has it."""

    key: str
    at: int | None
    value: Value
    final: bool
    error: str


class RecentKeys(TypedDict):
    """The keys with the newest events, newest first, and how many keys there are, at one position."""

    position: Place
    count: int
    keys: list[RecentKey]


class KeyRows(From):
    """The whole timeline of a key: rows as `Table.json_rows` has them, or the ``error`` that holds it."""

    origin: int
    newest: int
    rows: list[list[Any]]
    error: NotRequired[str]


class LifeRows(KeyRows):
    """The timeline of one life of a key; whether it is ``closed``, and its value at its newest event."""

    closed: bool
    value: NotRequired[Value]


class Lives(TypedDict):
    """The lives of those keys that are known, in order of time, at one position."""

    position: Place
    lives: dict[str, list[LifeRows]]


class Rows(TypedDict):
    """The timelines of those keys that are known, at one position."""

    position: Place
    timelines: dict[str, KeyRows]


class HeldKey(TypedDict):
    """A key without a function: since which position, why, whether this node's ``own`` operator raised,
    and whether what it would be rebuilt from is ``lost``."""

    key: str
    position: list[int]
    error: str
    own: bool
    lost: bool
    #: The text of the node.
    node: str


@final
class Partial(TypedDict):
    """What the keys of one stream answer to a question over all keys (`timeline.aggregate.Partial`)."""

    partial: Wire


#: Why they do not: what is to be told, and the name of its class among `timeline.errors`.
Refusal = TypedDict("Refusal", {"error": str, "class": str})

#: A refused event: position, key, time (ms), reason.
RefusedRow: TypeAlias = tuple[list[int], str, int, str]

#: A batch (`timeline.tables.wire.to_events`), for a leaf.
EVENTS = Signal[[Wire, About]]("events")
#: From now on it takes batches only of a feeder with this lead, or a later one.
LEAD = Signal[[Leader]]("lead")
#: A child's patch (`timeline.engine.wire.to_patch`) with the ``inputs`` that it is for, the ``line`` of its
#: sender and its ``number`` on that (`workflows.order`); sinks take it too.
PATCH = Signal[[Wire]]("patch")
#: A new parent: it gets a snapshot, then every patch. A parent (its id) that wants no more.
SUBSCRIBE = Signal[[Subscriber]]("subscribe")
UNSUBSCRIBE = Signal[[str]]("unsubscribe")
#: How many bytes the state may have from now on.
LIMIT = Signal[[int]]("limit")
#: A key that this node's operator raised for is to be tried again.
RELEASE = Signal[[str]]("release")
#: It takes no more batches and releases, which wait in its inbox, until it is told to go on: its state is
#: to be handed over. All else goes on.
HOLD = Signal[[]]("hold")
GO_ON = Signal[[]]("go_on")
#: A new run is to begin, by workers of the build that is current; sinks and the registry take it too.
RENEW = Signal[[]]("renew")
#: The end: nobody uses the node, or the sink, any more.
STOP = Signal[[]]("stop")

#: With this begins the message of a question that a node refuses because it has its target still to reach.
NOT_CAUGHT_UP = "not caught up"

STATUS = Query[[], NodeStatus]("status")
#: The place in the stream that a node's table stands for, or up to which a sink has written.
POSITION = Query[[], Place]("position")
STANDS = Query[[], Stand]("stands")
#: The marks of its stream that a leaf which reads it later has to have too, in order.
MARKS = Query[[], list[list[int]]]("marks")
#: Whether it stands already where others stood when it was started.
CATCHING_UP = Query[[], Catching]("catching_up")
#: Whether it is held, and has told its parents all that there was to tell.
QUIET = Query[[], bool]("quiet")
#: From a byte on, what one that is held would carry into its next run.
CARRIED = Query[[int], Piece]("carried", slow=True)
#: Values of keys at ticks (null: at the key's newest event), of the root or the member of that digest.
VALUES = Query[[list[tuple[str, int | None]], str | None], Values]("values")
#: Up to `MAX_ANSWER` names, from the n-th on, in order of appearance.
KEYS = Query[[int], list[str]]("keys")
#: So many keys at most.
RECENT = Query[[int], RecentKeys]("recent")
#: What all keys together answer to a `timeline.aggregate.Request`.
AGGREGATE = Query[[Wire], Partial | Refusal]("aggregate", slow=True)
#: The earliest origin and the newest event (ms) of all keys; null before the first event.
SPAN = Query[[], list[int] | None]("span")
#: Up to `MAX_ANSWER` refused events from behind a position on.
REFUSED = Query[[Place], list[RefusedRow]]("refused")
#: Up to `MAX_ANSWER` quarantined keys, from the n-th on.
QUARANTINED = Query[[int], list[HeldKey]]("quarantined")
TIMELINES = Query[[list[str], str | None], Rows]("timelines")
LIVES = Query[[list[str], str | None], Lives]("lives")
