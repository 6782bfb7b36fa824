"""``[sink]`` of a spec: where final rows of a timeline go on to, when, and which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from timeline.aggregate import Request
from timeline.aggregate.where import names_in, parse_where
from timeline.errors import TimelineError, shortened
from timeline.language.output_names import unknown_output
from timeline.spec.parts import Duration, Part, Watermark
from timeline.spec.urls import problem_of
from timeline.values.kinds import Kind

#: Columns that rows of keys, and those of groups, have beside outputs; others no output may be called.
OF_KEYS = ("id", "timeline", "stream", "counted_from")
OF_GROUPS = ("id", "timeline", "stream", "counted_keys", "excluded_keys")


def _url(text: str) -> str:
    if (problem := problem_of(text)) is not None:
        raise ValueError(f"{problem}, got {shortened(repr(text))}")
    return text


class Sink(Part):
    """A ``topic``, a ``folder`` of files, or a webhook's ``url``; rows at every change, when a key closes, or
    at the multiples of ``every`` (ms) of event time. ``outputs`` are all where none are named. Of several
    sinks of a timeline each has another ``name``; one of them may have none.

    With ``agg`` a row is one group of all keys of a stream at a time, ``merged`` of all streams; else one key
    at a time.

    >>> sink = Sink(topic="alerts", outputs=("late",), where="late")
    >>> sink.when, sink.needs({"late": Kind.BOOL, "cdn": Kind.STATE})
    ('change', ['late'])
    """

    name: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$",
        description="The name of a sink, if there are several: see [sinks.md](sinks.md).",
    )
    topic: str | None = Field(
        default=None,
        min_length=1,
        description="The Pulsar topic that rows go to. Or give `folder`, or `url`.",
    )
    folder: str | None = Field(
        default=None,
        min_length=1,
        description="The folder for files of rows. A path begins at the folder of the spec. On the worker "
        "the folder must lie below its `--sink-root`.",
    )
    url: Annotated[str, AfterValidator(_url)] | None = Field(
        default=None,
        description="The webhook that rows are sent to. The worker must allow it. See [sinks.md](sinks.md).",
    )
    format: Literal["jsonl", "parquet"] | None = Field(
        default=None, description="The format of files. JSON Lines by default."
    )
    on: Literal["change", "close"] | None = Field(
        default=None,
        description="When a row is made: `change`, whenever an output changes (the default); `close`, "
        "once, when a life is closed.",
    )
    every: Duration | None = Field(
        default=None,
        description="A row is made at the multiples of this duration, in event time. Not together with `on`.",
    )
    outputs: tuple[str, ...] = Field(default=(), description="The outputs that rows have. All by default.")
    where: str | None = Field(
        default=None, description="A condition on outputs. Only rows for which it is true are made."
    )
    group_by: tuple[str, ...] = Field(
        default=(),
        description="With `agg`: a row for each group of keys with the same values of these outputs.",
    )
    agg: str | None = Field(
        default=None,
        description="A row is about all keys, or about a group of keys, instead of one key. The "
        "aggregates, with commas between. See [aggregates.md](aggregates.md).",
    )
    merged: bool = Field(
        default=False,
        description="With `agg`: one row for the keys of all streams, instead of one for each stream. See "
        "[sinks.md](sinks.md).",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Sink:
        if [self.topic, self.folder, self.url].count(None) != 2:
            raise ValueError("give topic, folder or url, one of them: that is where rows go")
        if self.format is not None and self.folder is None:
            raise ValueError("format is for files: give folder, not topic or url")
        if self.on is not None and self.every is not None:
            raise ValueError('give on ("change" or "close") or every, not both')
        if self.every is not None and self.every < 1:
            raise ValueError("every must be at least 1ms")
        if self.aggregates and self.every is None:
            raise ValueError("agg and group_by need every: the times at which all keys are looked at")
        if self.merged and not self.aggregates:
            raise ValueError("merged is for rows of groups: give agg or group_by, and every")
        if self.aggregates and self.outputs:
            raise ValueError("give outputs (a row a key) or agg and group_by (a row a group), not both")
        return self

    @property
    def aggregates(self) -> bool:
        """Whether rows are of groups of keys."""
        return self.agg is not None or bool(self.group_by)

    @property
    def kind(self) -> Literal["topic", "jsonl", "parquet", "webhook"]:
        """What is written."""
        if self.url is not None:
            return "webhook"
        return "topic" if self.topic is not None else self.format or "jsonl"

    @property
    def place(self) -> str:
        """The topic, the folder or the URL."""
        return self.topic or self.folder or self.url or ""

    @property
    def when(self) -> Literal["change", "close", "every"]:
        """What makes a row."""
        return "every" if self.every is not None else self.on or "change"

    def label(self, timeline: str) -> str:
        """What it is called in ids of rows and workflows, and in names of files.

        >>> Sink(topic="t").label("plays"), Sink(topic="t", name="pager").label("plays")
        ('plays', 'plays+pager')
        """
        return timeline if self.name is None else f"{timeline}+{self.name}"

    def shown(self, kinds: Mapping[str, Kind]) -> list[str]:
        """The outputs that rows of keys have, in order."""
        return list(self.outputs or kinds)

    def request(self, kinds: Mapping[str, Kind]) -> Request:
        """The question that is asked of all keys at one time, if rows are of groups.

        Raises:
            RequestError: it does not fit the outputs.
            ExpressionError: a condition that cannot be understood.
        """
        return Request.parse(kinds, agg=self.agg, group_by=self.group_by, where=self.where)

    def needs(self, kinds: Mapping[str, Kind]) -> list[str]:
        """The outputs that rows are made of, in the order of the timeline's.

        Raises:
            RequestError, ExpressionError: what does not fit the outputs.
        """
        wanted = set(self.shown(kinds))
        if self.aggregates:
            request = self.request(kinds)
            wanted = {*request.group_by, *(a.output for a in request.aggregates if a.output)}
        else:
            for name in self.outputs:
                if name not in kinds:
                    raise unknown_output(name, kinds)
        if self.where is not None:
            wanted |= names_in(parse_where(self.where, kinds))
        # To count keys, one output is enough to know when each begins.
        return [name for name in kinds if name in wanted] or list(kinds)[:1]

    def _taken(self, kinds: Mapping[str, Kind]) -> str | None:
        """An output whose column a row has for something else."""
        names, own = (self.group_by, OF_GROUPS) if self.aggregates else (self.shown(kinds), OF_KEYS)
        return next((name for name in names if name in own), None)

    def problem(
        self, kinds: Mapping[str, Kind], key_ttl: int | None, watermark: Watermark
    ) -> tuple[str, str] | None:
        """The field that does not fit the timeline, and why; ``None`` when all do."""
        if key_ttl is None and self.when == "close":
            return "on", "needs limits.key_ttl: without it no key is ever closed"
        if key_ttl is None and watermark == "key" and self.aggregates:
            return "agg", (
                'needs limits.key_ttl, or limits.watermark = "stream": without them an event of another key '
                "may always come, however old, so that no aggregate is ever final"
            )
        if len(set(self.outputs)) < len(self.outputs):
            return "outputs", "names an output twice"
        if (name := self._taken(kinds)) is not None:
            return "group_by" if self.aggregates else "outputs", (
                f"rows have a column {name} of their own (docs/sinks.md); give the output {name} another name"
            )
        try:
            if self.where is not None:
                parse_where(self.where, kinds)
        except TimelineError as error:
            return "where", str(error)
        try:
            self.needs(kinds)
        except TimelineError as error:
            return ("agg" if self.agg else "group_by") if self.aggregates else "outputs", str(error)
        return None
