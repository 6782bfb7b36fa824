"""Feeds every target with odd inputs for so many seconds: ``python -m tests.fuzz --seconds 60 [--seed N]``.

A traceback, an input that takes over 5 s, and more than 300 MB of memory are findings: each is told, and
kept in tests/fixtures/fuzz/, from where `tests/fuzz/test_fuzz.py` feeds it again.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.targets import TARGETS, feed, kept
from tests.support.bombs import peak

CORPUS = Path(__file__).parents[1] / "fixtures" / "fuzz"
#: Seconds that an input may take, and MiB that all may.
HANGS, MOST = 5.0, 300


def keep(name: str, made: Any) -> Path:
    data = kept(made)
    path = CORPUS / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def run(seconds: float, seed: int, only: list[str]) -> int:
    """How many findings there were."""
    random = Random(seed)
    names = only or list(TARGETS)
    fed: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    seen: set[str] = set()
    slowest, slow_name = 0.0, ""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        name = names[sum(fed.values()) % len(names)]
        made = TARGETS[name][0](random)
        begun = time.monotonic()
        faulthandler.dump_traceback_later(60, exit=True)
        try:
            refused[name] += feed(name, made) is not None
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}"
            if what not in seen:
                seen.add(what)
                print(f"{name}: {what}: {str(error)[:200]}\n  kept as {keep(name, made)}")
        took = time.monotonic() - begun
        if took > HANGS and f"{name} hangs" not in seen:
            seen.add(f"{name} hangs")
            print(f"{name}: took {took:.1f} s\n  kept as {keep(name, made)}")
        if took > slowest:
            slowest, slow_name = took, name
        fed[name] += 1
    faulthandler.cancel_dump_traceback_later()
    memory = peak("self")
    for name in names:
        print(f"{name:12} {fed[name]:8} inputs, {refused[name]:8} refused")
    print(f"{sum(fed.values())} inputs, slowest {slowest:.2f} s ({slow_name}), {memory} MiB")
    print(f"{len(seen)} findings")
    return len(seen) + (memory > MOST)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=list(TARGETS), default=[])
    given = parser.parse_args()
    raise SystemExit(bool(run(given.seconds, given.seed, given.only)))
