"""The site of docs/: all pages are in it, and no link leads nowhere."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.support.places import ROOT
from tests.support.site import assemble, build

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("zensical") is None, reason="zensical is not installed"
)


def test_every_page_is_there_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    build(tmp_path / "made")
    site = tmp_path / "made" / "site"
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert {page.stem for page in site.glob("*.html")} == pages | {"index", "404"}
    first = (site / "index.html").read_text("utf-8")
    for page in pages:
        assert f'href="./{page}.html"' in first, f"{page} is not in the navigation (docs/zensical.toml)"
    assert (site / "examples" / "cirr.toml").exists()


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_a_mistake(folder: Path) -> Path:
        pages = assemble(folder)
        (pages / "start.md").write_text("[x](nowhere.md), [y](language.md#nowhere)", "utf-8")
        return pages

    monkeypatch.setattr("tests.support.site.assemble", with_a_mistake)
    with pytest.raises(RuntimeError, match=r"page does not exist(?s:.*)anchor does not exist"):
        build(tmp_path / "made")
