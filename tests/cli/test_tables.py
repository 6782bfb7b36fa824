"""Answers as Arrow and Parquet."""

from __future__ import annotations

import os
import pty
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.cli import PATIENCE, Cli
from tests.support.dated import write_dated_and_plain

STATE = "{state: latest_event_to_state(state), n: count(state == 'play')}"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    write_dated_and_plain(tmp_path)
    return Cli(None, tmp_path)


def written(cli: Cli, name: str, *words: str) -> Path:
    path = cli.folder / name
    with path.open("wb") as file:
        subprocess.run(
            cli.command("eval", "-e", STATE, *words),
            stdout=file,
            cwd=cli.folder,
            env=cli.environment,
            timeout=PATIENCE,
            check=True,
        )
    return path


def test_dates_are_timestamps_and_others_numbers(cli: Cli) -> None:
    dated = pq.read_table(written(cli, "a.parquet", "dated.csv", "--format", "parquet", "--at", "end"))
    at = datetime(2013, 1, 2, 0, 0, 0, 250_000, tzinfo=UTC)
    assert dated.to_pylist() == [
        {"key": "a", "time": at, "state": "play", "n": 1.0},
        {"key": "b", "time": at, "state": "seek", "n": 0.0},
    ]
    plain = written(cli, "a.arrow", "plain.csv", "--format", "arrow", "--every", "2s")
    with pa.ipc.open_stream(plain.read_bytes()) as stream:
        rows: list[dict[str, Any]] = stream.read_all().to_pylist()
    assert [(row["key"], row["time"], row["state"]) for row in rows] == [("a", 2000, "play")]
    wanted = written(cli, "ms.parquet", "dated.csv", "--format", "parquet", "--times", "ms")
    assert pq.read_table(wanted).schema.field("time").type == pa.int64()


def test_duckdb_reads_intervals(cli: Cli) -> None:
    path = written(
        cli,
        "i.parquet",
        "dated.csv",
        "--intervals",
        "--node",
        "state",
        "--format",
        "parquet",
        "--to",
        "2013-01-03",
    )
    found = duckdb.sql(f"select key, value, seconds, open, hour(\"from\" at time zone 'UTC') from '{path}'")
    assert found is not None
    assert found.fetchall() == [("a", "play", 136_800.0, True, 10), ("b", "seek", 86_399.75, True, 0)]


def test_a_terminal_gets_no_bytes(cli: Cli) -> None:
    here, there = pty.openpty()
    done = subprocess.run(
        cli.command("eval", "-e", STATE, "plain.csv", "--format", "arrow"),
        stdout=there,
        stderr=subprocess.PIPE,
        cwd=cli.folder,
        env=cli.environment,
        timeout=PATIENCE,
        check=False,
    )
    os.close(there)
    os.close(here)
    assert done.returncode == 2
    assert b"arrow is no text for a terminal; send it to a file: > answers.arrow" in done.stderr
