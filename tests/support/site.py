"""``python -m tests.support.site FOLDER``: the pages of docs/ as a site, made by Zensical.

The repository's README is its first page, and what the pages link to beside docs/ is taken along. A link to
what is not there is an error.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.places import ROOT

#: What pages link to outside docs/.
BESIDE = ("examples", "benchmarks/README.md")


def assemble(folder: Path) -> Path:
    """Puts pages and configuration where Zensical wants them, in a new folder; that of the pages."""
    pages = folder / "pages"
    shutil.copytree(ROOT / "docs", pages)
    (pages / "zensical.toml").rename(folder / "zensical.toml")
    for name in BESIDE:
        path, target = ROOT / name, pages / name
        if path.is_dir():
            shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(path, target)
    readme = (ROOT / "README.md").read_text("utf-8")
    (pages / "index.md").write_text(re.sub(r"\]\(docs/", "](", readme), "utf-8")
    for page in pages.glob("*.md"):
        text = page.read_text("utf-8").replace("](../README.md", "](index.md")
        page.write_text(re.sub(r"\]\(\.\./", "](", text), "utf-8")
    return pages


def build(folder: Path) -> str:
    """Makes the site below a new folder, in ``site``; what Zensical said.

    Raises:
        RuntimeError: a link leads nowhere, or the like.
    """
    assemble(folder)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    if done.returncode:
        raise RuntimeError(said)
    return said


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.support.site FOLDER (one that is not there yet)")
    build(Path(sys.argv[1]))
    print(Path(sys.argv[1]) / "site" / "index.html")
