"""The spec of a timeline: a TOML file, checked in whole before anything is done with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal, NoReturn

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from timeline.aggregate import kinds_of
from timeline.aggregate.piped import Piped, read_piped
from timeline.errors import ExpressionError, Problem, RequestError, SpecError, TimelineError, shortened
from timeline.fragments import Fragment, Policy, fragments_of
from timeline.language.expression import Outputs
from timeline.language.parser import parse
from timeline.language.references import read_outputs
from timeline.limits import Limits
from timeline.plan import Plan, PlanNode, make_plan
from timeline.spec.parts import Duration, DurationOrNever, Part, Watermark
from timeline.spec.problems import problems_of
from timeline.spec.sink import Sink
from timeline.values.ticks import parse_time

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

    topic: str | None = Field(default=None, min_length=1)
    name: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    files: tuple[str, ...] = ()
    key: str = Field(default="key", min_length=1)
    time: str = Field(default="time", min_length=1)
    unit: Literal["ms", "s", "us", "ns", "rfc3339"] = "ms"
    start: Annotated[str, BeforeValidator(_start)] = "earliest"
    idle: DurationOrNever = IDLE

    @property
    def numeric_unit(self) -> Literal["ms", "s", "us", "ns"]:
        """The unit of times that are numbers; RFC 3339 text is understood with any."""
        return "ms" if self.unit == "rfc3339" else self.unit

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

    allowed_lateness: Duration = 60_000
    retention: Duration = 3_600_000
    key_ttl: Duration | None = None
    watermark: Watermark = "key"
    max_ahead: DurationOrNever = MAX_AHEAD
    shards: int = Field(default=1, ge=1, le=256, strict=True)

    def as_identity(self) -> dict[str, Any]:
        """What of it makes other events, as it was before there was more."""
        default = {"max_ahead"} if self.max_ahead == MAX_AHEAD else set()
        default |= {"watermark"} if self.watermark == "key" else set()
        return {name: v for name, v in self.model_dump().items() if v is not None and name not in default}


class Run(Part):
    """How a timeline runs: which of its nodes share a workflow (`timeline.fragments`), and how often at most
    events are brought to a stream (``min_wave_interval``, ms; a full batch does not wait)."""

    fragments: Policy = "operator"
    min_wave_interval: Duration = 0


class Spec(Part):
    """A named expression, or several ``outputs``, over a source.

    >>> spec = Spec(name="plays", expression='has_existed(state == "play")')
    >>> spec.limits.allowed_lateness, spec.plan.result.text
    (60000, 'has_existed(state == "play")')
    >>> both = {"n": "count(state == 'play')", "often": "@n > 2"}
    >>> Spec(name="plays", outputs=both).plan.result.text
    '{n: count(state == "play"), often: count(state == "play") > 2}'
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    description: str = ""
    outputs: dict[str, str] = Field(default={})
    expression: str | None = Field(default=None, validate_default=True)
    source: Source = Source()
    limits: SpecLimits = SpecLimits()
    run: Run = Run()
    sink: Sink | None = None

    @field_validator("limits")
    @classmethod
    def _positive_ttl(cls, limits: SpecLimits) -> SpecLimits:
        if limits.key_ttl is not None and limits.key_ttl < 1:
            raise ValueError("key_ttl must be at least 1ms; leave it out to keep keys for ever")
        return limits

    @field_validator("outputs")
    @classmethod
    def _outputs_understood(cls, texts: dict[str, str]) -> dict[str, str]:
        _, problems = read_outputs(texts)
        if problems:
            _refuse({name: (_with_caret(error), texts[name]) for name, error in problems.items()})
        return texts

    @field_validator("expression")
    @classmethod
    def _understood(cls, text: str | None, info: ValidationInfo) -> str | None:
        # Outputs that were refused are not in the data, and then nothing else is missing.
        outputs = info.data.get("outputs", {"refused": ""})
        if text is None:
            if not outputs:
                raise PydanticCustomError("value_error", "is missing; or give [outputs], several by name")
            return None
        if outputs:
            raise ValueError("give expression or outputs, not both")
        try:
            if read_piped(text) is not None:
                return text
            tree = parse(text)
        except (ExpressionError, RequestError) as error:
            raise ValueError(_with_caret(error)) from None
        if isinstance(tree, Outputs):
            raise ValueError("is a set of outputs; give each a line of its own under [outputs]")
        return text

    @field_validator("sink")
    @classmethod
    def _sink_fits(cls, sink: Sink | None, info: ValidationInfo) -> Sink | None:
        # Beside an expression or limits that were refused, nothing is known to fit or not.
        if sink is None or not {"expression", "outputs", "limits"} <= info.data.keys():
            return sink
        plan = _plan(info.data["expression"], info.data["outputs"])
        limits = info.data["limits"]
        found = sink.problem(kinds_of(plan), limits.key_ttl, limits.watermark)
        if found is not None:
            place, why = found
            _refuse({place: (why, str(getattr(sink, place)))})
        return sink

    @cached_property
    def plan(self) -> Plan:
        """The nodes of the expression, or of the outputs, which share what they have in common."""
        return _plan(self.expression, self.outputs)

    @cached_property
    def question(self) -> Piped | None:
        """What the expression asks over all keys, if it is piped into ``aggregate(...)``."""
        return None if self.expression is None else read_piped(self.expression)

    @cached_property
    def fragments(self) -> tuple[Fragment, ...]:
        """What a workflow hosts each, children first; the last one's root is the result."""
        return fragments_of(self.plan, self.run.fragments)

    def host(self, node: PlanNode) -> Fragment:
        """The fragment in which a node can be asked: its own, or the first that it lives in."""
        return self._hosts[node.index]

    @cached_property
    def _hosts(self) -> dict[int, Fragment]:
        hosts: dict[int, Fragment] = {}
        for fragment in self.fragments:
            for member in fragment.members:
                hosts.setdefault(member.index, fragment)
        return hosts | {fragment.root.index: fragment for fragment in self.fragments}

    @property
    def definition(self) -> str:
        """The expression, or the outputs with a line for each, as they were written."""
        if self.expression is not None:
            return self.expression.strip()
        return "\n".join(f"{name} = {text.strip()}" for name, text in self.outputs.items())

    @property
    def node_limits(self) -> Limits:
        """What every node keeps to."""
        limits = self.limits
        by_stream = limits.watermark == "stream"
        return Limits(limits.allowed_lateness, limits.retention, limits.key_ttl, by_stream)

    @property
    def source_label(self) -> str:
        """The source as a person calls it: its topic or name, or the timeline that the files are for."""
        topic = self.source.topic
        return topic.rsplit("/", 1)[-1] if topic else self.source.name or self.name

    @cached_property
    def source_id(self) -> str:
        """Stands for everything that makes two timelines' events, and so their nodes, the same."""
        excluded = {"files", "name", "idle"} | ({"start"} if self.source.start == "earliest" else set())
        source = self.source.model_dump(exclude=excluded)
        named = f"name {self.source.name}" if self.source.name else f"files of {self.name}"
        identity = [
            self.source.topic or named,
            source,
            self.limits.as_identity(),
        ]
        text = json.dumps(identity, sort_keys=True)
        return f"{self.source_label}.{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def by_policy(self, policy: Policy) -> Spec:
        """The same timeline with its nodes divided by another policy."""
        run = self.run.model_copy(update={"fragments": policy})
        return Spec.from_wire({**self.to_wire(), "run": run.model_dump(mode="json")})

    def to_wire(self) -> dict[str, Any]:
        """The spec as JSON, from which `from_wire` makes it again."""
        wire = self.model_dump(mode="json")
        # What older versions could not say is written as they wrote it, so that registered specs are equal.
        del wire["expression" if self.outputs else "outputs"]
        if self.limits.key_ttl is None:
            del wire["limits"]["key_ttl"]
        if self.limits.max_ahead == MAX_AHEAD:
            del wire["limits"]["max_ahead"]
        if self.limits.watermark == "key":
            del wire["limits"]["watermark"]
        if self.source.start == "earliest":
            del wire["source"]["start"]
        if self.source.idle == IDLE:
            del wire["source"]["idle"]
        if self.run == Run(fragments="node"):
            del wire["run"]
        del wire["sink"]
        if self.sink is not None:
            wire["sink"] = self.sink.model_dump(mode="json", exclude_defaults=True)
        return wire

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Spec:
        """The inverse of `to_wire`. What was read before is not read again: a registry has many.

        A spec that says nothing of how it runs was registered when every node was a workflow.

        Raises:
            SpecError: it is none, or has what this version does not know.
        """
        try:
            return _from_wire(json.dumps({"run": {"fragments": "node"}, **wire}))
        except ValidationError as error:
            name = wire.get("name")
            raise SpecError(f"timeline {shortened(str(name))}", problems_of(error, Spec)) from None
        except (RecursionError, TypeError, ValueError) as error:
            raise SpecError("a timeline", [Problem("spec", f"is none: {shortened(str(error))}")]) from None


@lru_cache(maxsize=2_000)
def _from_wire(text: str) -> Spec:
    return Spec.model_validate(json.loads(text))


def _plan(expression: str | None, outputs: Mapping[str, str]) -> Plan:
    if expression is not None:
        piped = read_piped(expression)
        return make_plan(expression if piped is None else piped.outputs)
    trees, _ = read_outputs(outputs)
    return make_plan(Outputs(tuple(trees), tuple(trees.values())))


def _with_caret(error: ExpressionError | RequestError) -> str:
    caret = "".join(f"\n      {line}" for line in error.caret().splitlines())
    return f"{error}{caret}"


def _refuse(problems: Mapping[str, tuple[str, str]]) -> NoReturn:
    """Raises what pydantic reports with the name of each as its place."""
    raise ValidationError.from_exception_data(
        "outputs",
        [
            InitErrorDetails(
                type=PydanticCustomError("value_error", "{why}", {"why": why}), loc=(name,), input=text
            )
            for name, (why, text) in problems.items()
        ],
    )
