"""Looking at the beginnings of files: as far as need be."""

from __future__ import annotations

from pathlib import Path

import pytest

from timeline.errors import EventError
from timeline.plan import make_plan
from timeline.reading import looking as module
from timeline.reading.looking import Looking, look_at_files
from timeline.tables.events import from_rows


def looking(text: str) -> Looking:
    plan = make_plan(text)
    return Looking(plan.result.expression, plan.columns)


def lines(count: int, more: str = "") -> str:
    return "".join(f'{{"key": "a", "time": {t}, "state": "play"{more}}}\n' for t in range(count))


def test_a_column_that_comes_late_is_found_in_a_later_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 4_000)
    path = tmp_path / "a.jsonl"
    text = lines(500)
    path.write_text(text + lines(1, ', "error": 7'))
    assert 4_000 < len(text) < 15 * 4_000
    assert look_at_files(looking("count(error != null)"), [str(path)], "key") == []
    # Where that is too far away, it is said how far was looked.
    path.write_text(lines(3_000) + lines(1, ', "error": 7'))
    [mistake] = look_at_files(looking("count(error != null)"), [str(path)], "key")
    assert mistake.text.startswith("no event carries the column error (1,")
    assert mistake.text.endswith(" events looked at); there are key, time, state")


def test_each_of_several_files_is_looked_at(tmp_path: Path) -> None:
    for name, more in (("a", ""), ("b", ', "error": 7')):
        (tmp_path / f"{name}.jsonl").write_text(lines(3, more))
    files = [str(tmp_path / name) for name in ("a.jsonl", "b.jsonl")]
    assert look_at_files(looking("count(error > 1)"), files, "key") == []
    [mistake] = look_at_files(looking("count(eror > 1)"), files, "key")
    assert str(mistake) == (
        "line 1, column 7: no event carries the column eror (6 events looked at); did you mean error?"
    )


def test_once_nothing_seems_wrong_no_more_is_looked_at() -> None:
    look = looking('count(state == "play")')
    look.add(from_rows([("a", 1, {"state": "play"})]))
    assert not look.suspicious
    look.add(from_rows([("a", 2, {"state": 5})]))
    assert look.seen().events == 1
    assert look.seen().types == {"state": frozenset({"string"})}


def test_without_files_or_events_nothing_is_told(tmp_path: Path) -> None:
    assert look_at_files(looking("count(state == 5)"), [], "key") == []
    (tmp_path / "empty.jsonl").touch()
    assert look_at_files(looking("count(state == 5)"), [str(tmp_path / "empty.jsonl")], "key") == []


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EventError, match="no such file"):
        look_at_files(looking("count(state == 5)"), [str(tmp_path / "no.jsonl")], "key")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_other_formats(tmp_path: Path, name: str) -> None:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    table = pa.table({"key": ["a", "b"], "time": [1, 2], "delay": [5, 7], "location": ["FRA", "JFK"]})
    path = str(tmp_path / name)
    pyarrow.csv.write_csv(table, path) if name == "a.csv" else pq.write_table(table, path)
    text = 'count(delay == "5") + count(location == FRA) + count(lokation != null)'
    seen = "(2 events looked at)"
    assert [str(m) for m in look_at_files(looking(text), [path], "key")] == [
        f'line 1, column 7: delay == "5" is never true: delay is a number, never a string {seen}; '
        "did you mean 5, without quotes?",
        f"line 1, column 41: FRA without quotes is a column, and no event carries it {seen}; "
        'did you mean "FRA"?',
        f"line 1, column 54: no event carries the column lokation {seen}; did you mean location?",
    ]
