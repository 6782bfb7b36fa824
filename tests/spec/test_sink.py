"""Sinks of specs: everything wrong is said, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cases import cases
from tests.support.sinks import OUTPUTS
from timeline.errors import SpecError
from timeline.spec.loading import load_spec
from timeline.spec.spec import Spec


def problems(tmp_path: Path, sink: str, limits: str = "") -> dict[str, str]:
    path = tmp_path / "spec.toml"
    outputs = "\n".join(f"{name} = '''{text}'''" for name, text in OUTPUTS.items())
    path.write_text(f"name = 't'\n[outputs]\n{outputs}\n[limits]\n{limits}\n[sink]\n{sink}\n")
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    return {p.place: p.message for p in caught.value.problems}


@pytest.mark.parametrize(("sink", "place", "message"), cases("sink_problems", "sink", "place", "problem"))
def test_what_is_wrong_with_a_sink_is_said(tmp_path: Path, sink: str, place: str, message: str) -> None:
    found = problems(tmp_path, sink)
    assert message in found[place], found


@pytest.mark.parametrize(
    ("name", "sink", "place"),
    [
        ("id", {}, "outputs"),
        ("counted_from", {"outputs": ["counted_from"]}, "outputs"),
        ("counted_keys", {"every": "1s", "group_by": ["counted_keys"]}, "group_by"),
        ("excluded_keys", {"every": "1s", "group_by": ["excluded_keys"]}, "group_by"),
        ("stream", {"every": "1s", "group_by": ["stream"], "merged": True}, "group_by"),
    ],
)
def test_no_output_is_written_over_what_a_row_says_of_itself(
    name: str, sink: dict[str, object], place: str
) -> None:
    wire = {
        "name": "t",
        "outputs": {name: "latest_event_to_state(a)", "other": "count(a == 1)"},
        "limits": {"key_ttl": "1h"},
    }
    with pytest.raises(SpecError, match=rf"sink\.{place}: rows have a column {name} of their own"):
        Spec.from_wire(wire | {"sink": {"folder": "f", **sink}})
    # Where no row has it, it may be called so.
    assert Spec.from_wire(wire | {"sink": {"folder": "f", "outputs": ["other"]}}).sinks


def test_an_output_cannot_be_called_as_an_aggregate_of_the_same_row() -> None:
    outputs = {"count": "latest_event_to_state(a)"}
    sink = {"folder": "f", "every": "1s", "agg": "count", "group_by": ["count"]}
    with pytest.raises(SpecError, match="two columns would be called count"):
        Spec.from_wire({"name": "t", "outputs": outputs, "limits": {"key_ttl": "1h"}, "sink": sink})


def test_an_aggregate_must_fit(tmp_path: Path) -> None:
    found = problems(tmp_path, "topic = 't'\nevery = '1s'\nagg = 'sum(state2)'", "key_ttl = '1h'")
    assert "there is no output state2" in found["sink.agg"]


def several(tmp_path: Path, *sinks: str) -> Path:
    path = tmp_path / "spec.toml"
    tables = "".join(f"[[sink]]\n{sink}\n" for sink in sinks)
    path.write_text(f"name = 't'\nexpression = 'count(x == 1)'\n{tables}")
    return path


@pytest.mark.parametrize(
    ("sinks", "place", "message"),
    [
        (
            ["topic = 'a'", "topic = 'b'"],
            "sink",
            "2 sinks have no name; give each a name of its own",
        ),
        (["topic = 'a'\nname = 'n'"] * 2, "sink", "2 sinks are called 'n'"),
        ([f"topic = 'a'\nname = 'n{n}'" for n in range(17)], "sink", "there are at most 16 sinks, got 17"),
        (["topic = 'a'", "topic = 'b'\nname = 'n'\non = 'close'"], "sink.n.on", "needs limits.key_ttl"),
        (["topic = 'a'", "topic = 'b'\nname = 'n'\non = 'odd'"], "sink.1.on", "must be 'change' or 'close'"),
    ],
)
def test_what_is_wrong_with_several(tmp_path: Path, sinks: list[str], place: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(several(tmp_path, *sinks))
    assert [p.place for p in caught.value.problems] == [place]
    assert message in caught.value.problems[0].message


def test_several_are_registered_as_a_list_and_one_as_ever(tmp_path: Path) -> None:
    spec = load_spec(several(tmp_path, "folder = 'a'", "name = 'n'\nurl = 'https://example.com/rows'"))
    folder = str(tmp_path / "a")
    assert spec.to_wire()["sink"] == [{"folder": folder}, {"name": "n", "url": "https://example.com/rows"}]
    assert Spec.from_wire(spec.to_wire()) == spec
    one = load_spec(several(tmp_path, "folder = 'a'"))
    assert one.to_wire()["sink"] == {"folder": folder}
    assert Spec.from_wire(one.to_wire()) == one
    assert one.source_id == spec.source_id
