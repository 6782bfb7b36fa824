"""The command ``query``: one key's value, or a question over all keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from timeline.cli.connecting import NameArgument, NodeOption, connected
from timeline.cli.options import (
    EveryOption,
    Format,
    FromOption,
    JsonOption,
    RawOption,
    ToOption,
    UsageError,
    between,
    step,
    utf8,
)
from timeline.cli.overall import (
    AggOption,
    ByOption,
    GroupByOption,
    LivesOption,
    PerOption,
    TopOption,
    WhereOption,
    check_times,
    question_words,
)
from timeline.cli.saying import printable, say
from timeline.cli.times import (
    END,
    AtOrEndOption,
    Times,
    TimesOption,
    chosen,
    said,
    times_or_end,
    with_end,
)

if TYPE_CHECKING:
    from timeline.aggregate import Result
    from timeline.spec.spec import Spec
    from workflows.client import Answer, Client

#: Of the times at which keys were left out so many are named.
MAX_NAMED = 5


def query(
    name: NameArgument,
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="The key.", show_default=False)] = None,
    at: AtOrEndOption = None,
    node: NodeOption = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Ask over all keys. The options below need it.")
    ] = False,
    where: WhereOption = None,
    group_by: GroupByOption = None,
    agg: AggOption = None,
    top: TopOption = None,
    by: ByOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    every: EveryOption = None,
    per: PerOption = None,
    lives: LivesOption = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Leave out keys that were not counted from their first event.")
    ] = False,
    format: Annotated[
        Format | None, typer.Option(help="How to print. Send arrow and parquet to a file: > FILE.")
    ] = None,
    raw: RawOption = False,
    times: TimesOption = None,
    json: JsonOption = False,
) -> None:
    """Ask the result of a timeline, or any node, for the value of a key; or ask over all keys.

    Without --at the answer is for the key's newest event. "final" says that no event can change it any more.
    With --all each stream is asked once, and the answer names the positions of the streams. Questions over
    time (--per, or a duration in --agg) go from --from up to --to, or from the first event to the last. If
    the expression is piped into aggregate(...), leave out KEY and --all: its own question is asked.
    """
    piped = key is None and not all_
    if not all_ and not piped:
        assert key is not None
        asked_of_all = {
            "--where": where,
            "--group-by": group_by,
            "--agg": agg,
            "--top": top,
            "--by": by,
            "--from": from_,
            "--to": to,
            "--every": every,
            "--per": per,
            "--lives": lives or None,
            "--exact": exact or None,
            "--format": format,
            "--raw": raw or None,
        }
        for option, value in asked_of_all.items():
            if value is not None:
                raise UsageError(f"{option} needs --all: it asks over all keys, got the key {key!r}")
        _query_key(name, utf8(key, "KEY"), at, node, times, json)
        return
    if key is not None:
        raise UsageError(f"give a KEY or --all, not both, got {key!r} and --all")
    if node is not None:
        raise UsageError("--node goes with a KEY; over all keys the outputs of the result are asked")
    if json and format is not None:
        raise UsageError("give --json or --format, not both")
    check_times(at, from_ or to, every, per)
    start, end = between(from_, to)
    ats = times_or_end(at)
    words = question_words(agg, group_by, where, top, by, per, lives)
    words |= {"start": start, "end": end, "every": step(every), "exact": exact}

    async def work(timelines: Client) -> tuple[Spec, Result]:
        spec = await timelines.registry.spec(name)
        if piped:
            if spec.question is None:
                raise UsageError("give a KEY, or --all for a question over all keys")
            words.update(spec.question.unless(words))
        words["at"] = None if ats is None else await _known(timelines, spec, ats)
        return spec, await timelines.questions.aggregate(
            spec, await timelines.questions.request(spec, **words)
        )

    spec, result = connected(work)
    if json:
        from timeline.cli.render import print_json

        print_json({"timeline": spec.name, **result.to_json()})
    else:
        _print(result, format or Format.TABLE, raw, times)


async def _known(timelines: Client, spec: Spec, ats: list[int]) -> list[int]:
    """The ticks of ``--at``, the newest event among them if it is asked for."""
    return with_end(ats, (await timelines.questions.span(spec))[1]) if END in ats else ats


def _query_key(
    name: str, key: str, at: list[str] | None, node: str | None, times: Times | None, json: bool
) -> None:
    from timeline.cli.render import print_json
    from timeline.errors import TimelineError
    from timeline.pictures.texts import value_text

    said_ats = times_or_end(at)

    async def work(timelines: Client) -> None:
        spec = await timelines.registry.spec(name)
        asked = spec.plan.result if node is None else spec.plan.find(node)
        ats = [None] if said_ats is None else await _known(timelines, spec, said_ats)
        for answer in await timelines.questions.values(spec, asked, [(key, tick) for tick in ats]):
            if answer.error is not None:
                raise TimelineError(answer.error)
            if json:
                print_json(
                    {
                        "timeline": name,
                        "key": key,
                        "time": answer.at,
                        "value": answer.value,
                        "position": answer.position,
                        "final": answer.final,
                        **_late(answer),
                    }
                )
            else:
                state = "final" if answer.final else "not final"
                place = ".".join(map(str, answer.position or ()))
                value = printable(value_text(answer.value))
                how = chosen(times, answer.at)
                say(f"{value}  ({printable(key)} at {said(answer.at, how)}, position {place}, {state})")
                if answer.counted_from is not None:
                    since = said(answer.counted_from, how)
                    say(f"counted from {since} on, not from where the key begins")
                elif answer.exact_from is not None:
                    say(f"exact from {said(answer.exact_from, how)} on; what was before is not known")

    connected(work)


def _late(answer: Answer) -> dict[str, int]:
    late = {"exact_from": answer.exact_from, "counted_from": answer.counted_from}
    return {name: tick for name, tick in late.items() if tick is not None}


def _print(result: Result, format: Format, raw: bool, times: Times | None) -> None:
    """The rows; and what they stand on: below a table, on standard error beside data for programs."""
    from timeline.cli.rows import print_result

    print_result(result, format, raw, times)
    for line in _about(result, times):
        say(line, err=format is not Format.TABLE)


def _about(result: Result, times: Times | None) -> list[str]:
    places = ("-" if p is None else ".".join(map(str, p)) for p in result.positions)
    keys = f"{result.keys} key{'' if result.keys == 1 else 's'}"
    lines = [f"{keys}; positions  " + "  ".join(f"{stream}: {place}" for stream, place in enumerate(places))]
    for left_out in result.excluded[:MAX_NAMED]:
        when = "" if left_out.at is None else f" at {said(left_out.at, chosen(times, left_out.at))}"
        lines.append(f"left out{when}: {left_out.keys} {left_out.reason}")
    if len(result.excluded) > MAX_NAMED:
        lines.append(f"left out at {len(result.excluded) - MAX_NAMED} more times; --json shows all")
    if result.counted:
        keys_are = "key is" if result.counted == 1 else "keys are"
        lines.append(
            f"{result.counted} {keys_are} counted not from where they begin but from as late as "
            f"{said(result.counted_from, chosen(times, result.counted_from))} on; --exact leaves them out"
        )
    lines += result.inexact()
    if result.forgotten_before is not None:
        since = said(result.forgotten_before, chosen(times, result.forgotten_before))
        lines.append(f"keys without an event since {since} may be forgotten")
    return lines
