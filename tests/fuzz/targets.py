"""What is fed with odd inputs. A target may raise a `TimelineError`, and nothing else."""

from __future__ import annotations

import asyncio
import gzip
import io
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from temporalio.api.common.v1 import Payload

from tests.fuzz import mutations
from tests.support.hostile import BATCH, PATCH
from timeline.aggregate.parsing import parse_aggregates
from timeline.aggregate.where import parse_where
from timeline.engine.fitting import check_slots
from timeline.engine.fragment import LiveFragment
from timeline.engine.wire import from_patch
from timeline.errors import TimelineError
from timeline.fragments import fragments_of
from timeline.language.parser import parse
from timeline.language.printer import print_expression
from timeline.limits import Limits
from timeline.local.evaluate import evaluate
from timeline.plan import make_plan
from timeline.reading import read_events
from timeline.reading.messages import MessageReader
from timeline.spec.loading import load_spec
from timeline.spec.spec import Spec
from timeline.tables.checking import check_batch
from timeline.tables.wire import from_events
from timeline.values.kinds import Kind
from workflows.payloads.codec import prepared
from workflows.payloads.guarded import WorkerCodec, WorkerPayloadConverter

EXPRESSIONS = [
    'duration_where(has_existed(a == "play") && !has_existed_within(a == "seek", 5s) '
    "&& latest_event_to_state(a) == 1)",
    "if(count(a == 1) - lag(count(a == 1), 5s) > 2 * count_rises(has_existed(b)), sum(x) + 1, 0.5) / 3 >= -1",
    "{one: count(true), two: max_so_far(duration_in_cur_state(latest_event_to_state(col('c d')))) != null}",
]
SPECS = [
    'name = "p"\ndescription = "d"\nexpression = "has_existed(a == 1)"\n[source]\ntopic = "t"\nkey = "k"\n'
    'time = "t"\nunit = "ms"\nstart = "earliest"\n[limits]\nshards = 4\nretention = "1h"\nkey_ttl = 5\n',
    'name = "q"\n[outputs]\nn = "count(a == 1)"\nbig = "@n > 2"\n[source]\nfiles = ["a.jsonl"]\n[run]\n'
    'fragments = "node"\n[sink]\nfolder = "out"\nwhen = "close"\n',
]
LINES = [
    '{"key": "k", "time": 1000, "a": "play", "x": 1.5}\n'
    '{"key": 7, "time": "2026-01-01T00:00:00Z", "a": null}\n'
]
CSV = ['key,time,a,x\nk,1000,play,1.5\n"l",2026-01-01T00:00:00Z,"a ""b""",\n']
ENCODINGS = (b"json/plain", b"binary/zstd", b"binary/encrypted", b"binary/plain", b"binary/null")
KINDS = {"n": Kind.NUMERIC, "s": Kind.STATE, "b": Kind.BOOL}
REQUEST = {"agg": "count, sum(n), p99(n), histogram(n, 0, 1)", "where": "n > 1 && s == 'x'"}


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-"))


def _dsl(random: Random) -> Any:
    return mutations.text(random, EXPRESSIONS)


def dsl(text: str) -> None:
    tree = parse(text)
    assert parse(print_expression(tree)) == tree
    make_plan(text)


def spec(text: str) -> None:
    path = _folder() / "spec.toml"
    path.write_text(text, "utf-8", "surrogatepass")
    assert Spec.from_wire(load_spec(path).to_wire()).name


def wire_spec(wire: Any) -> None:
    Spec.from_wire(wire)


def _file(name: str, data: bytes) -> None:
    path = _folder() / name
    path.write_bytes(data)
    for block in read_events(path, key="key", time="time", columns=["a", "x"]):
        if len(block.events):
            evaluate(make_plan('latest_event_to_state(a) == "play"'), block.events)


def jsonl(data: bytes) -> None:
    _file("a.jsonl", data)
    MessageReader("topic", key="key", time="time", columns=["a", "x"]).read(data.split(b"\n"))


def csv(data: bytes) -> None:
    _file("a.csv", data)


def gz(data: bytes) -> None:
    _file("a.jsonl.gz", data)


def parquet(data: bytes) -> None:
    _file("a.parquet", data)


def aggregates(text: str) -> None:
    parse_aggregates(text, KINDS)


def where(text: str) -> None:
    parse_where(text, KINDS)


def payload(data: bytes) -> None:
    number, data = (data or b"\0")[0] % len(ENCODINGS), data[1:]
    metadata = {"encoding": ENCODINGS[number], "key-id": data[:3]}
    [decoded] = asyncio.run(WorkerCodec().decode([Payload(metadata=metadata, data=data)]))
    WorkerPayloadConverter().from_payload(decoded)


class _Pair:
    """A leaf and its parent, to which it is told what they may refuse, and then what they may not."""

    def __init__(self) -> None:
        plan = make_plan('latest_event_to_state(state) == "buffer"')
        limits = Limits(60_000, 3_600_000)
        self.leaf, self.parent = (LiveFragment(plan, f, limits) for f in fragments_of(plan, "node"))
        self.take(BATCH | {"last": [1, 9], "position": [[1, 0], [1, 1]], "tick": [1_000, 500]})

    def take(self, wire: Any) -> None:
        events, last = from_events(wire)
        check_batch(events, last, self.leaf.fed)
        if self.leaf.fed is None or last > self.leaf.fed:
            for _, patch in self.leaf.accept(events, last):
                self.tell(patch, [0])

    def tell(self, patch: Any, inputs: Any) -> None:
        check_slots(inputs, len(self.parent.fragment.slots))
        self.parent.check(inputs, patch)
        for slot in inputs:
            self.parent.receive(slot, patch)
        self.parent.advance()


def batch(wire: Any) -> None:
    pair = _Pair()
    try:
        pair.take(wire)
    finally:
        pair.take(BATCH | {"last": [1 << 40, 9], "position": [[1 << 40, 0], [1, 1]]})


def patch(wire: Any) -> None:
    pair = _Pair()
    pair.tell(from_patch(wire), wire.get("inputs", []))


@cache
def _parquet() -> list[bytes]:
    made = []
    for compression in ("zstd", "none"):
        sink = io.BytesIO()
        table = pa.table(
            {"key": ["k", "l", None], "time": [1, 2, 3], "a": ["play", "x", ""], "x": [1.0, 2.0, 3.0]}
        )
        pq.write_table(table, sink, compression=compression)
        made.append(sink.getvalue())
    return made


@cache
def _payloads() -> list[bytes]:
    """Payloads, whose first byte says which encoding they have."""
    many = np.arange(200) ** 2
    values = [BATCH, PATCH, BATCH | {"key": many, "tick": many}, "text", [1, 2, 3] * 900]
    made = [prepared(value).payload for value in values]
    seeds = [bytes([ENCODINGS.index(one.metadata["encoding"])]) + one.data for one in made]
    return [*seeds, bytes([2]) + b"x" * 40, bytes([1]) + zstandard.compress(made[0].data * 50)]


def _encoded(seeds: list[str]) -> list[bytes]:
    return [seed.encode() for seed in seeds]


Make = Callable[[Random], Any]
#: By name: what makes an input, and what is fed with it.
TARGETS: dict[str, tuple[Make, Callable[[Any], None]]] = {
    "dsl": (_dsl, dsl),
    "spec": (lambda r: mutations.text(r, SPECS), spec),
    "wire": (lambda r: mutations.message(r, Spec(name="p", expression=EXPRESSIONS[0]).to_wire()), wire_spec),
    "jsonl": (lambda r: mutations.raw(r, _encoded(LINES)), jsonl),
    "lines": (lambda r: mutations.text(r, LINES).encode(), jsonl),
    "csv": (lambda r: mutations.text(r, CSV).encode(), csv),
    "gz": (lambda r: mutations.raw(r, [gzip.compress(LINES[0].encode() * 20, mtime=0)]), gz),
    "parquet": (lambda r: mutations.raw(r, _parquet()), parquet),
    "aggregates": (lambda r: mutations.text(r, [REQUEST["agg"]]), aggregates),
    "where": (lambda r: mutations.text(r, [REQUEST["where"]]), where),
    "payload": (lambda r: mutations.raw(r, _payloads()), payload),
    "batch": (lambda r: mutations.message(r, BATCH), batch),
    "patch": (lambda r: mutations.message(r, PATCH), patch),
}


def feed(name: str, made: Any) -> str | None:
    """Why a target refuses an input; what it raises besides is a finding."""
    try:
        TARGETS[name][1](made)
    except TimelineError as error:
        said = str(error)
        assert len(said) < 20_000, f"an error of {len(said)} characters"
        return said
    return None


def kept(made: Any) -> bytes:
    """An input as a file keeps it."""
    return made if isinstance(made, bytes) else orjson.dumps(made)
