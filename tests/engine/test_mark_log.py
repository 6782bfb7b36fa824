"""The marks that a leaf keeps: without which whoever reads the stream later would judge otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.engine.test_lives import cuts, events_of, silences, steps
from tests.support.graphs import WireGraph
from tests.support.played import lives_in, sink_of
from tests.support.schedules import marks_of
from tests.support.streams import marked_batches
from timeline.engine.mark_log import MarkLog
from timeline.tables.events import Position, from_rows
from timeline.tables.marks import marked


@settings(max_examples=200)
@given(steps, cuts, st.sampled_from([0, 1, 3]), st.sampled_from([None, 1, 3, 6]), silences)
def test_who_reads_a_stream_later_needs_but_the_marks_that_its_leaves_keep(
    drawn: Any, at: list[int], lateness: int, ttl: int | None, silent: dict[int, int]
) -> None:
    events = events_of(drawn)
    marks = marks_of(events, silent)
    note(f"{events}, marks {marks}, lateness {lateness}, ttl {ttl}")
    spec = sink_of({}, lateness, ttl, "key" if ttl else "stream")

    def fed(marks: dict[int, int]) -> tuple[list[Position], Any]:
        graph = WireGraph(spec.plan, spec.node_limits)
        for batch, last in marked_batches(from_rows(events), at, marks):
            graph.feed(batch, last)
        graph.continue_as_new(graph.limits)
        leaf = next(node for node in graph.nodes if node.state.leaf is not None)
        refused = [(r.position, r.reason.name) for r in leaf.state.refused.after(None, 100)]
        answers = graph.answers
        told = {key: lives_in(answers, key) for key in answers.known_keys()}
        return leaf.state.marks.places, (leaf.state.stream_time, refused, told)

    kept, told = fed(marks)
    assert fed({place[0] + 1: place[-1] for place in kept})[1] == told


def test_a_mark_that_made_no_difference_is_not_kept() -> None:
    log = MarkLog()
    for number in range(1_000):
        log.reach(marked((number,), 100 * number))
        log.look(np.array([100 * number - 5]), np.array([100 * number]), 5)
        assert log.places == [(number, -1, 100 * number)]
    log.look(np.array([99_894]), np.array([99_900]), 5)
    log.reach(marked((1_000,), 100_000))
    assert log.places == [(999, -1, 99_900), (1_000, -1, 100_000)]
