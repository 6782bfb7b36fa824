"""Pictures, looked at as XML: what is where, in which colour."""

from __future__ import annotations

import re
import sys
from typing import Any
from xml.etree import ElementTree

import pytest

import timeline as tl
from tests.support.places import CIRR
from timeline.errors import DurationError, NotFoundError
from timeline.pictures.axis import marks
from timeline.pictures.colours import NUMBER, OTHER, STATES, TRUE
from timeline.pictures.svg import PLOT, STATE_LANE

NAMES = {"svg": "http://www.w3.org/2000/svg"}
REFERENCE = [(1000, "play"), (2000, "seek"), (4000, "buffer")]


def evaluation(rows: list[tuple[int, Any]], expression: str = CIRR, key: str = "k") -> tl.Evaluation:
    return tl.evaluate(expression, tl.from_rows([(key, t, {"playerStateChange": v}) for t, v in rows]))


def drawn(result: tl.Evaluation, **when: Any) -> ElementTree.Element:
    [key] = result.names()
    return ElementTree.fromstring(result.plot(key, **when).to_svg())


def texts(picture: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in picture.findall("svg:text", NAMES)]


def boxes(picture: ElementTree.Element) -> list[tuple[str, float, float, float]]:
    """Of what was: colour, top, and from where to where (px)."""
    found = []
    for box in picture.findall("svg:rect", NAMES):
        if box.find("svg:title", NAMES) is not None:
            x, wide = float(box.attrib["x"]), float(box.attrib["width"])
            found.append((box.attrib["fill"], float(box.attrib["y"]), x, x + wide))
    return found


def test_reference_example_is_where_it_was() -> None:
    picture = drawn(evaluation(REFERENCE), start=1000, end=11_000)
    found = boxes(picture)
    left, right = min(box[2] for box in found), max(box[3] for box in found)
    assert right - left == pytest.approx(PLOT, abs=0.1)

    def seconds(x: float) -> float:
        return round(1 + (x - left) * 10 / PLOT, 3)

    lanes = sorted({top for _, top, _, _ in found})
    by_lane = [[(c, seconds(x), seconds(end)) for c, top, x, end in found if top == lane] for lane in lanes]
    buffer, seek, play = STATES[:3]  # as long as they last
    assert by_lane == [
        [(TRUE, 7, 11)],
        [(TRUE, 1, 11)],
        [(TRUE, 1, 2), (TRUE, 7, 11)],
        [(TRUE, 2, 7)],
        [(TRUE, 4, 11)],
        [(play, 1, 2), (seek, 2, 4), (buffer, 4, 11)],
    ]
    titles = [title.text for title in picture.findall("svg:rect/svg:title", NAMES)]
    assert titles[-2:] == ["seek: 2 s to 4 s (2 s)", "buffer: 4 s to 11 s (7 s)"]


def test_numbers_are_lines_with_their_scale() -> None:
    picture = drawn(evaluation(REFERENCE), start=1000, end=11_000)
    [line] = [p for p in picture.findall("svg:path", NAMES) if p.get("stroke") == NUMBER]
    points = [tuple(map(float, xy.split())) for xy in line.attrib["d"].removeprefix("M").split("L")]
    (left, zero), (right, top) = points[0], points[-1]
    assert right - left == pytest.approx(PLOT, abs=0.1)
    # Nothing up to 7 s, and then a second a second, up to the top of the scale.
    assert {y for x, y in points if x <= left + 0.6 * PLOT + 0.1} == {zero}
    assert zero - top == pytest.approx(44)
    said = texts(picture)
    assert said[:2] == ["k", "2s"]
    assert said.count("4") == 2, "the scale, and the value at the end"
    assert said[-4:] == ["true", "buffer", "seek", "play"], "the legend"


def test_dense_states_take_as_much_of_the_height_as_of_the_time() -> None:
    """Five states in turn for equally long."""
    rows = [(1_356_998_400_000 + i * 60_000, f"s{i % 5}") for i in range(5000)]
    picture = drawn(evaluation(rows, "latest_event_to_state(playerStateChange)"), end=rows[-1][0] + 60_000)
    assert boxes(picture) == []
    areas = [p for p in picture.findall("svg:path", NAMES) if p.find("svg:title", NAMES) is not None]
    assert len(areas) == 5
    assert {p.attrib["fill"] for p in areas} == set(STATES[:5])
    for area in areas:
        heights = [float(high) for high in re.findall(r"v([0-9.]+)h", area.attrib["d"])]
        assert len(heights) == PLOT // 2
        assert sum(heights) / len(heights) == pytest.approx(STATE_LANE / 5, abs=0.1)
    assert "2013-01-02" in texts(picture)
    assert texts(picture).count("UTC") == 1


def test_states_beyond_the_colours_are_others() -> None:
    rows = [(i * 1000, f"s{i}") for i in range(12)]
    picture = drawn(evaluation(rows, "latest_event_to_state(playerStateChange)"))
    assert sum(box[0] == OTHER for box in boxes(picture)) == 4
    assert texts(picture)[-1] == "4 others"


def test_what_is_not_known_is_left_out() -> None:
    expression = "{a: latest_event_to_state(b), n: latest_event_to_state(b) + 1}"
    rows: list[tuple[str, int, dict[str, Any]]]
    rows = [("k", 0, {"a": 1}), ("k", 4000, {"b": 2}), ("k", 8000, {"b": "x"}), ("k", 10_000, {})]
    picture = drawn(tl.evaluate(expression, tl.from_rows(rows)), end=10_000)
    [line] = [p for p in picture.findall("svg:path", NAMES) if p.get("stroke") == NUMBER]
    first, last = (float(xy.split()[0]) for xy in line.attrib["d"].removeprefix("M").split("L"))
    assert last - first == pytest.approx(0.4 * PLOT, abs=0.1)


def test_a_ratio_is_no_straight_line() -> None:
    """From 4 s on of t seconds t - 4: half of them at 8 s, where a line from 0 to 0.6 would be at 0.4."""
    rows = [("k", 0, {"a": 1}), ("k", 4000, {"a": 2})]
    expression = (
        "duration_where(latest_event_to_state(a) == 2) / duration_where(latest_event_to_state(a) != 9)"
    )
    picture = drawn(tl.evaluate(expression, tl.from_rows(rows)), end=10_000)
    line = next(p for p in picture.findall("svg:path", NAMES) if p.get("stroke") == NUMBER)
    points = [tuple(map(float, xy.split())) for xy in line.attrib["d"].removeprefix("M").split("L")]
    left, low, high = points[0][0], points[0][1], points[-1][1]
    x, y = min(points, key=lambda point: abs(point[0] - left - 0.8 * PLOT))
    t = (x - points[-1][0]) * 10 / PLOT + 10
    assert (low - y) / (low - high) * 0.6 == pytest.approx((t - 4) / t, abs=0.01)


def test_text_of_the_data_is_text() -> None:
    rows = [(0, "<script>\x1b\x00\ud800</script>"), (5000, "b")]
    result = evaluation(rows, "latest_event_to_state(playerStateChange)", key="</title><b>&\x07")
    page = result.plot("</title><b>&\x07").to_html()
    assert "<script>" not in page
    assert "<b>" not in page
    assert "\x07" not in page
    picture = ElementTree.fromstring(result.plot("</title><b>&\x07").to_svg())
    assert texts(picture)[0] == "</title><b>&\\x07"
    assert texts(picture)[-2:] == ["<script>\\x1b\\x00\\ud800</script>", "b"]


def test_formats() -> None:
    picture = evaluation(REFERENCE).plot("k")
    png = picture.to_png()
    assert png.startswith(b"\x89PNG\r\n")
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    root = ElementTree.fromstring(picture.to_svg())
    assert (width, height) == (2 * int(root.attrib["width"]), 2 * int(root.attrib["height"]))
    assert picture.to_svg() in picture.to_html()
    assert picture._repr_html_() == picture.to_svg()
    assert repr(picture) == "Picture of 'k': to_svg(), to_html(), to_png()"


def test_png_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(NotFoundError, match=r'pip install "timeline-analytics\[pictures\]"'):
        evaluation(REFERENCE).plot("k").to_png()


def test_several_keys_share_colours() -> None:
    rows = [("a", 0, {"x": "p"}), ("b", 0, {"x": "q"}), ("a", 5000, {"x": "q"}), ("b", 9000, {"x": "p"})]
    result = tl.evaluate("latest_event_to_state(x)", tl.from_rows(rows))
    picture = ElementTree.fromstring(result.plot("a", "b", end=10_000).to_svg())
    colours = [box.attrib["fill"] for box in picture.findall("svg:rect", NAMES) if len(box)]
    assert colours == [colours[0], colours[1], colours[1], colours[0]]
    assert [text for text in texts(picture) if text in ("a", "b")] == ["a", "b"]


def test_wrong_use() -> None:
    result = evaluation(REFERENCE)
    with pytest.raises(NotFoundError, match="no events of key 'z'; there are 'k'"):
        result.plot("z")
    with pytest.raises(DurationError, match="not a time: 'soon'"):
        result.plot("k", end="soon")


DAY = 86_400_000
NEW_YEAR = 1_356_998_400_000


@pytest.mark.parametrize(
    ("start", "end", "labels"),
    [
        (0, 100, ["0", "20ms", "40ms", "60ms", "80ms", "100ms"]),
        (0, 3 * 3_600_000, ["0", "1h", "2h", "3h"]),
        (0, 400 * DAY, ["0", "100d", "200d", "300d", "400d"]),
        (NEW_YEAR, NEW_YEAR + 1000, ["00:00:00.000", "00:00:00.200", "00:00:00.400", "00:00:00.600",
                                     "00:00:00.800", "00:00:01.000"]),
        (NEW_YEAR, NEW_YEAR + 20 * DAY, ["2013-01-07", "2013-01-14", "2013-01-21"]),
        (NEW_YEAR + 1, NEW_YEAR + 800 * DAY, ["2013-07", "2014-01", "2014-07", "2015-01"]),
        (NEW_YEAR, NEW_YEAR + 9000 * DAY, ["2015", "2020", "2025", "2030", "2035"]),
    ],
)  # fmt: skip
def test_marks_are_round(start: int, end: int, labels: list[str]) -> None:
    assert [mark.label for mark in marks(start, end, 5)] == labels
