"""`timeline eval` tells what is likely to be a mistake, and nothing where all is well."""

from __future__ import annotations

import ast
import re
import runpy
import tomllib
from pathlib import Path

import pytest

from tests.support.cli import Cli
from tests.support.operator_reference import described, operator_classes
from tests.support.places import CIRR, ROOT, TRACES, needs_traces
from timeline.cli.telling import mistakes_of
from timeline.language.mistakes import Seen, mistakes_in
from timeline.language.printer import print_expression
from timeline.language.references import read_outputs
from timeline.plan import make_plan
from timeline.reading.heads import Head
from timeline.reading.looking import Looking, look_at_files
from timeline.spec.loading import load_spec
from timeline.spec.spec import Spec
from timeline.tables.events import from_rows

LINES = (
    '{"key": "LH1", "time": 1700000000000, "location": "FRA", "delay": 5}\n'
    '{"key": "LH1", "time": 1700000060000, "location": "JFK", "delay": 7}\n'
)
BARE = (
    "warning: line 1, column 25: JFK without quotes is a column, and no event carries it (2 events looked "
    'at); did you mean "JFK"?\n'
)


@pytest.fixture
def cli(local_cli: Cli) -> Cli:
    (local_cli.folder / "flights.jsonl").write_text(LINES)
    return local_cli


def test_a_mistake_is_told_and_the_answer_is_given(cli: Cli) -> None:
    done = cli.run("eval", "-e", "has_existed(location == JFK)", "flights.jsonl", "--format", "jsonl")
    assert (done.returncode, done.stderr) == (0, BARE)
    assert done.stdout == '{"key":"LH1","time":1700000060000,"value":false}\n'


def test_strict(cli: Cli) -> None:
    message = "error: 1 warning, and --strict was given; nothing was evaluated\n"
    ask = ["eval", "-e", "has_existed(location == JFK)", "flights.jsonl", "--strict"]
    done = cli.run(*ask)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", BARE + message)
    done = cli.run("eval", "-e", 'has_existed(location == "JFK")', *ask[3:], "--format", "csv")
    assert (done.returncode, done.stdout, done.stderr) == (0, "key,time,value\nLH1,1700000060000,true\n", "")


def test_all_of_a_file_is_looked_at(cli: Cli) -> None:
    """A column that only the last of 200 000 events carries is no mistake."""
    with (cli.folder / "many.jsonl").open("w") as file:
        file.writelines(f'{{"key":"a","time":{t},"location":"FRA"}}\n' for t in range(200_000))
        file.write('{"key":"a","time":200000,"diverted":true}\n')
    assert (cli.folder / "many.jsonl").stat().st_size > 1 << 23
    done = cli.run("eval", "-e", "count(diverted == true)", "many.jsonl", "--strict")
    assert (done.returncode, done.stderr) == (0, "")
    done = cli.run("eval", "-e", "count(divertd == true)", "many.jsonl", "--strict")
    assert done.returncode == 2
    assert "no event carries the column divertd (200,001 events looked at); there are " in done.stderr


UNIT = (
    "warning: the times in the column time are all before 1990 if they are in ms (the first is 1970-01-20), "
    "and begin on 2023-11-14 if they are in s (2 looked at); did you mean {}?\n"
)


def test_times_in_seconds(cli: Cli) -> None:
    (cli.folder / "flights.jsonl").write_text(re.sub(r"(17\d{8})000", r"\1", LINES))
    ask = ["eval", "-e", "count(delay > 6)", "flights.jsonl"]
    assert cli.run(*ask).stderr == UNIT.format("--time-unit s")
    assert cli.run(*ask, "--time-unit", "s", "--strict").stderr == ""
    spec = "name = 'late'\nexpression = 'count(delay > 6)'\n[source]\nfiles = ['flights.jsonl']\n"
    (cli.folder / "late.toml").write_text(spec)
    assert cli.run("eval", "late.toml").stderr == UNIT.format('unit = "s"')


def test_times_in_microseconds_which_no_event_survives(cli: Cli) -> None:
    (cli.folder / "flights.jsonl").write_text(re.sub(r"(17\d{8})000", r"\g<1>000000", LINES))
    done = cli.run("eval", "-e", "count(delay > 6)", "flights.jsonl")
    assert done.returncode == 2
    assert done.stderr.splitlines()[2:] == [
        "2 lines skipped that hold no event",
        "warning: the times in the column time are all after 2100 if they are in ms, and begin on 2023-11-14 "
        "if they are in us (2 looked at); did you mean --time-unit us?",
        "error: no events in flights.jsonl",
    ]


# --- nothing where all is well ---------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda path: path.stem)
def test_nothing_is_told_of_the_examples(path: Path) -> None:
    spec = load_spec(path)
    assert mistakes_of(spec) == []
    assert all(Path(file).is_file() for file in spec.source.files)


def test_nothing_is_told_of_the_operators_examples() -> None:
    found = []
    for of_class in operator_classes():
        for source in described(of_class)[1]:
            call = ast.parse(source).body[0]
            assert isinstance(call, ast.Expr)
            assert isinstance(call.value, ast.Call)
            text, events, *late = map(
                ast.literal_eval, [*call.value.args, *(k.value for k in call.value.keywords)]
            )
            plan = make_plan(text)
            looking = Looking(plan.result.expression, plan.columns)
            for batch in (events, *late):
                looking.add(from_rows([("k", int(t * 1000), {"state": v}) for t, v in batch.items()]))
            found += [(text, str(mistake)) for mistake in looking.mistakes(lambda: Head(("state",)))]
    assert found == []


def test_nothing_is_told_of_what_the_docs_say() -> None:
    """There are no events for it, so that this is of what none makes good."""
    texts = {CIRR}
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text("utf-8")
        texts |= set(re.findall(r" -e '(.*?)'", text))
        for block in re.findall(r"^```toml\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            told = tomllib.loads(block)
            trees, problems = read_outputs(told.get("outputs", {}))
            assert not problems
            texts |= {*map(print_expression, trees.values()), *filter(None, [told.get("expression")])}
    assert len(texts) > 3
    found = [m for text in texts for m in mistakes_in(make_plan(text).result.expression, Seen())]
    assert found == []


@needs_traces
@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_nothing_is_told_of_real_traces(path: Path) -> None:
    outputs = runpy.run_path(str(ROOT / "examples" / "quality_by_rendition.py"))["OUTPUTS"]
    for spec in (Spec(name="q", outputs=outputs), Spec(name="cirr", expression=CIRR)):
        looking = Looking(spec.plan.result.expression, spec.plan.columns)
        assert look_at_files(looking, [str(path)], "session") == []
