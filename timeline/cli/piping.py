"""What an expression asks over all keys that is piped into ``aggregate(...)``: over files, here and now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from timeline.cli.options import Format, UsageError
from timeline.cli.saying import say
from timeline.cli.times import Times

if TYPE_CHECKING:
    from timeline.aggregate.piped import Piped
    from timeline.local.spilling import Spill


def print_answer(
    spill: Spill,
    question: Piped,
    ats: Sequence[int] | None,
    every: int | None,
    start: int | None,
    end: int | None,
    format: Format,
    raw: bool,
    times: Times | None,
) -> None:
    """The answer, as ``timeline query`` prints it, of the keys of all events that were read."""
    from timeline.aggregate import Request, kinds_of, merge, needs_span, partial
    from timeline.aggregate.request import MAX_ROWS_HERE
    from timeline.cli.rows import print_result

    kinds = kinds_of(spill.plan)
    words: dict[str, Any] = {**question.words, "every": every}
    if needs_span(kinds, start=start, end=end, **words):
        if spill.span is None:
            raise UsageError("no event was accepted, so there is no begin and no end: give --from and --to")
        start, end = (spill.span[0] if start is None else start), (spill.span[1] if end is None else end)
    request = Request.parse(kinds, at=ats, start=start, end=end, **words)
    request = replace(request, most=MAX_ROWS_HERE)
    result = merge(request, [partial(part, request) for part in spill.evaluations()], kinds)
    print_result(result, format, raw, times)
    about = [f"{result.keys} key{'' if result.keys == 1 else 's'}"]
    about += result.inexact()
    for line in about:
        say(line, err=format is not Format.TABLE)
