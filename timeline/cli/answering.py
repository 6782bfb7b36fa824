"""What is asked over all keys of files, here and now."""

from __future__ import annotations

from collections.abc import Mapping
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
    from timeline.aggregate import kinds_of, merge, partial
    from timeline.cli.rows import print_result
    from timeline.local.asking import request_here

    kinds = kinds_of(spill.plan)
    none = UsageError("no event was accepted, so there is no begin and no end: give --from and --to")
    request = request_here(kinds, words, lambda: spill.span, none)
    result = merge(request, [partial(part, request) for part in spill.evaluations()], kinds)
    print_result(result, format, raw, times)
    about = [f"{result.keys} key{'' if result.keys == 1 else 's'}"]
    about += result.inexact()
    for line in about:
        say(line, err=format is not Format.TABLE)
