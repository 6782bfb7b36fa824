"""A sum beyond a float's digits is exact in the workflows too."""

from __future__ import annotations

from pathlib import Path

from feeder.checks.dry_run import compare
from feeder.files.feed import feed_files
from tests.support.timelines import spec
from workflows.client import Client


async def test_a_sum_beyond_the_digits_of_a_float(timelines: Client, tmp_path: Path) -> None:
    timeline = spec("sum(x) - 12345678901234567")
    await timelines.registry.register(timeline)
    file = tmp_path / "a.csv"
    file.write_text("session,time,x\na,1,0.1\na,2,12345678901234567.1\n")
    assert (await feed_files(timelines, timeline, [file])).accepted == 2
    [answer] = await timelines.questions.values(timeline, timeline.plan.result, [("a", None)])
    assert answer.value == 0.2
    assert not (await compare(timelines, timeline)).differences
