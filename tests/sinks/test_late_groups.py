"""Groups of keys whose nodes had forgotten when the timeline came: rows begin where all keys are known, and
say how many keys they leave out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.engine.test_sharing import Shared
from tests.support.graphs import WireGraph
from tests.support.poison import poison
from tests.support.streams import json
from timeline.engine import shrinking
from timeline.engine.patch import Patch
from timeline.engine.wire import from_patch, to_patch
from timeline.plan import PlanNode, make_plan
from timeline.sinks.emission import Emission
from timeline.sinks.merging import Merging
from timeline.spec.spec import Spec
from timeline.tables.events import from_rows

STATE = "latest_event_to_state(a)"
OUTPUTS = {"secs": f'duration_where({STATE} == "x")', "state": STATE}
#: Of "old" all before about 95 s is forgotten when the timeline comes, of "old2" nothing (it never changed).
OLD = [("old", 1_000 * t, {"a": "xy"[t % 2]}) for t in range(100)]
BEFORE = sorted([*OLD, ("old2", 12_000, {"a": "x"}), ("new", 99_500, {"a": "x"})], key=lambda e: e[1])
AFTER = [("old", 100_000, {"a": "x"}), ("new", 104_000, {"a": "y"}), ("old", 112_000, {"a": "y"})]


def spec_of(**sink: Any) -> Spec:
    limits = {"allowed_lateness": "0s", "retention": "5s", "watermark": "stream"}
    whole = {"folder": "out", "every": "10s", **sink}
    return Spec.from_wire({"name": "t", "outputs": OUTPUTS, "limits": limits, "sink": whole})


class Heard(Shared):
    """Also what each node has said."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec.node_limits, 1)
        self.said: dict[str, list[Patch]] = {}

    def tell(self, text: str, patch: Patch | None) -> None:
        self.said.setdefault(text, []).extend([] if patch is None else [patch])
        super().tell(text, patch)


def push(emission: Emission, said: Callable[[PlanNode], Sequence[Patch | None]]) -> None:
    for index, inputs in emission.inputs().items():
        for patch in said(emission.spec.plan.nodes[index]):
            assert patch is not None
            for number in inputs:
                emission.receive(number, from_patch(json(to_patch(patch))))


def steps(emission: Emission, more: Callable[[], Any]) -> list[Any]:
    found = []
    while (target := emission.next_position()) is not None:
        emission.step(target)
        while (one := more()) is not None:
            found.append(one)
        emission.restore(json(emission.carried()))
        emission.tidy()
    return found


def late(emission: Emission, before: Any, after: Any, more: Callable[[], Any]) -> list[Any]:
    """What is said by a sink of a timeline that comes between the two, over a node that runs already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shrinking, "FEW", -1_000_000)
        shared = Heard(emission.spec)
        shared.add(make_plan(STATE), 1)
        shared.feed(from_rows(before, (0,)))
        shared.add(emission.spec.plan, 1)
        push(emission, lambda node: [shared.nodes[node.text].snapshot()])
        found = steps(emission, more)
        shared.said.clear()
        shared.feed(from_rows(after, (len(before),)))
        push(emission, lambda node: shared.said[node.text])
        return found + steps(emission, more)


def rows_of(spec: Spec, before: Any = BEFORE, after: Any = AFTER) -> list[dict[str, Any]]:
    emission = Emission(spec, spec.sink(), 0)
    return [row for rows in late(emission, before, after, emission.rows) for row in rows]


def test_rows_begin_where_all_keys_are_known() -> None:
    rows = rows_of(spec_of(agg="count, sum(secs)"))
    assert [(r["at"], r["count"], r["counted_keys"]) for r in rows] == [(100_000, 3, 1), (110_000, 3, 1)]
    assert not any("excluded_keys" in row for row in rows)
    # "old2" 88 s and 98 s; "new" 0.5 s and 4.5 s; "old", which was counted from 95 s on, 3 s and 10 s more.
    assert [row["sum(secs)"] for row in rows] == [88 + 0.5 + 3, 98 + 4.5 + 3 + 10]


def test_groups_of_keys_that_were_there_before_are_not_missing() -> None:
    rows = rows_of(spec_of(agg="count", group_by=["state"]))
    assert [(row["at"], row["state"], row["count"]) for row in rows] == [
        (100_000, "x", 3),
        (110_000, "x", 2),
        (110_000, "y", 1),
    ]


def test_merged_rows_begin_where_all_streams_know_all_their_keys() -> None:
    spec = spec_of(agg="count", merged=True)
    emissions = [Emission(spec, spec.sink(), stream) for stream in range(2)]
    told = [late(emissions[0], BEFORE, AFTER, emissions[0].hand_over)]
    # Of the other stream nothing is forgotten.
    whole = [("m", 0, {"a": "x"})], [("m", 120_000, {"a": "x"})]
    told.append(late(emissions[1], *whole, emissions[1].hand_over))
    assert [told[0][0]["known"], *("known" in handed for handed in told[1])] == [100_000, False]
    for order in (told, told[::-1]):
        merging = Merging(spec, spec.sink(), 2)
        rows = []
        for handed in (h for mine in order for h in mine):
            merging.take(0 if handed in told[0] else 1, json(handed))
            while (more := merging.rows()) is not None:
                rows += more
            carried = json(merging.carried())
            merging = Merging(spec, spec.sink(), 2)
            merging.restore(carried)
        assert [(r["at"], r["count"], r["counted_keys"]) for r in rows] == [(100_000, 4, 1), (110_000, 4, 1)]
        assert merging.size == 0


@pytest.mark.parametrize("merged", [False, True])
def test_a_key_that_is_quarantined_is_left_out_and_said_to_be(merged: bool) -> None:
    spec = spec_of(agg="count", group_by=["state"], merged=merged)
    emission = Emission(spec, spec.sink(), 0)
    graph = WireGraph(spec.plan, spec.node_limits, "node")
    found = []
    for number, events in enumerate(
        [[("k", 0, {"a": "x"}), ("l", 1_000, {"a": "x"})], [("k", 25_000, {"a": "y"})]]
    ):
        said = graph.feed(from_rows(events, (2 * number,)), (2 * number + 1,))
        push(emission, lambda node, said=said: [said[node.index]])  # type: ignore[misc]
        found += steps(emission, emission.hand_over if merged else emission.rows)
        poison(graph.nodes[0], {"k"}, reading=False)
    rows = [row for rows in found for row in rows]
    if merged:
        merging = Merging(spec, spec.sink(), 1)
        for handed in found:
            merging.take(0, json(handed))
        rows = merging.rows() or []
    assert [(row["at"], row["state"], row["count"], row.get("excluded_keys")) for row in rows] == [
        (0, "x", 1, None),
        (10_000, "x", 1, 1),
        (20_000, "x", 1, 1),
    ]
