"""The notebook of `examples/`, run as a reader would."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.places import ROOT

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

NOTEBOOK = ROOT / "examples" / "table_to_picture.ipynb"


# The kernel's client closes its sockets when it is collected.
@pytest.mark.filterwarnings("default")
def test_the_notebook_runs_and_shows_what_it_says() -> None:
    book: Any = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(book)
    assert all(not cell.get("outputs") for cell in book.cells), "outputs are not kept: they age"
    nbclient.NotebookClient(book, timeout=600, kernel_name="python3").execute()
    shown = [cell.outputs[0].data for cell in book.cells if cell.cell_type == "code" and cell.outputs]
    table, rows, picture, intervals = shown
    # 12 s without a seek; the 3 s after one are hidden.
    wanted = [["ada", "12.0"], ["bob", "4.0"]]
    assert [line.split()[::2] for line in table["text/plain"].splitlines()[2:]] == wanted
    assert "'value': 12.0" in rows["text/plain"]
    assert picture["text/html"].startswith("<svg ")
    assert "buffer" in intervals["text/plain"]
