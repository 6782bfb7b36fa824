"""A dry run: an expression over events that somebody gave, here and now; nothing is registered."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from timeline.cli.serving.models import Lane
from timeline.cli.serving.page.drawn import Drawn, lanes_of
from timeline.cli.serving.pieces import pieces
from timeline.errors import EventError
from timeline.language.mistakes import Seen
from timeline.local.evaluate import evaluate
from timeline.local.evaluation import Evaluation
from timeline.plan import PlanNode
from timeline.reading import Block, read_events
from timeline.reading.heads import head_of
from timeline.reading.looking import Looking
from timeline.spec.spec import Spec
from timeline.tables.events import concat, no_events

#: Bytes and number of events that are tried, and keys that are offered.
MAX_BYTES, MAX_EVENTS, MAX_KEYS = 900_000, 100_000, 1_000
SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".parquet", ".pq")
#: Of the rows that are no events so many are shown.
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Given:
    """Events as somebody gave them: the bytes of a file, and the suffix that says which."""

    data: bytes
    suffix: str

    @classmethod
    def pasted(cls, text: str) -> Given:
        """Text is lines of JSON, or CSV.

        >>> Given.pasted('{"key": "a"}').suffix, Given.pasted("key,time").suffix
        ('.jsonl', '.csv')
        """
        return cls(text.encode(), ".jsonl" if text.lstrip().startswith("{") else ".csv")

    @classmethod
    def named(cls, name: str, data: bytes) -> Given:
        """A file of that name.

        Raises:
            EventError: it is of a form that is not tried here: packed ones may hold anything.
        """
        suffix = Path(name).suffix.lower()
        if suffix not in SUFFIXES:
            raise EventError(f"{name} is not one of {', '.join(SUFFIXES)}")
        return cls(data, suffix)


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it: the evaluation, what was seen of the events, what was left out, in words."""

    evaluation: Evaluation
    seen: Seen
    told: tuple[str, ...]

    @property
    def keys(self) -> list[str]:
        return self.evaluation.names()[:MAX_KEYS]

    def drawn(self, key: str, nodes: Sequence[PlanNode]) -> Drawn:
        """The lanes of a key."""
        origin, newest = self.evaluation.span(key)
        lanes = [
            Lane(
                node=node.text,
                operator=node.operator.name,
                kind=node.kind.value,
                origin=origin,
                newest=newest,
                pieces=pieces(self.evaluation.timeline(key, node).json_rows()),
                error=None,
            )
            for node in nodes
        ]
        return lanes_of(lanes, None)


def columns_in(given: Given, time: str) -> tuple[str, ...]:
    """The names of the columns that events carry; none if they cannot be read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"events{given.suffix}"
        path.write_bytes(given.data)
        try:
            return head_of(str(path), time).names
        except EventError:
            return ()


def try_out(spec: Spec, given: Given) -> Tried:
    """Evaluates a spec over events.

    Raises:
        EventError: they cannot be read, or there are none.
    """
    source, plan = spec.source, spec.plan
    if len(given.data) > MAX_BYTES:
        raise EventError(f"a dry run takes {MAX_BYTES} bytes of events, got {len(given.data)}: try a part")
    looking = Looking(plan.result.expression, plan.columns, source.time, source.numeric_unit)
    blocks: list[Block] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"events{given.suffix}"
        path.write_bytes(given.data)
        try:
            head = head_of(str(path), source.time)
            for block in read_events(
                path,
                key=source.key,
                time=source.time,
                columns=list(plan.columns),
                unit=source.numeric_unit,
            ):
                looking.add(block.events)
                blocks.append(block)
                if sum(len(one.events) for one in blocks) > MAX_EVENTS:
                    raise EventError(f"a dry run takes {MAX_EVENTS} events, and there are more: try a part")
        except EventError as error:
            raise EventError(_in_words(str(error), str(path))) from None
    events = concat([b.events for b in blocks]) if blocks else no_events(list(plan.columns), 1)
    rejected = [one for block in blocks for one in block.rejected]
    if not len(events):
        why = f": line {rejected[0].line}: {rejected[0].reason}" if rejected else ""
        raise EventError(f"no events there{why}")
    evaluation = evaluate(plan, events, spec.node_limits, jobs=1)
    told = [f"line {one.line}: {one.reason}: {one.text}" for one in rejected[:SHOWN]]
    if len(rejected) > SHOWN:
        told.append(f"... {len(rejected)} lines in all hold no event")
    if evaluation.refused:
        told.append(f"{evaluation.refused} events refused: later than allowed_lateness, or of a closed key")
    told += [str(one) for one in looking.mistakes(lambda: head) if one.kind == "unit"]
    return Tried(evaluation, looking.seen(head.names), tuple(told))


def _in_words(text: str, path: str) -> str:
    """What is wrong with a file that nobody has named, to somebody who gave no options."""
    for option, label in (("--key-column", "Key column"), ("--time-column", "Time column")):
        text = text.replace(f"with {option}", f"under {label}")
    return text.replace(path, "the events")
