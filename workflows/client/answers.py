"""What the client answers with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from timeline.errors import NotCaughtUpError
from timeline.language.output_names import name_of_time
from timeline.spec.spec import Spec
from timeline.tables.events import Position
from timeline.tables.framed import Framed, arrow_column, many
from timeline.values.kinds import Kind
from timeline.values.scalars import Value

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True, slots=True)
class Answer:
    """The value of a key at ``at`` (ms), over the stream's prefix that ends at ``position``.

    ``final``: no acceptable event can change it any more. ``error`` says why there is no value.
    """

    key: str
    at: int | None
    value: Value
    position: Position | None
    final: bool
    error: str | None = None
    #: Where the key's values begin (ms), and are exact, if the node was started later than the key.
    exact_from: int | None = None
    #: Where operators with memory began (ms) instead of at the key's origin.
    counted_from: int | None = None


@dataclass(frozen=True, slots=True)
class KeyTimeline:
    """A node's whole timeline of a key: rows as `Table.json_rows` has them, times in ms."""

    origin: int
    newest: int
    rows: list[list[Any]]
    #: Why there are none, if the key is quarantined.
    error: str | None = None
    #: As in `Answer`.
    exact_from: int | None = None
    counted_from: int | None = None


@dataclass(frozen=True, slots=True)
class Life(KeyTimeline):
    """A node's whole timeline of one life of a key: what the key does between two gaps of ``key_ttl``. It has
    its ``value`` at its newest event; once it is ``closed`` nothing changes it any more."""

    closed: bool = False
    value: Value = None


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of a spec: the version it is, whether that is new, which version it ``replaced`` (null:
    there was none), the ids of the nodes that stopped because of that, and, if it was waited for, why it is
    ``not_caught_up`` (null: it is)."""

    spec: Spec
    version: int
    new: bool
    replaced: int | None
    stopped: tuple[str, ...]
    not_caught_up: NotCaughtUpError | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """A registered timeline: the kinds of its ``outputs`` by name, how many ``streams`` it has, which
    ``version`` of its spec it is, and whether it is ``paused``.

    A timeline with one expression has one output, called ``value``.
    """

    spec: Spec
    streams: int
    version: int
    paused: bool

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def outputs(self) -> dict[str, Kind]:
        return {name: node.kind for name, node in self.spec.plan.outputs.items()}


@dataclass(frozen=True, slots=True)
class Version:
    """A spec that a timeline has had: its number, counted from 1, and when it came (ms since the epoch;
    null: before versions were kept)."""

    number: int
    at: int | None
    spec: Spec


@dataclass(frozen=True, slots=True, repr=False)
class Values(Framed, Sequence[Answer]):
    """Values of keys, in the order in which they were asked for."""

    answers: tuple[Answer, ...]
    kinds: dict[str, Kind]

    @overload
    def __getitem__(self, index: int) -> Answer: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Answer]: ...
    def __getitem__(self, index: int | slice) -> Answer | Sequence[Answer]:
        return self.answers[index]

    def __len__(self) -> int:
        return len(self.answers)

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.answers)

    def _title(self) -> str:
        return many(len(self), "value")

    def to_arrow(self) -> pyarrow.Table:
        """A row for each: ``key``, ``time`` (ms), the outputs, ``final``, ``position`` and ``error``; types
        as `timeline.aggregate.arrow.to_arrow` says."""
        import pyarrow as pa

        def of(answer: Answer, name: str) -> Any:
            return answer.value.get(name) if isinstance(answer.value, dict) else answer.value

        columns: dict[str, Any] = {
            "key": pa.array([a.key for a in self.answers], pa.string()),
            name_of_time(self.kinds): pa.array([a.at for a in self.answers], pa.int64()),
        }
        for name, kind in self.kinds.items():
            columns[name] = arrow_column([of(a, name) for a in self.answers], kind)
        columns["final"] = pa.array([a.final for a in self.answers], pa.bool_())
        positions = [None if a.position is None else list(a.position) for a in self.answers]
        columns["position"] = pa.array(positions, pa.list_(pa.int64()))
        columns["error"] = pa.array([a.error for a in self.answers], pa.string())
        return pa.table(columns)


@dataclass(frozen=True, slots=True)
class Recent:
    """A key with its value at its newest event, ``at`` (ms); ``error`` says why it has none."""

    key: str
    at: int | None
    value: Value
    stream: int
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        said = {"value": self.value, "stream": self.stream, "error": self.error}
        return {"key": self.key, "time": self.at, **said}


@dataclass(frozen=True, slots=True)
class Look:
    """A timeline at one moment: the keys with the newest events, newest first, and how many keys there are,
    at the position of each stream; and how many events were accepted and refused, which may be more than up
    to there."""

    keys: tuple[Recent, ...]
    count: int
    accepted: int
    refused: int
    positions: tuple[Position | None, ...]
