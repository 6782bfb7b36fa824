"""Trees of operators by name, and random ones of every operator that there is."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping

from hypothesis import strategies as st

from timeline.language.expression import Call, Expression
from timeline.language.signatures import Signature, signatures
from timeline.operators.since import BEST, GROWING
from timeline.values.kinds import Kind


def call(name: str) -> Callable[..., Call]:
    """Makes calls of one operator from its arguments, durations in ms."""

    def make(*arguments: Expression | int) -> Call:
        return Call(name, arguments)

    return make


LatestEventToState = call("latest_event_to_state")
HasExisted = call("has_existed")
HasExistedWithin = call("has_existed_within")
DurationWhere = call("duration_where")
DurationInCurState = call("duration_in_cur_state")
DurationInPriorState = call("duration_in_prior_state")
PriorState = call("prior_state")
CountRises = call("count_rises")
If = call("if")
Lag = call("lag")
Since = call("since")
StartsWith = call("starts_with")
Matches = call("matches")

_PLAIN = {
    Kind.COLUMN: "playerStateChange",
    Kind.CONSTANT: '"play"',
    Kind.PREDICATE: 'playerStateChange == "play"',
    Kind.STATE: "latest_event_to_state(playerStateChange)",
    Kind.BOOL: 'latest_event_to_state(playerStateChange) == "buffer"',
    Kind.NUMERIC: 'count(playerStateChange == "play")',
}


def plain_text(signature: Signature) -> str:
    """The text of a call of an operator with one-line operands: the first kind that each may have."""
    arguments = []
    for parameter in signature.parameters:
        # What takes a column too is a timeline only over the other kind.
        plain = [kind for kind in parameter.kinds if kind is not Kind.COLUMN] or parameter.kinds
        arguments.append("5s" if parameter.is_duration else _PLAIN[plain[0]])
    return f"{signature.name}({', '.join(arguments)})"


Trees = st.SearchStrategy[Expression]

#: What counts from the origin on, and so may be counted since something.
COUNTING = (*GROWING, *BEST)


def calls_of(
    kind: Kind,
    of: Mapping[Kind, Trees],
    durations: st.SearchStrategy[int],
    only: Collection[str] | None = None,
) -> Trees:
    """Calls of every operator that makes a kind and whose operands ``of`` has, whatever file it is in; or of
    ``only`` some."""
    made: list[Trees] = []
    for signature in signatures():
        fitting = [[of[k] for k in p.kinds if k in of] for p in signature.parameters]
        complete = all(f or p.is_duration for f, p in zip(fitting, signature.parameters, strict=True))
        if signature.result is kind and complete and (only is None or signature.name in only):
            parts = [st.one_of(f) if f else durations for f in fitting]
            made.append(st.tuples(*parts).map(functools.partial(Call, signature.name)))
    return st.one_of(made)
