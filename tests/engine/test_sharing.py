"""Timelines that come to nodes which have forgotten: what they say is exact, or says from when it counts."""

from __future__ import annotations

import functools
import itertools
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import event, given, note, settings
from hypothesis import strategies as st

from tests.support import trees
from tests.support.oracle import Oracle
from tests.support.oracle_values import calculated, exact, number, same
from tests.support.streams import END, bools, durations, exact_value, json, through_wire
from timeline.engine import shrinking
from timeline.engine.answers import Answers
from timeline.engine.node import Node
from timeline.engine.patch import Patch, parts
from timeline.engine.wire import from_patch, to_patch
from timeline.errors import RetentionError
from timeline.language import expression as ex
from timeline.language.expression import conjunction
from timeline.language.printer import print_expression
from timeline.limits import Limits
from timeline.operators.time_weighted_avg import quotient
from timeline.plan import Plan, PlanNode, make_plan
from timeline.tables.events import Events, concat, from_rows


class Shared:
    """Nodes of several plans on one stream, as the registry joins them: each text runs once."""

    def __init__(self, limits: Limits, size: int) -> None:
        self.limits = limits
        self.size = size
        self.planned: dict[str, tuple[Plan, PlanNode]] = {}
        self.nodes: dict[str, Node] = {}
        self.parents: dict[str, list[tuple[str, int]]] = {}
        self.born_at: dict[str, int] = {}
        self.fed: list[Events] = []

    def add(self, plan: Plan, recut: int) -> None:
        new = [n for n in plan.nodes if n.text not in self.nodes]
        for n in new:
            shapes = [plan.nodes[i].operator.kind for i in n.inputs]
            self.nodes[n.text] = Node(n.operator, shapes, self.limits, n.before_origin)
            self.planned[n.text] = plan, n
            self.parents[n.text] = []
            self.born_at[n.text] = len(self.fed)
        newcomers: dict[str, list[tuple[str, int]]] = {}
        for n in new:
            for index, child in enumerate(n.inputs):
                text = plan.nodes[child].text
                self.parents[text].append((n.text, index))
                if plan.nodes[child] not in new:
                    newcomers.setdefault(text, []).append((n.text, index))
        for text, parents in newcomers.items():
            snapshot = self.nodes[text].snapshot()
            if snapshot is not None:
                self.deliver(snapshot, parents)
        # New leaves are brought up from the beginning, in batches of another feeder.
        for begin in range(0, len(self.fed), recut):
            batch = concat(self.fed[begin : begin + recut])
            for n in new:
                if n.leaf is not None:
                    self.accept(n.text, batch)

    def feed(self, batch: Events) -> None:
        self.fed.append(batch)
        for text, (_, n) in list(self.planned.items()):
            if n.leaf is not None:
                self.accept(text, batch)

    def accept(self, text: str, batch: Events) -> None:
        self.tell(text, self.nodes[text].accept(batch, tuple(batch.position[-1].tolist())))

    def tell(self, text: str, patch: Patch | None) -> None:
        if patch is not None:
            self.deliver(patch, self.parents[text])

    def deliver(self, patch: Patch, parents: list[tuple[str, int]]) -> None:
        for parent, inputs in itertools.groupby(parents, lambda p: p[0]):
            node = self.nodes[parent]
            indices = [index for _, index in inputs]
            for part in parts(patch, rows=self.size, size=40):
                for index in indices:
                    node.receive(index, from_patch(json(to_patch(part))))
            self.tell(parent, node.advance())

    def continue_as_new(self) -> None:
        for text, (plan, n) in self.planned.items():
            self.nodes[text] = through_wire(self.nodes[text], n, plan, self.limits)


#: Asked at every tick.
text_of = functools.cache(print_expression)


class Begun(Oracle):
    """One key's events, of which operators with memory (by text) have seen only what was from a tick on."""

    def __init__(self, events: Any, begun: dict[str, int]) -> None:
        super().__init__(events)
        self.begun = begun

    def _at(self, part: ex.Expression, tick: int) -> Any:
        x = part.parts[-1] if part.name == "since" else part
        if x.name == "time_weighted_avg":
            x = quotient(x)
        if x is not part and isinstance(x, ex.Arithmetic):
            sides = [trees.Since(part.parts[0], s) if part.name == "since" else s for s in x.parts]
            return calculated(x.op, *(self.at(side, tick) for side in sides))
        begin = 0 if isinstance(part, ex.Constant) else self.begun.get(text_of(part), 0)
        if not begin:
            return super()._at(part, tick)
        ticks = range(begin, tick + 1)
        of = part.parts[0] if part.parts else part
        if isinstance(part, ex.Call) and part.name == "gaps":
            of = ex.Not(trees.call("alive")(*part.arguments))
        match part.name:
            case "has_existed":
                return any(self.at(of, t) for t in ticks)
            case "duration_where":
                return Fraction(sum(bool(self.at(of, t)) for t in ticks if t < tick), 1000)
            case "duration_in_cur_state":
                since = self.since(of, tick, begin)
                return None if self.at(of, tick) is None else Fraction(tick - since, 1000)
            case "prior_state":
                since = self.since(of, tick, begin)
                return None if since == begin else self.at(of, since - 1)
            case "duration_in_prior_state":
                since = self.since(of, tick, begin)
                lasted = None if since == begin else self.at(trees.DurationInCurState(of), since - 1)
                return None if lasted is None else lasted + Fraction(1, 1000)
            case "count_rises" | "gaps":
                return Fraction(
                    sum(
                        self.at(of, t) is True and (t == begin or self.at(of, t - 1) is not True)
                        for t in ticks
                    )
                )
            case "min_so_far" | "max_so_far" as name:
                numbers = [n for n in (number(self.at(of, t)) for t in ticks) if n is not None]
                return {"min_so_far": min, "max_so_far": max}[name](numbers, default=None)
            case "integral":
                numbers = [n for n in (number(self.at(of, t)) for t in ticks if t < tick) if n is not None]
                return sum(numbers, Fraction(0)) / 1000
            case "time_since":
                rises = (t for t in ticks if self.at(of, t) and (t == begin or not self.at(of, t - 1)))
                last = max(rises, default=None)
                return None if last is None else Fraction(tick - last, 1000)
            case "since":
                ago = self.at(trees.call("time_since")(of), tick)
                return None if ago is None else self.counted(x, max(begin, tick - int(ago * 1000)), tick)
        return super()._at(part, tick)

    def counted(self, x: ex.Expression, start: int, tick: int) -> Any:
        """What x has grown since a tick, or was from then on."""
        if x.name in ("min_so_far", "max_so_far"):
            values = (number(self.at(x.parts[0], t)) for t in range(start, tick + 1))
            best = min if x.name == "min_so_far" else max
            return best((n for n in values if n is not None), default=None)
        at_once = x.name not in ("duration_where", "integral")
        return self.at(x, tick) - self.at(x, start - at_once)

    def since(self, part: ex.Expression, tick: int, begin: int) -> int:
        now = self.at(part, tick)
        while tick > begin and same(self.at(part, tick - 1), now):
            tick -= 1
        return tick


truths = bools(1)

# Time goes on from event to event, so that nodes forget; some events are a little late.
steps = st.lists(
    st.tuples(
        st.sampled_from(["k", "k", "l"]),
        st.sampled_from([2, 1, 3, 0, -1]),
        st.fixed_dictionaries({"a": st.sampled_from("xy")}, optional={"b": st.sampled_from(["x", 1, None])}),
    ),
    min_size=8,
    max_size=12,
)
is_an_x = ex.Compare("==", ex.Column("a"), ex.Constant("x"))
b = trees.LatestEventToState(ex.Column("b"))
# What changes often has more to forget than most of `truths`.
is_x = st.sampled_from([ex.Compare("==", trees.LatestEventToState(ex.Column("a")), ex.Constant("x"))])
within = st.builds(
    trees.HasExistedWithin, st.just(ex.Compare("==", ex.Column("a"), ex.Constant("x"))), st.just(1)
)
changing = is_x | within


def longest(of: ex.Expression) -> ex.Expression:
    return trees.call("max_so_far")(trees.DurationInCurState(of))


def on_top(of: ex.Expression, data: Any) -> ex.Expression:
    """Something that uses a Bool timeline that is there."""
    number = data.draw(durations)
    other = data.draw(changing | truths)
    choices: list[ex.Expression] = [
        ex.Not(of),
        conjunction((of, other)),
        trees.HasExisted(of),
        trees.HasExistedWithin(of, number),
        trees.Lag(of, number),
        trees.If(of, other, of),
        ex.Compare(">", trees.DurationWhere(of), ex.Constant(0.003)),
        ex.Compare(">", trees.DurationInCurState(of), ex.Constant(0.002)),
        ex.Compare(">", trees.DurationInPriorState(of), ex.Constant(0.002)),
        ex.Compare("==", trees.PriorState(of), other),
        ex.Compare(">=", trees.CountRises(of), ex.Constant(2)),
        ex.Compare("<", trees.DurationWhere(of), trees.DurationWhere(other)),
        ex.Compare(">", trees.call("time_since")(of), ex.Constant(0.002)),
        ex.Compare(">", trees.Since(of, trees.DurationWhere(other)), ex.Constant(0.001)),
        ex.Compare(">=", trees.Since(of, trees.CountRises(of)), ex.Constant(1)),
        ex.Compare(">", trees.Since(is_an_x, trees.DurationWhere(of)), ex.Constant(0.001)),
        ex.Compare("<", trees.Since(is_an_x, trees.call("count")(is_an_x)), trees.CountRises(of)),
        ex.Compare(
            "<",
            trees.Since(of, trees.call("max_so_far")(trees.DurationInCurState(other))),
            ex.Constant(0.003),
        ),
        ex.Compare("==", trees.call("time_weighted_avg")(trees.Lag(b, number)), ex.Constant(1)),
    ]
    drawn: ex.Expression = data.draw(st.sampled_from(choices))
    return drawn


def reach(plan: Plan, node: PlanNode) -> int:
    """How many ms all that a node stands on may look back."""
    own = 0 if node.leaf else node.operator.begins_after
    return own + max((reach(plan, plan.nodes[i]) for i in node.inputs), default=0)


@settings(max_examples=300)
@given(changing | truths, steps, st.sampled_from([0, 1, 2]), st.sampled_from([0, 1, 4]), st.data())
def test_newcomers_say_from_when_they_are_exact(
    first: ex.Expression, moves: Any, lateness: int, keep: int, data: Any
) -> None:
    limits = Limits(lateness, keep)
    now = itertools.accumulate((step for _, step, _ in moves), lambda t, step: max(0, t + step), initial=0)
    events = [(key, min(tick, END - 4), values) for (key, _, values), tick in zip(moves, now, strict=False)]
    newest: dict[str, int] = {}
    lives: dict[str, list[Any]] = {}
    newest_after: list[dict[str, int]] = [{}]
    for key, tick, values in events:
        if tick >= newest.get(key, -1) - lateness:
            newest[key] = max(tick, newest.get(key, -1))
            lives.setdefault(key, []).append((tick, values))
        newest_after.append(dict(newest))
    second = on_top(first, data)
    third = on_top(second, data)
    expressions = data.draw(st.sampled_from([(first, second, third), (second, first, third), (first, third)]))
    whole = from_rows(events)
    at = data.draw(st.lists(st.integers(1, len(whole)), min_size=2, max_size=4))
    bounds = sorted({0, len(whole), *at})
    later = st.sampled_from([len(bounds) - 1, len(bounds) - 2, *range(len(bounds) - 2)])
    when = [0, *sorted(data.draw(later) for _ in expressions[1:])]
    note(f"{[make_plan(e).result.text for e in expressions]} before batches {when} of {bounds}")
    shared = Shared(limits, data.draw(st.sampled_from([1, 1_000])))
    plans = [make_plan(e) for e in expressions]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shrinking, "FEW", -1_000_000)
        for number, (begin, end) in enumerate(itertools.pairwise([*bounds, None])):
            for due, plan in zip(when, plans, strict=True):
                if due == number:
                    shared.add(plan, data.draw(st.integers(1, 3)))
            if end is not None:
                shared.feed(whole.take(slice(begin, end)))
            if data.draw(st.booleans()):
                shared.continue_as_new()
    for key, mine in lives.items():
        begun = {
            text: int(node.state.by_key.known_from[node.state.keys.find(key)])
            for text, node in shared.nodes.items()
            if node.state.operator.remembers and node.state.leaf is None
        }
        plain, anew = Oracle(mine), Begun(mine, begun)
        for text, node in shared.nodes.items():
            plan, planned = shared.planned[text]
            code = node.state.keys.find(key)
            assert code is not None
            known, counted = (
                int(node.state.by_key.known_from[code]),
                int(node.state.by_key.counted_from[code]),
            )
            table, origin, last = Answers(node.state).timeline(key)
            assert (origin, last) == (plain.origin, newest[key]), text
            base = int(table.tick[0])
            when_born = newest_after[sum(map(len, shared.fed[: shared.born_at[text]]))].get(key, -1)
            promised = max(origin, when_born - lateness - keep + reach(plan, planned))
            assert known <= promised, f"{text} of {key} is known from {known}, not {promised}"
            assert base <= max(promised, newest[key] - lateness - keep), "kept as long as promised"
            for tick in range(base, END):
                row = next(r for r in reversed(range(len(table))) if table.tick[r] <= tick)
                got = exact(exact_value(table, row, tick))
                wanted = exact(anew.at(planned.expression, tick))
                assert same(got, wanted), f"{text} of {key} at {tick}: {got} is not {wanted}"
                if not counted:
                    true = exact(plain.at(planned.expression, tick))
                    assert same(got, true), f"{text} of {key} at {tick}: {got}, and {true} in truth"
            if base > origin:
                with pytest.raises(
                    RetentionError, match="is known from" if known == base else "is kept from"
                ):
                    Answers(node.state).value(key, base - 1)
            event("counted" if counted else "known" if known else "whole")
            expected = {"counted_from": counted} if counted else {"exact_from": known} if known else {}
            assert Answers(node.state).exact_from(key) == expected
            if origin:
                assert Answers(node.state).value(key, origin - 1)[0] == planned.before_origin
