"""What is asked over all keys of files, here and now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from timeline.cli.options import Format, UsageError
from timeline.cli.saying import say
from timeline.cli.times import Times

if TYPE_CHECKING:
    from timeline.local.spilling import Spill


def print_answer(
    spill: Spill, words: Mapping[str, Any], format: Format, raw: bool, times: Times | None
) -> None:
    """The answer, as ``timeline query`` prints it, of the keys of all events that were read; ``words`` are
    those of `timeline.aggregate.Request.parse`."""
    from timeline.aggregate import Request, kinds_of, merge, needs_span, partial
    from timeline.aggregate.request import MAX_ROWS_HERE
    from timeline.cli.rows import print_result

    kinds = kinds_of(spill.plan)
    words = dict(words)
    if needs_span(kinds, **words):
        if spill.span is None:
            raise UsageError("no event was accepted, so there is no begin and no end: give --from and --to")
        for word, known in zip(("start", "end"), spill.span, strict=True):
            words[word] = known if words[word] is None else words[word]
    request = replace(Request.parse(kinds, **words), most=MAX_ROWS_HERE)
    result = merge(request, [partial(part, request) for part in spill.evaluations()], kinds)
    print_result(result, format, raw, times)
    about = [f"{result.keys} key{'' if result.keys == 1 else 's'}"]
    about += result.inexact()
    for line in about:
        say(line, err=format is not Format.TABLE)
