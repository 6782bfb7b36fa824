"""Which workflows a stream is fed to, and which say what became of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from timeline.spec.spec import Spec
from workflows.names import fragment_id, node_id, sink_id


def leaves_of(specs: Iterable[Spec], stream: int) -> dict[str, frozenset[str]]:
    """The columns that each leaf of some timelines on a stream reads, by workflow id."""
    return {
        fragment_id(spec, fragment, stream): fragment.columns
        for spec in specs
        for fragment in spec.fragments
        if fragment.leaves
    }


def results_of(specs: Iterable[Spec], stream: int) -> set[str]:
    """The workflow ids of the result nodes of some timelines on a stream, and of their sinks, which would
    otherwise be left behind without bound."""
    specs = list(specs)
    sinks = {sink_id(spec, sink, stream) for spec in specs for sink in spec.sinks}
    return sinks | {node_id(spec, spec.plan.result, stream) for spec in specs}


def interval_of(specs: Iterable[Spec]) -> int:
    """How long (ms) a stream of some timelines leaves between batches that are not full: what the most
    impatient of them allows."""
    return min((spec.run.min_wave_interval for spec in specs), default=0)


def idle_of(specs: Iterable[Spec]) -> int | None:
    """After how long (ms) a topic of some timelines gets a mark: after what the most impatient of them says;
    ``None``: never."""
    return min((spec.source.idle for spec in specs if spec.source.idle is not None), default=None)


def to_feed(specs: Sequence[Spec], paused: Collection[str]) -> tuple[list[Spec], list[Spec], list[Spec]]:
    """Timelines on one source: those that run, the paused ones that share leaves with them, the others.

    A node of a shared one holds what its running child sends until the others are where that is, and so
    cannot be left behind without bound.
    """
    fed = [spec for spec in specs if spec.name not in paused]
    parked = [spec for spec in specs if spec.name in paused]
    shared: list[Spec] = []
    while True:
        live = leaves_of([*fed, *shared], 0).keys()
        more = [spec for spec in parked if leaves_of([spec], 0).keys() & live]
        if not more:
            return fed, shared, parked
        shared += more
        parked = [spec for spec in parked if spec not in more]
