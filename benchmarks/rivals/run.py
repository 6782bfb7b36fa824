"""The part ``rivals``: other systems on the same events, beside our durable feed in the same run."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.deployment import deployment
from benchmarks.durable import STREAMS, fed, spec
from benchmarks.generate import json_lines, parquet
from benchmarks.local import by_timeline
from benchmarks.measure import Figure, say

#: Seconds that one run, or an installation, may take.
PATIENCE = 600
SAMPLE = 2_000
#: What takes longer (s) is run once.
SLOW = 30


@dataclass(frozen=True, slots=True)
class Rival:
    """A system: the packages that it needs, of npm too, its script and the arguments behind the file.

    ``mark`` is how many times its events a second ours are to be.
    """

    name: str
    packages: tuple[str, ...]
    script: str
    arguments: tuple[str, ...] = ()
    suffix: str = ".parquet"
    mark: float = 1.0
    npm: str = ""

    @property
    def home(self) -> Path:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "timeline" / "benchmarks" / self.script.removesuffix("_script.py")


RIVALS = (
    Rival("bytewax", ("bytewax==0.21.1", "pyarrow"), "bytewax_script.py"),
    Rival("pathway", ("pathway==0.33.0", "pyarrow"), "pathway_script.py"),
    Rival("flink-batch", ("apache-flink==2.3.0",), "pyflink_script.py", ("batch",), ".jsonl"),
    Rival("flink-streaming", ("apache-flink==2.3.0",), "pyflink_script.py", ("streaming",), ".jsonl"),
    Rival("dbos", ("dbos==3.4.0", "pyarrow"), "dbos_script.py", (str(SAMPLE),), mark=50),
    Rival(
        "restate",
        ("restate-sdk==1.3.0", "hypercorn", "httpx", "pyarrow"),
        "restate_script.py",
        (str(SAMPLE),),
        mark=50,
        npm="@restatedev/restate-server@1.7.12",
    ),
)


def run(quick: bool) -> list[Figure]:
    """A figure for each; quick: a tenth of the events, and only what is installed."""
    return asyncio.run(_run(quick))


async def _run(quick: bool) -> list[Figure]:
    count, keys = (100_000, 1_000) if quick else (1_000_000, 10_000)
    rounds = 1 if quick else 3
    files = {".parquet": parquet(count, keys), ".jsonl": json_lines(count, keys)}
    expected = by_timeline(files[".parquet"])
    ours: list[float] = []
    theirs: dict[str, list[float]] = {}
    reasons: dict[str, str] = {}
    async with deployment() as running:
        await fed(running, spec("warm-up", STREAMS), files[".jsonl"], count)
        for number in range(rounds):
            say(f"rivals: round {number + 1} of {rounds}: timeline")
            ours.append(await fed(running, spec("rivals", STREAMS), files[".jsonl"], count))
            for rival in RIVALS:
                if rival.name in reasons or (number and count / min(theirs[rival.name]) > SLOW):
                    continue
                say(f"rivals: round {number + 1} of {rounds}: {rival.name}")
                try:
                    rate = await asyncio.to_thread(_rate, rival, files[rival.suffix], count, expected, quick)
                except (OSError, ValueError, subprocess.SubprocessError) as error:
                    reasons[rival.name] = " ".join(str(error).split())[-200:]
                    continue
                theirs.setdefault(rival.name, []).append(rate)
    median = statistics.median(ours)
    return [_figure(rival, median, theirs.get(rival.name), reasons.get(rival.name)) for rival in RIVALS]


def _figure(rival: Rival, ours: float, rates: list[float] | None, reason: str | None) -> Figure:
    mark = f"ratio at least {rival.mark:g}"
    if reason is not None or not rates:
        return Figure(
            f"rival-{rival.name}", ours, "events/s", 0, rival.name, mark, False, f"not available: {reason}"
        )
    rate = statistics.median(rates)
    return Figure(
        f"rival-{rival.name}",
        ours,
        "events/s",
        ours / rate,
        f"{rival.packages[0]}: {rate:,.0f} events/s",
        mark,
        ours >= rival.mark * rate,
        f"{min(rates):,.0f} to {max(rates):,.0f}",
    )


def _rate(rival: Rival, file: Path, count: int, expected: float, quick: bool) -> float:
    """Events a second of one run.

    Raises:
        ValueError: its answer is wrong, or it is not installed and need not be.
        OSError, SubprocessError: it cannot be installed or run.
    """
    python = rival.home / "bin" / "python"
    ready = rival.home / "installed"
    if ready.exists() is False or ready.read_text() != " ".join(rival.packages):
        if quick:
            raise ValueError("not installed; a full run does that")
        _install(rival)
        ready.write_text(" ".join(rival.packages))
    script = Path(__file__).with_name(rival.script)
    done = subprocess.run(
        [python, script, file, *rival.arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    if done.returncode:
        raise ValueError(done.stderr[-500:] or f"ended with {done.returncode}")
    answer = json.loads(done.stdout.splitlines()[-1])
    if abs(answer.get("sum", expected) - expected) > 0.01:
        raise ValueError(f"its sum is {answer['sum']}, not {expected}")
    return float(answer.get("events", count)) / float(answer["seconds"])


def _install(rival: Rival) -> None:
    say(f"rivals: installing {', '.join(rival.packages)} in {rival.home}")
    rival.home.parent.mkdir(parents=True, exist_ok=True)
    python = rival.home / "bin" / "python"
    uv = shutil.which("uv") or Path(sys.executable).with_name("uv")
    made: list[list[str | Path]] = [
        [sys.executable, "-m", "venv", rival.home],
        [python, "-m", "pip", "install", "-q", *rival.packages],
    ]
    if Path(uv).exists():
        made = [
            [uv, "venv", "-q", "--allow-existing", "--python", sys.executable, rival.home],
            [uv, "pip", "install", "-q", "--python", python, *rival.packages],
        ]
    if rival.npm:
        made.append(["npm", "install", "--silent", "--prefix", rival.home / "npm", rival.npm])
    for command in made:
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
