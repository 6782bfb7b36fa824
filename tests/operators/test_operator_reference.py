"""The operator reference is current, and the examples say what they promise."""

from __future__ import annotations

import pytest

from tests.support.operator_reference import PAGE, STUB, operator_classes, page, stub
from tests.support.oracle import DEFINITIONS
from tests.support.places import ROOT
from timeline.language.signatures import signatures
from timeline.local.evaluate import evaluate
from timeline.plan import make_plan
from timeline.reading import read_events
from timeline.spec.loading import load_spec

EXAMPLES = ROOT / "examples"
#: Still there; left for another reason; left because of it.
LEFT = [
    {"left": False, "because_of_it": False},
    {"left": True, "because_of_it": False},
    {"left": True, "because_of_it": True},
]
START = 1_772_355_600_000  # 2026-03-01T09:00:00Z


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m tests.support.operator_reference"


def test_the_types_of_the_builder_are_current() -> None:
    assert STUB.read_text("utf-8") == stub(), "run: python -m tests.support.operator_reference"


def test_every_operator_has_a_definition() -> None:
    assert set(DEFINITIONS) == {s.name for s in signatures() if not s.symbol}


def test_every_operator_of_the_language_is_on_it() -> None:
    every = """{out: count(a == 1) - sum(a) * 2 > lag(count_rises(!has_existed(a == 1)
        && has_existed_within(a == 1, 1s) || has_existed(prior_state(latest_event_to_state(a)) == 1)), 1s)
        + if(has_existed_within(has_existed(a == 1), 1s), duration_where(has_existed(a == 1)),
        duration_in_prior_state(latest_event_to_state(a))
        + min_so_far(max_so_far(duration_in_cur_state(latest_event_to_state(a))))),
        silent: gaps(1s), first: first(a), distinct: distinct(a),
        since: since(a == 1, sum(a)) + since(has_existed(a == 1), min_so_far(latest_event_to_state(a))),
        mean: time_weighted_avg(latest_event_to_state(a)),
        one: matches(latest_event_to_state(a), "x") || starts_with(latest_event_to_state(a), "x")
        || latest_event_to_state(a) in (1, 2)}"""
    used = {type(node.operator) for node in make_plan(every).nodes}
    assert used == set(operator_classes())


@pytest.mark.parametrize(
    ("name", "key", "at", "value"),
    [
        ("rebuffering-ratio", "reference", 7000, 0),
        ("rebuffering-ratio", "reference", 10_000, 3 / 7),
        ("card-two-places", "4111-0002", START + 607_000, False),
        ("card-two-places", "4111-0002", START + 608_000, True),
        ("card-two-places", "4111-0002", START + 608_000 + 3_600_000, False),
        ("card-two-places", "4111-0001", START + 2_700_000, False),
        ("rebuffering-by-cdn", "s1", 7000, {"cdn": "C2", "rebuffering": 3, "on_c1": 3}),
        ("rebuffering-by-cdn", "s1", 12_000, {"cdn": "C2", "rebuffering": 4, "on_c1": 3}),
        ("rebuffering-by-cdn", "s3", 14_000, {"cdn": "C1", "rebuffering": 0, "on_c1": 0}),
        ("left-after-rebuffering", "ann", 17_998, {"rebuffering": False, **LEFT[0]}),
        ("left-after-rebuffering", "ann", 17_999, {"rebuffering": False, **LEFT[2]}),
        ("left-after-rebuffering", "ann", 90_000, {"rebuffering": False, **LEFT[2]}),
        ("left-after-rebuffering", "bob", 18_000, {"rebuffering": False, **LEFT[1]}),
        ("left-after-rebuffering", "cem", 9000, {"rebuffering": False, **LEFT[1]}),
        ("logins", "l1", START + 20_000, {"step": "done", "open": False, "took": 10}),
        ("logins", "l2", START + 20_000, {"step": "failed", "open": False, "took": 6}),
        ("logins", "l3", START + 20_000, {"step": "password", "open": True, "took": 15}),
    ],
)
def test_examples(name: str, key: str, at: int, value: object) -> None:
    spec = load_spec(EXAMPLES / f"{name}.toml")
    (file,) = spec.source.files
    blocks = read_events(file, key=spec.source.key, time=spec.source.time, columns=spec.plan.columns)
    (block,) = blocks
    (row,) = evaluate(spec.plan, block.events).values(at=[at], keys=[key])
    assert row.value == value
