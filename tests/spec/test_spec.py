"""Specs: what is understood, and that everything wrong is said at once, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cases import cases
from tests.support.specs import GOOD, load, problems
from timeline.errors import SpecError
from timeline.spec.loading import load_spec
from timeline.spec.spec import Spec


def test_defaults(tmp_path: Path) -> None:
    spec = load(tmp_path, GOOD)
    assert (spec.source.key, spec.source.time, spec.source.unit) == ("key", "time", "ms")
    assert (spec.limits.allowed_lateness, spec.limits.retention, spec.limits.shards) == (60_000, 3_600_000, 1)


def test_files_are_beside_the_spec(tmp_path: Path) -> None:
    spec = load(tmp_path, GOOD + "[source]\nfiles = ['a.jsonl', '/b.jsonl']\n")
    assert spec.source.files == (str(tmp_path / "a.jsonl"), "/b.jsonl")


def test_survives_the_wire(tmp_path: Path) -> None:
    spec = load(tmp_path, GOOD + "[limits]\nallowed_lateness = 1.5\nretention = '2h'\nshards = 3\n")
    assert Spec.from_wire(spec.to_wire()) == spec
    assert spec.to_wire()["limits"] == {"allowed_lateness": "1500ms", "retention": "2h", "shards": 3}


def test_all_problems_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """
name = "Bad Name!"
expression = "duration_where(has_existed(a = 1))"
extra = 3
[source]
key = ""
unit = "parsec"
[limits]
shards = 1000
retention = "soon"
allowed_lateness = -5
""",
    )
    assert list(found) == [
        "name",
        "expression",
        "source.key",
        "source.unit",
        "limits.allowed_lateness",
        "limits.retention",
        "limits.shards",
        "extra",
    ]
    assert found["name"].endswith("begin with a letter or digit, got 'Bad Name!'")
    assert found["source.key"] == "must not be empty, got ''"
    assert found["source.unit"] == "must be 'ms', 's', 'us', 'ns' or 'rfc3339', got 'parsec'"
    assert found["limits.allowed_lateness"].startswith("not a duration: '-5'; write a number and a unit")
    assert found["limits.retention"].startswith("not a duration: 'soon'")
    assert found["limits.shards"] == "must be less than or equal to 256, got 1000"
    assert found["extra"] == "is not known here"


def test_expression_has_a_caret(tmp_path: Path) -> None:
    text = 'name = "x"\nexpression = """\nduration_where(\n  has_existed(a == 1)\n  && b)\n"""\n'
    line, source, caret = problems(tmp_path, text)["expression"].split("\n")
    assert line.startswith("line ")
    assert source[caret.index("^") :].startswith(("b", "has_existed"))


@pytest.mark.parametrize(("text", "place", "message"), cases("spec_problems", "spec", "place", "problem"))
def test_one_problem(tmp_path: Path, text: str, place: str, message: str) -> None:
    assert problems(tmp_path, text)[place] == message


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    assert problems(tmp_path, b"\xff")["file"] == "is not UTF-8 text"


def test_no_file(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "no.toml", "does not exist"), (tmp_path, "Is a directory")):
        with pytest.raises(SpecError, match=message):
            load_spec(path)


def test_files_of_a_name_are_one_source() -> None:
    def source(timeline: str, **of: str) -> str:
        return Spec.from_wire({"name": timeline, "expression": "has_existed(a == 1)", "source": of}).source_id

    assert source("one") != source("two")
    assert source("one", name="player") == source("two", name="player")
    assert source("one", name="player") != source("one", name="player", key="session")
    assert source("one", name="player").startswith("player.")
    # What was registered before sources had names keeps its nodes.
    assert source("one") == "one.b3cbd0df"
    assert source("one", topic="t") == "t.b7962a8c"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[limits]\nshards = " + "9" * 5_000, "is not TOML: Exceeds the limit (4300 digits)"),
        ("x = " + "[" * 20_000 + "]" * 20_000, "is not TOML: it is nested too deeply"),
        ("a." * 20_000 + "b = 1", "line 3 has a key of 20001 parts; no table is so deep"),
        ('"' + "k" * (1 << 20) + '" = 1', "has 1048632 characters, at most 1048576 are read; is it a spec?"),
    ],
    ids=["digits", "brackets", "dots", "length"],
)
def test_files_that_no_spec_can_be(tmp_path: Path, text: str, message: str) -> None:
    found = problems(tmp_path, GOOD + text)
    assert found["file"].startswith(message)
    assert len(found["file"]) < 400


def test_of_many_problems_and_long_ones_some_is_told(tmp_path: Path) -> None:
    many = "".join(f"k{i} = 1\n" for i in range(3_000)) + f"{'k' * 10_000} = 1\n"
    found = problems(tmp_path, GOOD + many)
    assert len(found) == 51
    assert found["spec"] == "and 2951 more problems"
    long = problems(tmp_path, GOOD + '[limits]\nretention = "' + "9" * 5_000 + 'h"')
    assert len(long["limits.retention"]) < 400
