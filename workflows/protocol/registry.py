"""The protocol of the registry's workflow. Specs are as `timeline.spec.Spec.to_wire` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypeAlias, TypedDict

from timeline.spec.spec import Spec
from timeline.tables.wire import Wire
from workflows import life
from workflows.protocol.calls import Query, Update
from workflows.protocol.node import Place


class Segment(TypedDict):
    """Lines ``after + 1 .. last`` of a file; its place in the log is the first part of positions. ``now``
    (ms) is when it was fed, by the feeder's clock. By ``head`` and ``content``, digests of the first line
    and of all lines up to ``last``, a feeder knows it under another name. ``again``: all of it is wanted.
    Or a ``mark`` (ms), which has no lines: the time of the source's streams goes on to it."""

    path: str
    fingerprint: str
    after: int
    last: int
    now: NotRequired[int]
    head: NotRequired[str]
    content: NotRequired[str]
    again: NotRequired[bool]
    mark: NotRequired[int]


class Gap(TypedDict):
    """Messages of a partition that were never fed, because the topic no longer had them: those behind
    ``after`` and before ``until``."""

    partition: int
    after: list[int]
    until: list[int]


class Topic(TypedDict):
    """A topic as it was when a feeder first took it: how many partitions, and where each begins.

    A start is a position (ledger, entry, batch index) behind which events are read, or null. ``gaps`` are
    those that somebody accepted.
    """

    partitions: int
    starts: list[list[int] | None]
    gaps: NotRequired[list[Gap]]


def streams_of_source(spec: Spec, topics: Mapping[str, Topic]) -> range:
    """The numbers of the streams of a timeline's source, as far as its topic is among the known ones."""
    topic = topics.get(spec.source_id)
    return range(spec.limits.shards * (topic["partitions"] if topic else 1))


class RegistryState(TypedDict):
    """What the registry carries: specs by name, users by node id, file logs and topics by source; the store
    in which workers keep large states, if they do, and how many bytes a node's may have there; and specs
    whose registration has ``begun``: some of their nodes run already."""

    timelines: dict[str, Wire]
    users: dict[str, list[str]]
    logs: dict[str, list[Segment]]
    store: NotRequired[str]
    max_state: NotRequired[int]
    topics: NotRequired[dict[str, Topic]]
    lives: NotRequired[dict[str, life.Life]]
    begun: NotRequired[dict[str, Wire]]


#: For sources, how far leaves have had each of the streams: what is started from now on has to reach that.
Places: TypeAlias = dict[str, list[Place]]


class Accepted(TypedDict):
    """What became of a spec: its version, whether that is new, and the ids of the nodes that stopped."""

    version: int
    new: bool
    stopped: list[str]


#: One spec, which must not be another than is registered under its name; returns it.
REGISTER = Update[[Wire, Places], Wire]("register")
#: Type of an update's failure: as much was started as one run may; asked again, it goes on from there. The
#: details are how many workflows are started, and of how many.
GO_ON = "GoOn"
#: Many, and by name the version of those that they may replace.
REGISTER_ALL = Update[[list[Wire], dict[str, int], Places], list[Accepted]]("register_all", slow=True)
#: A name, and whether it is to be paused or to go on; false if it was so already.
PAUSE = Update[[str, bool], bool]("pause")
#: A name; the ids of the nodes that stopped.
REMOVE = Update[[str], list[str]]("remove", slow=True)
#: A source, and files of which it may have had some (up to ``after`` under another name); its whole log.
EXTEND_LOG = Update[[str, list[Segment]], list[Segment]]("extend_log")
#: A source, and its topic as it is now; as it was when it was first opened.
OPEN_TOPIC = Update[[str, Topic], Topic]("open_topic", slow=True)
#: A source, and a gap in its topic that somebody accepts.
NOTE_GAP = Update[[str, Gap], None]("note_gap")
#: A name, its version, and what events show of it that is likely to be a mistake: instead of what was noted,
#: of those partitions of its topic if there are any.
NOTE_WARNINGS = Update[[str, int, list[life.Warned], list[int] | None], None]("note_warnings")
#: The URL of the store in which workers keep large states, and how many bytes those may have.
USE_STORE = Update[[str, int], None]("use_store")

STORE = Query[[], str | None]("store")
#: All specs by name.
TIMELINES = Query[[], dict[str, Wire]]("timelines")
#: Specs whose registration has begun and is not done, by name.
BEGUN = Query[[], dict[str, Wire]]("begun")
LIVES = Query[[], dict[str, life.Standing]]("lives")
#: The remembered versions of a timeline, oldest first; none if it is not registered.
VERSIONS = Query[[str], list[life.Version]]("versions")
#: A name; what events have shown of it, as far as somebody noted that.
WARNINGS = Query[[str], list[life.Warned]]("warnings")
#: A source; the files that it has had, in order.
LOG = Query[[str], list[Segment]]("log")
#: The topics that feeders have taken, by source.
TOPICS = Query[[], dict[str, Topic]]("topics")
#: For every node that runs, the timelines that use it.
USERS = Query[[], dict[str, list[str]]]("users")
