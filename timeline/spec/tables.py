"""The tables of a spec: ``[source]``, ``[limits]``, ``[run]``. docs/spec.md is made of what is said here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from timeline.errors import DurationError, TimelineError
from timeline.fragments import Policy
from timeline.spec.parts import Duration, DurationOrNever, Part, Watermark
from timeline.values.ticks import parse_time
from timeline.values.zones import zone_named

#: After how long (ms) a silent topic gets a mark, where a spec does not say.
IDLE = 10_000
#: How far ahead (ms) of the feeder's clock an event may be, where a spec does not say.
MAX_AHEAD = 86_400_000


def _start(value: Any) -> Any:
    if not isinstance(value, str) or value in ("earliest", "latest"):
        return value
    try:
        parse_time(value)
    except TimelineError as error:
        raise ValueError(f'give "earliest", "latest" or a time: {error}') from None
    return value


class Source(Part):
    """Where the events are and how they are read: a ``topic``, or ``files`` beside the spec.

    Timelines that name the same ``topic``, or for files the same ``name``, are of one source: what is fed
    to one of them is fed to all, and what their expressions have in common is computed once.
    ``start`` is where a topic is read from: ``earliest``, ``latest`` (from when a feeder first takes it),
    or a time (RFC 3339, or ms since the epoch) at or after which messages were published.

    A topic that is silent for ``idle`` (ms; ``None``: however long) gets marks, at most so often: its time
    goes on with the clock.
    """

    topic: str | None = Field(
        default=None,
        min_length=1,
        description="The Pulsar topic that a feeder reads. Not together with `files`.",
    )
    name: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$",
        description="For files: the name of this source. Timelines whose source has the same name share "
        "their events, and compute once what their expressions have in common. See "
        "[sharing.md](sharing.md).",
    )
    files: tuple[str, ...] = Field(
        default=(),
        description="Files of events: JSON Lines, CSV or Parquet. Paths begin at the folder of the spec.",
    )
    key: str = Field(
        default="key",
        min_length=1,
        description="The column that says whose event it is: a viewer, a card, a machine.",
    )
    time: str = Field(
        default="time", min_length=1, description="The column that says when the event happened."
    )
    unit: Literal["ms", "s", "us", "ns", "rfc3339"] = Field(
        default="ms",
        description="The unit of times that are numbers, since 1970. Text in the form of RFC 3339 "
        "(`2026-01-31T12:00:00Z`) works with each unit.",
    )
    timezone: str | None = Field(
        default=None,
        description="The zone of times that have none, such as `Europe/Berlin`. Without this key, text "
        "without a zone is no time, and timestamps of Parquet without a zone are in UTC.",
    )
    start: Annotated[str, BeforeValidator(_start)] = Field(
        default="earliest",
        description="Where a topic is read from: `earliest` is its first message; `latest` is where it "
        "ends when a feeder first takes it; a time is the first message that was published then or later.",
    )
    idle: DurationOrNever = Field(
        default=IDLE,
        description="If a topic is silent for this long, its time goes on with the clock: it gets a mark, "
        "and another one after each such time. See "
        "[language.md](language.md#lives-the-streams-time-and-lateness).",
    )

    @property
    def numeric_unit(self) -> Literal["ms", "s", "us", "ns"]:
        """The unit of times that are numbers; RFC 3339 text is understood with any."""
        return "ms" if self.unit == "rfc3339" else self.unit

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        try:
            return None if name is None else zone_named(name).key
        except DurationError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        if self.topic is not None and self.files:
            raise ValueError("give topic or files, not both")
        if self.idle is not None and self.idle < 1:
            raise ValueError('idle must be at least 1ms, or "never"')
        if self.topic is not None and self.name is not None:
            raise ValueError("give topic or name, not both")
        return self


class SpecLimits(Part):
    """How long events may be late, by the newest event of their key or by the stream's time (``watermark``),
    how far ahead of the feeder's clock (``None``: any time), how far back nodes can be asked, after how long
    without events a key is closed (never where ``key_ttl`` is not given), how many streams share the work."""

    allowed_lateness: Duration = Field(
        default=60_000,
        description="An event that is older by more than this than the newest of its key, or than the "
        "stream's time (as `watermark` says), is refused as late.",
    )
    retention: Duration = Field(
        default=3_600_000,
        description="How far back you can ask every node, at least. Older values are forgotten.",
    )
    key_ttl: Duration | None = Field(
        default=None,
        description="If a key has no events for this long, its life (a session) ends, and its next event "
        "begins a new one. Without this key of the spec no life ends. See "
        "[language.md](language.md#lives-the-streams-time-and-lateness).",
    )
    watermark: Watermark = Field(
        default="key",
        description="Which time decides whether an event is late: the newest event of its own `key`, or the "
        "newest of the whole `stream`.",
    )
    max_ahead: DurationOrNever = Field(
        default=MAX_AHEAD,
        description="An event that is further ahead of the feeder's clock than this is taken for a wrong "
        "clock: it becomes a dead letter.",
    )
    shards: int = Field(
        default=1,
        ge=1,
        le=256,
        strict=True,
        description="Into how many streams the keys of a partition (or of the files) are divided. Several "
        "workers can then share the work.",
    )

    def as_identity(self) -> dict[str, Any]:
        """What of it makes other events, as it was before there was more."""
        default = {"max_ahead"} if self.max_ahead == MAX_AHEAD else set()
        default |= {"watermark"} if self.watermark == "key" else set()
        return {name: v for name, v in self.model_dump().items() if v is not None and name not in default}


class Run(Part):
    """How a timeline runs: which of its nodes share a workflow (`timeline.fragments`), and how often at most
    events are brought to a stream (``min_wave_interval``, ms; a full batch does not wait)."""

    fragments: Policy = Field(
        default="operator",
        description="Which nodes share a workflow. `operator`: `!`, `&&` and `||` share that of their "
        "operator. `node`: none. `stream`: all of a stream, which is fastest. See "
        "[fragments.md](fragments.md).",
    )
    min_wave_interval: Duration = Field(
        default=0,
        description="Events come to a stream at most once in this time; a full batch does not wait. It saves "
        "Temporal actions.",
    )
