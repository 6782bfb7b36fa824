"""How long the command line takes before it does anything."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.generate import CIRR
from benchmarks.measure import Figure, interleaved, say

#: Times the libraries alone.
MARK = 1.3


def run(quick: bool) -> list[Figure]:
    """`timeline eval` of one event, against importing the libraries that any `eval` would need.

    Everything is compiled beforehand, as where it is installed, whatever the environment says.
    """
    say("start-up: timeline eval")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "one.jsonl").write_text('{"key": "k", "time": 1, "state": "play"}\n')
        (folder / "cirr.toml").write_text(f"name = 'cirr'\nexpression = '''{CIRR}'''\n")
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [sys.executable, "-m", "timeline.cli.main", "eval"]

        def spawn(*arguments: str) -> None:
            subprocess.run(arguments, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)

        text, spec, libraries = interleaved(
            partial(spawn, *command, "-e", CIRR, "one.jsonl"),
            partial(spawn, *command, "cirr.toml", "one.jsonl"),
            partial(spawn, sys.executable, "-c", "import lark, numpy, pyarrow, typer"),
            repetitions=5 if quick else 15,
        )
    other = f"import of numpy, pyarrow, typer and lark {libraries}"
    return [
        Figure(
            name,
            times.median,
            "s",
            times.median / libraries.median,
            other,
            f"ratio at most {MARK}",
            times.median <= MARK * libraries.median,
            str(times),
        )
        for name, times in (("startup-eval-expression", text), ("startup-eval-spec", spec))
    ]
