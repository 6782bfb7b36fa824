"""Quality of experience by rendition: ``python examples/quality_by_rendition.py [FOLDER] [--plot FILE]``.

Reads playback sessions from the JSON Lines in FOLDER (../shared/data/playback beside the repository) and
says for each rendition how long it was watched, and how much of that went into rebuffering, exactly: a
session that changes its rendition counts for each as long as it lasted. The plot has these, and how full
the buffers were over time.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import Any

import timeline as tl
from timeline.aggregate import Request, Result, kinds_of, merge, partial

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "playback"
RENDITIONS = ("144p", "240p", "360p", "480p", "720p", "1080p")
OUTPUTS = {
    "rendition": "latest_event_to_state(quality)",
    "buffer": "latest_event_to_state(bufferHealth)",
    "startup": 'duration_where(!has_existed(playerStateChange == "play"))',
    "state": "latest_event_to_state(playerStateChange)",
    "stalled": 'has_existed(playerStateChange == "play") && @state == "buffer"',
}
for rendition in RENDITIONS:
    OUTPUTS[f"at_{rendition}"] = f'duration_where(@rendition == "{rendition}")'
    OUTPUTS[f"stalled_{rendition}"] = f'duration_where(@stalled && @rendition == "{rendition}")'


def evaluate(folder: Path) -> tl.Evaluation:
    """All sessions of a folder, by the expressions above."""
    plan = tl.Spec(name="quality", outputs=OUTPUTS).plan
    files = sorted(folder.glob("*.jsonl"))
    read = (tl.read_events(f, key="session", time="time", columns=plan.columns) for f in files)
    return tl.evaluate(plan, tl.concat([block.events for blocks in read for block in blocks]))


def ask(evaluation: tl.Evaluation, **words: Any) -> Result:
    """The answer to a question over all sessions, as `timeline query --all` would ask it."""
    request = Request.parse(kinds_of(evaluation.plan), **words)
    return merge(request, [partial(evaluation, request)])


def by_rendition(evaluation: tl.Evaluation) -> list[dict[str, Any]]:
    """For each rendition that was watched: seconds watched, seconds stalled, and the share of these."""
    sums = ", ".join(f"sum(at_{r}), sum(stalled_{r})" for r in RENDITIONS)
    [row] = ask(evaluation, agg=sums).rows
    found = []
    for r in RENDITIONS:
        watched, stalled = row[f"sum(at_{r})"], row[f"sum(stalled_{r})"]
        if watched:
            found.append({"rendition": r, "watched": watched, "stalled": stalled, "share": stalled / watched})
    return found


def draw(evaluation: tl.Evaluation, rows: list[dict[str, Any]], file: Path) -> None:
    """The shares as bars, and the mean buffer of the sessions at each rendition over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    left.bar([row["rendition"] for row in rows], [100 * row["share"] for row in rows])
    left.set(title="Rebuffering by rendition", ylabel="% of the time watched")
    series = ask(evaluation, agg="avg(buffer)", group_by=["rendition"], start=0, end=600_000, every=10_000)
    buffers = {(p["rendition"], p["time"]): p["avg(buffer)"] for p in series.rows}
    times = range(0, 600_001, 10_000)
    for name in (row["rendition"] for row in rows):
        # A line has a gap where nobody watched.
        points = [buffers.get((name, at), float("nan")) for at in times]
        right.plot([at / 1000 for at in times], points, marker=".", label=name)
    right.set(title="Mean buffer", xlabel="s since the start", ylabel="s")
    right.legend()
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description="Quality of experience by rendition.")
    parser.add_argument("folder", nargs="?", type=Path, default=DATA, help="where the .jsonl files are")
    parser.add_argument("--plot", type=Path, default=Path("quality-by-rendition.png"), help="the picture")
    arguments = parser.parse_args()
    if not any(arguments.folder.glob("*.jsonl")):
        print(f"skipped: no playback sessions (*.jsonl) in {arguments.folder}; give their folder")
        return
    evaluation = evaluate(arguments.folder)
    rows = by_rendition(evaluation)
    print("rendition  watched (s)  stalled (s)  share")
    for row in rows:
        print(f"{row['rendition']:<9}  {row['watched']:11.1f}  {row['stalled']:11.1f}  {row['share']:5.1%}")
    [startup] = ask(evaluation, agg="p50(startup), max").rows
    print(f"start-up: half within {startup['p50(startup)']} s, all within {startup['max(startup)']} s")
    if importlib.util.find_spec("matplotlib") is None:
        print("no plot: matplotlib is not installed; pip install matplotlib")
        return
    draw(evaluation, rows, arguments.plot)
    print(f"drawn: {arguments.plot}")


if __name__ == "__main__":
    main()
