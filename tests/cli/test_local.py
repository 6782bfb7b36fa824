"""The command line without a server: `eval` and `explain`, and how bad input is answered."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import PATIENCE, Cli
from tests.support.places import CIRR, ROOT
from timeline.cli import main

SPEC = f"name = 'cirr'\nexpression = '''{CIRR}'''\n[source]\nkey = 'session'\nfiles = ['cirr.jsonl']\n"
STATE = "latest_event_to_state(playerStateChange)"


class Here:
    """The command line in this process: what a command printed, and its exit code."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys = capsys
        self.monkeypatch = monkeypatch

    def run(self, *arguments: str) -> tuple[int, str, str]:
        self.monkeypatch.setattr("sys.argv", ["timeline", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main._run()
        out, err = self.capsys.readouterr()
        assert isinstance(stopped.value.code, int | None)
        return stopped.value.code or 0, out, err

    def good(self, *arguments: str) -> str:
        code, out, err = self.run(*arguments)
        assert (code, err) == (0, "")
        return out

    def bad(self, *arguments: str) -> str:
        """The message of a command that must fail as wrong use, without any result."""
        code, out, err = self.run(*arguments)
        assert (code, out) == (2, ""), err
        assert err.count("rror: ") == 1
        return err

    def values(self, *arguments: str) -> list[tuple[str, int, object]]:
        rows = [json.loads(line) for line in self.good("eval", *arguments, "--format", "jsonl").splitlines()]
        assert all(list(row) == ["key", "time", "value"] for row in rows)
        return [(row["key"], row["time"], row["value"]) for row in rows]


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Here:
    monkeypatch.chdir(tmp_path)
    Path("cirr.toml").write_text(SPEC)
    Path("cirr.jsonl").write_text((ROOT / "examples" / "cirr.jsonl").read_text())
    Path("empty.jsonl").touch()
    Path("blank.jsonl").write_text("\n\n")
    Path("dir.jsonl").mkdir()
    return Here(capsys, monkeypatch)


# --- answers ---------------------------------------------------------------------------------------


def test_reference_example(here: Here) -> None:
    at = ["--at", "7s", "--at", "8000", "--at", "1970-01-01T00:00:09Z", "--at", "10"]
    expected = [("reference", 10, 0), *(("reference", t * 1000, t - 7) for t in (7, 8, 9))]
    assert here.values("cirr.toml", *at) == expected
    assert here.values("-e", CIRR, "cirr.jsonl", "--key-column", "session", *at) == expected


def test_expression_in_a_file(here: Here) -> None:
    Path("cirr.tl").write_text(CIRR)
    assert here.values("cirr.tl", "cirr.jsonl", "--key-column", "session") == [("reference", 4000, 0)]


def test_before_the_origin(here: Here) -> None:
    assert here.values("cirr.toml", "--at", "0") == [("reference", 0, 0)]
    state = ["-e", STATE, "cirr.jsonl", "--key-column", "session"]
    assert here.values(*state, "--at", "999", "--at", "1s") == [
        ("reference", 999, None),
        ("reference", 1000, "play"),
    ]


def test_every_from_to(here: Here) -> None:
    rows = here.values("cirr.toml", "--every", "2s", "--from", "5s", "--to", "10s")
    assert rows == [("reference", 6000, 0), ("reference", 8000, 1), ("reference", 10_000, 3)]


def test_a_key_asked_for_twice_is_one(here: Here) -> None:
    rows = here.values("cirr.toml", "--key", "reference", "--key", "reference")
    assert rows == [("reference", 4000, 0)]


def test_formats(here: Here) -> None:
    at = ["eval", "cirr.toml", "--at", "8500"]
    assert here.good(*at, "--format", "csv") == "key,time,value\nreference,8500,1.5\n"
    lines = here.good(*at).splitlines()
    assert [line.split() for line in lines] == [
        ["key", "time", "(ms)", "value"],
        ["reference", "8500", "1.5"],
    ]


def test_odd_keys_and_wide_values(here: Here) -> None:
    keys = [7, "7", 1e3, "7.5", " ", "-x", "[red]x[/red]", "\x1b[31m\n☃", "k" * 500]
    lines = [{"session": key, "time": 1000 + n, "s": "v" * 3000} for n, key in enumerate(keys)]
    Path("odd.jsonl").write_text("\n".join(map(json.dumps, lines)))
    arguments = ["-e", "latest_event_to_state(s)", "odd.jsonl", "--key-column", "session"]
    names = ["\x1b[31m\n☃", " ", "-x", "1000", "7", "7.5", "[red]x[/red]", "k" * 500]
    rows = here.values(*arguments)
    assert [(key, value) for key, _, value in rows] == [(name, "v" * 3000) for name in names]
    assert rows[4][1] == 1001
    read = list(csv.reader(io.StringIO(here.good("eval", *arguments, "--format", "csv", "--raw"))))
    assert [row[0] for row in read] == ["key", *names]
    table = here.good("eval", *arguments)
    assert "\\x1b[31m\\n☃ " in table
    assert "[red]x[/red] " in table
    assert "\x1b" not in table
    # Nothing is cut off where the output is no terminal.
    assert table.count("v" * 3000) == len(names)


def test_explain(here: Here) -> None:
    lines = here.good("explain", "cirr.toml").splitlines()
    assert lines[0].startswith("duration_where(…)  Numeric  cirr.")
    assert lines[-3].startswith("7 nodes, 3 of which read events, on 1 stream of cirr.")
    wave = "a wave is 3 + 4 signals, 8 Temporal actions"
    assert lines[-2:] == [
        f"fragments operator: 5 workflows a stream; {wave}",
        "  in duration_where(…) live !…,  … && … && …",
    ]
    found = json.loads(here.good("explain", "-e", CIRR, "--json"))
    assert found["timeline"] is None
    assert [node["operator"] for node in found["nodes"]][-1] == "duration_where"
    assert found["nodes"][-1]["text"] == CIRR


# --- lines that are no events ----------------------------------------------------------------------


def test_broken_lines_are_said_and_the_rest_is_evaluated(here: Here) -> None:
    Path("broken.jsonl").write_text(
        '{"session":"a","time":1000,"playerStateChange":"play"}\n'
        '{broken \x1b[31m\n{"session":"a","time":"soon"}\n{"time":1}\n'
        '{"session":"a","time":-5}\n{"session":"a","time":99999999999999999}\n'
        '{"session":"a","time":4000,"playerStateChange":"buffer"}\n'
    )
    code, out, err = here.run("eval", "cirr.toml", "broken.jsonl", "--at", "5s", "--format", "jsonl")
    assert (code, out) == (0, '{"key":"a","time":5000,"value":1}\n')
    assert err.splitlines() == [
        "skipped broken.jsonl:2: not JSON: {broken \\x1b[31m",
        'skipped broken.jsonl:3: not a time: {"session":"a","time":"soon"}',
        'skipped broken.jsonl:4: no key: {"time":1}',
        'skipped broken.jsonl:5: time out of range: {"session":"a","time":-5}',
        'skipped broken.jsonl:6: time out of range: {"session":"a","time":99999999999999999}',
        "5 lines skipped that hold no event",
    ]


def test_nothing_but_broken_lines(here: Here) -> None:
    Path("broken.jsonl").write_text("{oops\n")
    code, out, err = here.run("eval", "cirr.toml", "broken.jsonl")
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == "skipped broken.jsonl:1: not JSON: {oops"
    assert err.splitlines()[-1] == "error: no events in broken.jsonl"


def test_late_events_are_counted(here: Here) -> None:
    lines = [f'{{"session":"a","time":{t},"playerStateChange":"play"}}\n' for t in (100_000, 1)]
    Path("late.jsonl").write_text("".join(lines))
    code, _, err = here.run("eval", "cirr.toml", "late.jsonl")
    assert (code, err) == (0, "1 event refused: later than allowed_lateness permits\n")


# --- wrong use -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "place", "phrase"),
    [
        ("duration_where(", ("", ""), "( is never closed"),
        ("has_existed(a = 1)", ("has_existed(a ", "="), "= is not an operator; did you mean ==?"),
        ("duration_wher(a)", ("", "duration_wher"), "unknown operator duration_wher"),
        (f"duration_where({STATE})", ("duration_where(", STATE), f"cannot take {STATE}, a State"),
        ("", ("", ""), "the expression is empty"),
    ],
)
def test_expression_that_is_wrong(here: Here, expression: str, place: tuple[str, str], phrase: str) -> None:
    for command in (["eval", "cirr.jsonl"], ["explain"]):
        message = here.bad(*command, "-e", expression)
        assert phrase in message
        assert "error: line 1, column " in message
        if place[1]:
            assert message.splitlines()[1:] == [
                f"  {expression}",
                "  " + " " * len(place[0]) + "^" * len(place[1]),
            ]


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        ("", ["give a spec (.toml)", "-e EXPR"]),
        ("cirr.jsonl", ["cirr.jsonl holds events", "-e EXPR"]),
        ("-e has_existed(a==1)", ["give at least one file of events"]),
        ("-e has_existed(a==1) cirr.toml cirr.jsonl", ["give a spec or -e EXPR, not both"]),
        ("-e has_existed(a==\udcff) cirr.jsonl", ["EXPR is not UTF-8 text"]),
        ("no.toml", ["no.toml: 1 problem", "does not exist"]),
        ("no.tl", ["cannot read no.tl: No such file"]),
        ("cirr.toml no.jsonl", ["no such file: no.jsonl"]),
        ("cirr.toml dir.jsonl", ["no files of events in the folder dir.jsonl"]),
        ("cirr.toml empty.jsonl", ["no events in empty.jsonl"]),
        ("cirr.toml blank.jsonl", ["no events in blank.jsonl"]),
        ("cirr.toml cirr.toml", ["cannot tell the format of cirr.toml", ".jsonl", ".csv", ".parquet"]),
        ("cirr.toml --key-column no", ["no column 'no' in", "session, time", "--key-column"]),
        ("cirr.toml --time-column no", ["no column 'no' in", "session, time", "--time-column"]),
        ("cirr.toml --time-unit parsec", ["--time-unit is ms, s, us or ns, got 'parsec'"]),
        ("cirr.toml --key no", ["no events of key 'no'; there are 'reference'"]),
        ("cirr.toml --key \udcff", ["no events of key '\\udcff'"]),
        ("cirr.toml --at soon", ["not a time: 'soon'", "8s", "2026-03-01T12:00:00Z"]),
        ("cirr.toml --at=-5s", ["not a time: '-5s'"]),
        ("cirr.toml --at 2026-01-01T00:00:00", ["has no offset"]),
        ("cirr.toml --at 1960-01-01T00:00:00Z", ["before 1970"]),
        ("cirr.toml --at 2110-01-01T00:00:00Z", ["after the last tick, 4398046511103 ms"]),
        ("cirr.toml --at 99999-01-01T00:00:00Z", ["not a time"]),
        (f"cirr.toml --at {'9' * 5000}", ["at most 100 characters, got 5000"]),
        (f"cirr.toml --every {'9' * 5000}s", ["at most 100 characters, got 5001"]),
        ("cirr.toml --every x", ["not a duration: 'x'", "500ms"]),
        ("cirr.toml --every 0", ["at least 1ms, got 0"]),
        ("cirr.toml --every 0.1ms", ["whole number of milliseconds, got '0.1ms'"]),
        ("cirr.toml --every 1s --from 4s --to 3s", ["--to 3s is before --from 4s"]),
        ("cirr.toml --to 3s", ["--from and --to need --every, --intervals or --format lanes"]),
        ("cirr.toml --format xml", ["--format", "xml", "'jsonl'"]),
        ("cirr.toml --bogus", ["No such option: --bogus"]),
    ],
)
def test_wrong_use_of_eval(here: Here, arguments: str, phrases: list[str]) -> None:
    message = here.bad("eval", *arguments.split())
    assert [phrase for phrase in phrases if phrase not in message] == []


def test_wrong_use_of_explain(here: Here) -> None:
    assert "give a spec or -e EXPR, not both" in here.bad("explain", "cirr.toml", "-e", CIRR)
    assert "give a spec (.toml)" in here.bad("explain")
    Path("bad.toml").write_text("name = 'X'\nexpression = 'a ='\nnew = 1\n")
    message = here.bad("explain", "bad.toml")
    assert message.startswith("error: bad.toml: 3 problems\n  name: ")
    assert "\n  expression: line 1, column " in message
    assert message.endswith("\n  new: is not known here\n")


# --- as a process ----------------------------------------------------------------------------------


def test_output_that_nobody_reads_on_is_no_failure(here: Here, local_cli: Cli) -> None:
    with open("many.jsonl", "w") as file:
        line = '{{"session":"s{0}","time":{0},"playerStateChange":"seek"}}\n'
        file.writelines(line.format(n) for n in range(20_000))
    process = subprocess.Popen(
        local_cli.command("eval", "cirr.toml", "many.jsonl", "--format", "jsonl"),
        cwd=local_cli.folder,
        env=local_cli.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == '{"key":"s0","time":0,"value":0}\n'
    process.stdout.close()
    assert (process.stderr.read(), process.wait(PATIENCE)) == ("", 0)
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_output_that_cannot_be_written(here: Here, local_cli: Cli) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            local_cli.command("eval", "cirr.toml"),
            cwd=local_cli.folder,
            env=local_cli.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, "error: No space left on device\n")


def test_a_terminal_that_knows_only_ascii(here: Here, local_cli: Cli) -> None:
    local_cli.environment["PYTHONIOENCODING"] = "ascii"
    assert "\\u2514 latest_event_to_state" in local_cli.good("eval", "cirr.toml", "--format", "lanes")


IMPORTS = """
import sys
from timeline.cli.main import make_app

try:
    make_app(sys.argv[1:])(args=sys.argv[1:])
except SystemExit:
    pass
print(sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], {"numpy", "pyarrow", "pydantic", "lark"}),
        (["eval", "-e", "has_existed(a == 1)", "events.csv"], {"pydantic", "asyncio"}),
        (["eval", "-e", "has_existed(a == 1)", "events.jsonl"], {"pydantic", "asyncio", "pyarrow"}),
        (["explain", "-e", "has_existed(a == 1)"], {"pyarrow"}),
    ],
)
def test_commands_without_a_server_import_little(
    local_cli: Cli, arguments: list[str], absent: set[str]
) -> None:
    (local_cli.folder / "events.csv").write_text("key,time,a\nk,1,1\n")
    (local_cli.folder / "events.jsonl").write_text('{"key": "k", "time": 1, "a": 1}\n')
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *arguments],
        cwd=local_cli.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(json.loads(done.stderr.splitlines()[-1].replace("'", '"')))
    assert "timeline" in imported
    assert not imported & (absent | {"temporalio", "pulsar"})


def test_explain_says_what_a_policy_costs(local_cli: Cli) -> None:
    spec = ROOT / "examples" / "cirr.toml"
    lines = local_cli.good("explain", spec, "--fragments", "stream", "--cost", "2").splitlines()
    assert lines[-3] == "fragments stream: 1 workflow a stream; a wave is 1 + 0 signals, 2 Temporal actions"
    assert lines[-1] == "2 waves a second on a stream: 10,368,000 actions in a month of 30 days"
    told = json.loads(local_cli.good("explain", spec, "--fragments", "node", "--cost", "1", "--json"))["run"]
    assert told["fragments"] == "node"
    assert len(told["workflows"]) == 7
    assert told["wave"] == {"signals": 3, "between": 6, "actions": 10, "actions_a_month": 25_920_000}
    assert "need a spec" in local_cli.bad("explain", "-e", "has_existed(a == 1)", "--cost", "1")
    assert "'bad' is not one of" in local_cli.bad("explain", spec, "--fragments", "bad")
