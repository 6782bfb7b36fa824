"""The spec of a timeline: a TOML file, checked in whole before anything is done with it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any, NoReturn

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from timeline.aggregate import kinds_of
from timeline.aggregate.piped import Piped, read_piped
from timeline.errors import ExpressionError, Problem, RequestError, SpecError, shortened
from timeline.fragments import Fragment, Policy, fragments_of
from timeline.language.expression import Outputs
from timeline.language.parser import parse
from timeline.language.references import read_outputs
from timeline.limits import Limits
from timeline.plan import Plan, PlanNode, make_plan
from timeline.spec.parts import Part
from timeline.spec.problems import problems_of
from timeline.spec.sink import Sink
from timeline.spec.tables import IDLE, MAX_AHEAD, Run, Source, SpecLimits

#: Sinks of one timeline.
MAX_SINKS = 16


class Spec(Part):
    """A named expression, or several ``outputs``, over a source.

    >>> spec = Spec(name="plays", expression='has_existed(state == "play")')
    >>> spec.limits.allowed_lateness, spec.plan.result.text
    (60000, 'has_existed(state == "play")')
    >>> both = {"n": "count(state == 'play')", "often": "@n > 2"}
    >>> Spec(name="plays", outputs=both).plan.result.text
    '{n: count(state == "play"), often: count(state == "play") > 2}'
    """

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$",
        description="The name of the timeline in commands: lower-case letters, digits, `-` and `_`, 63 at "
        "most.",
    )
    description: str = Field(default="", description="The question in words; lists and pages show it.")
    outputs: dict[str, str] = Field(
        default={},
        description="Several expressions by name, in place of `expression`, one a line below `[outputs]`; "
        "one may use another as `@name`. See [aggregates.md](aggregates.md).",
    )
    expression: str | None = Field(
        default=None,
        validate_default=True,
        description="The question: see [language.md](language.md).",
    )
    source: Source = Source()
    limits: SpecLimits = SpecLimits()
    run: Run = Run()
    #: ``[sink]``, or several ``[[sink]]``.
    sinks: tuple[Sink, ...] = Field(default=(), alias="sink")

    @field_validator("limits")
    @classmethod
    def _positive_ttl(cls, limits: SpecLimits) -> SpecLimits:
        if limits.key_ttl is not None and limits.key_ttl < 1:
            raise ValueError("key_ttl must be at least 1ms; leave it out to keep keys for ever")
        return limits

    @field_validator("outputs")
    @classmethod
    def _outputs_understood(cls, texts: dict[str, str]) -> dict[str, str]:
        problems: dict[str, ExpressionError | RequestError] = {}
        try:
            if _question(None, texts) is None:
                problems |= read_outputs(texts)[1]
        except (ExpressionError, RequestError) as error:
            problems |= dict.fromkeys(texts, error)
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

    @field_validator("sinks", mode="before")
    @classmethod
    def _one_or_several(cls, sinks: Any) -> Any:
        return (Sink.model_validate(sinks),) if isinstance(sinks, Mapping) else sinks

    @field_validator("sinks")
    @classmethod
    def _sinks_fit(cls, sinks: tuple[Sink, ...], info: ValidationInfo) -> tuple[Sink, ...]:
        if len(sinks) > MAX_SINKS:
            raise ValueError(f"there are at most {MAX_SINKS} sinks, got {len(sinks)}")
        for name, count in Counter(sink.name for sink in sinks).items():
            if count > 1 and name is None:
                raise ValueError(
                    f'{count} sinks have no name; give each a name of its own, such as name = "b"'
                )
            if count > 1:
                raise ValueError(f"{count} sinks are called {name!r}; give each a name of its own")
        # Beside an expression or limits that were refused, nothing is known to fit or not.
        if not sinks or not {"expression", "outputs", "limits"} <= info.data.keys():
            return sinks
        kinds = kinds_of(_plan(info.data["expression"], info.data["outputs"]))
        limits = info.data["limits"]
        problems = {}
        for sink in sinks:
            if (found := sink.problem(kinds, limits.key_ttl, limits.watermark)) is not None:
                place, why = found
                where = place if sink.name is None else f"{sink.name}.{place}"
                problems[where] = (why, str(getattr(sink, place)))
        if problems:
            _refuse(problems)
        return sinks

    def sink(self, name: str | None = None) -> Sink:
        """The sink of that name, or the one without."""
        return next(sink for sink in self.sinks if sink.name == name)

    @cached_property
    def plan(self) -> Plan:
        """The nodes of the expression, or of the outputs, which share what they have in common."""
        return _plan(self.expression, self.outputs)

    @cached_property
    def question(self) -> Piped | None:
        """What the expression, or the only output, asks over all keys by a pipe into ``aggregate(...)``."""
        return _question(self.expression, self.outputs)

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
        excluded |= set() if self.source.timezone else {"timezone"}
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
        if self.source.timezone is None:
            del wire["source"]["timezone"]
        if self.source.idle == IDLE:
            del wire["source"]["idle"]
        if self.run == Run(fragments="node"):
            del wire["run"]
        del wire["sinks"]
        sinks = [sink.model_dump(mode="json", exclude_defaults=True) for sink in self.sinks]
        if sinks:
            wire["sink"] = sinks[0] if len(sinks) == 1 else sinks
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


def _question(expression: str | None, outputs: Mapping[str, str]) -> Piped | None:
    if expression is not None:
        return read_piped(expression)
    # Of several outputs none can be piped: the question is of all of them.
    return read_piped(*outputs.values(), *outputs) if len(outputs) == 1 else None


def _plan(expression: str | None, outputs: Mapping[str, str]) -> Plan:
    piped = _question(expression, outputs)
    if piped is not None:
        return make_plan(piped.outputs)
    if expression is not None:
        return make_plan(expression)
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
