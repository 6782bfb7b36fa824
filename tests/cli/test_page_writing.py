"""What the page's editor stands on: drafts of specs, what is wrong with texts, dry runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.places import ROOT
from timeline.cli.serving.page.draft import Draft
from timeline.cli.serving.page.trying import MAX_BYTES, Given, try_out
from timeline.cli.serving.page.writing import completions, wrong_in
from timeline.cli.serving.registering import spec_in
from timeline.errors import EventError, SpecError
from timeline.language.mistakes import Seen
from timeline.spec.loading import load_spec
from timeline.spec.spec import Spec

EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_draft_says_all_that_its_spec_says(path: Path) -> None:
    spec = load_spec(path)
    assert spec_in(Draft.of(spec).data(), "the draft").to_wire() == spec.to_wire()


def test_settings_that_are_no_toml() -> None:
    with pytest.raises(SpecError, match="settings: is not TOML"):
        Draft("plays", texts={"": "count(a == 1)"}, settings="limits = [").data()
    with pytest.raises(SpecError, match="source is a table"):
        Draft("plays", texts={"": "count(a == 1)"}, settings="source = 1").data()


FIXES = [
    ("duration_were(a == 1)", "duration_where(a == 1)"),
    ("count(a = 1)", "count(a == 1)"),
    # What is wrong behind it is told next.
    ("has_existed_witin(a == 1, 5s) && cont(b)", "has_existed_within(a == 1, 5s) && cont(b)"),
    ("count(a ==", None),
    ("count()", None),
]


@pytest.mark.parametrize(("text", "fixed"), FIXES)
def test_a_suggestion_is_taken_where_it_helps(text: str, fixed: str | None) -> None:
    [wrong] = wrong_in({"": text})[""]
    assert (wrong.sure, wrong.fixed) == (True, fixed)
    assert 0 <= wrong.start < wrong.end <= len(text)


def test_an_output_that_is_wrong_and_those_that_say_it() -> None:
    wrong = wrong_in({"n": "count(\n  a == 1", "often": "@n > 2", "other": "!@offen"})
    assert sorted(wrong) == ["n", "other"]
    assert wrong["other"][0].fixed == "!@often"


def test_events_show_doubts_in_the_text_that_has_them() -> None:
    seen = Seen(3, {"delay": frozenset({"number"})}, ["key", "time", "delay"])
    wrong = wrong_in({"a": "count(delay > 1)", "b": 'count(\n  delay == "5")'}, seen)
    [doubt] = wrong["b"]
    assert (list(wrong), doubt.sure) == (["b"], False)
    assert 'count(\n  delay == "5")'[doubt.start : doubt.end] == 'delay == "5"'


def test_an_expression_with_its_question() -> None:
    text = 'count(delay == "5") | aggregate(group_by(often: @value > 2), sum)'
    for name, one in (("", text), ("n", text.replace("@value", "@n"))):
        assert wrong_in({name: one}) == {}
        seen = Seen(3, {"delay": frozenset({"number"})}, ["key", "time", "delay"])
        [doubt] = wrong_in({name: one}, seen)[name]
        assert (doubt.sure, one[doubt.start : doubt.end]) == (False, 'delay == "5"')
        [wrong] = wrong_in({name: one.replace(", sum", ", sun")})[name]
        assert (wrong.sure, one[wrong.start :]) == (True, "sum)")
        assert "did you mean sum?" in wrong.message


def test_what_can_be_written() -> None:
    words = {one["label"]: one for one in completions(["state"], ["n"])}
    assert words["has_existed_within"]["detail"] == "has_existed_within(p, d)"
    assert words["count"]["info"].startswith("At t: the number of events at or before t that match")
    assert (words["state"]["detail"], words["@n"]["detail"]) == ("column", "output")
    assert not any(label.startswith("TL_") for label in words)


CIRR = load_spec(ROOT / "examples" / "cirr.toml")


def test_a_dry_run_is_local_evaluation() -> None:
    text = (ROOT / "examples" / "cirr.jsonl").read_text() + "{oops\n"
    tried = try_out(CIRR, Given.pasted(text))
    assert (tried.keys, tried.told) == (["reference"], ("line 4: not JSON: {oops",))
    drawn = tried.drawn("reference", [CIRR.plan.result])
    assert [(p.start, p.value, p.slope) for p in drawn.lanes[0].pieces] == [(1_000, 0, 0), (7_000, 0, 1)]
    assert [row.value for row in tried.evaluation.values(at=["8s", "10s"])] == [1, 3]


UNFIT = [
    (Given.pasted(""), "no events"),
    (Given.pasted("a,b\n1,2\n"), "no column 'session' in the events; .* under Key column"),
    (Given.pasted("{oops"), "no events there: line 1: not JSON"),
    (Given(b"x" * (MAX_BYTES + 1), ".jsonl"), "try a part"),
]


@pytest.mark.parametrize(("given", "message"), UNFIT)
def test_what_cannot_be_tried(given: Given, message: str) -> None:
    with pytest.raises(EventError, match=message):
        try_out(CIRR, given)


def test_packed_files_are_not_taken() -> None:
    with pytest.raises(EventError, match=r"events.jsonl.gz is not one of"):
        Given.named("events.jsonl.gz", b"")


def test_a_spec_without_a_name() -> None:
    with pytest.raises(SpecError):
        spec_in(Draft(texts={"": "count(a == 1)"}).data(), "the draft")
    assert isinstance(spec_in(Draft("a", texts={"": "count(a == 1)"}).data(), "the draft"), Spec)
