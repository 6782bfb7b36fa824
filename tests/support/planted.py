"""An operator that is one file, put beside the others for the time of a test, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.places import ROOT

#: ``is_even(x)``: nothing but this file knows of it.
OPERATOR = '''"""``is_even(x)``: whether it is a whole number that two divides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timeline.language.signatures import NUMBER, Signature
from timeline.operators.base import Operator
from timeline.operators.lines import as_numbers
from timeline.tables.splicing import coalesce, cut
from timeline.tables.table import Table, Window
from timeline.values.kinds import Kind


@dataclass(frozen=True)
class IsEven(Operator):
    """At t: whether the operand (which must not move) is even at t.

    >>> from timeline.local.example import run
    >>> run('is_even(count(state == "play"))', {1: "seek", 2: "play"})
    1 s True
    2 s False
    """

    signature = Signature("is_even", (NUMBER,), Kind.BOOL)
    pointwise = True

    def compute(self, inputs: Sequence[Table], window: Window, own: Table) -> Table:
        table = as_numbers(cut(inputs[0], window))
        even = np.array([int(v) * table.unit % 2 == 0 for v in table.value], bool)
        return coalesce(Table(Kind.BOOL, table.at, even))
'''


def run_with_planted(folder: Path, code: str) -> str:
    """What a program prints that finds the operator's file among the others."""
    (folder / "is_even.py").write_text(OPERATOR)
    planted = f"import timeline.operators\ntimeline.operators.__path__.append({str(folder)!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", planted + code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
