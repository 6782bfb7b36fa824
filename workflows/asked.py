"""What the workflow of a fragment answers: queries, which leave no trace in its history."""

from __future__ import annotations

from typing import Any, cast

from temporalio import workflow

from workflows.order import Order
from workflows.protocol import MAX_ANSWER, NodeSpec
from workflows.protocol import node as protocol
from workflows.protocol.node import IsOdd

with workflow.unsafe.imports_passed_through():
    import base64
    import hashlib
    import time

    from timeline.aggregate import Request, partial, span
    from timeline.engine.answers import Answers
    from timeline.engine.fragment import LiveFragment
    from timeline.errors import (
        LimitError,
        NoLifeError,
        NotCaughtUpError,
        QuarantineError,
        RetentionError,
        TimelineError,
    )
    from timeline.tables.wire import Wire, from_position, to_position
    from workflows.gauge import Gauge
    from workflows.inbox import Batch, ChildPatch, Entry

#: Bytes of a carried state in one answer.
PIECE = 512 << 10
#: The most rows of one answer: more would not go into a message.
MAX_ROWS = 500_000
#: How long a question over all keys may take: Temporal ends a workflow's turn after two seconds, and
#: what was found must still be written.
MAX_SECONDS = 1.0


class Asked:
    """The questions. ``node`` is the digest of the member that is asked; without one the root is."""

    spec: NodeSpec
    live: LiveFragment
    inbox: list[Entry]
    full: str | None
    gauge: Gauge
    order: Order
    #: Of feeders that have a lead, whose batches are taken.
    leader: protocol.Leader | None
    #: Batches wait; `run` waits for something to do; `run` ends.
    held: bool
    resting: bool
    stopped: bool
    #: While it is held: what it would carry on, once that was asked for. Nothing but an answer reads it.
    handed: bytes | None = None

    def _has_work(self) -> bool:
        raise NotImplementedError

    def _state(self) -> bytes:
        raise NotImplementedError

    def what_is_odd(self) -> IsOdd:
        """The signals that were not understood, if there were any."""
        raise NotImplementedError

    def _answers(self, node: str | None = None) -> Answers:
        """What questions are answered from.

        Raises:
            NotCaughtUpError: others had more of the stream when this was started.
        """
        if (target := self._target()) is not None:
            raise NotCaughtUpError(f"{protocol.NOT_CAUGHT_UP}: it is at {self._place()}, short of {target}")
        return Answers(self.live.find(node).state)

    def _target(self) -> protocol.Place:
        """What it has still to reach."""
        target, position = self.spec.get("target"), self.live.position
        reached = target is None or (position is not None and position >= tuple(target))
        return None if reached else target

    def _place(self) -> protocol.Place:
        return to_position(self.live.position)

    @protocol.STATUS.handler
    def status(self) -> protocol.NodeStatus:
        """Position, counters, sizes, and what is wrong if anything is."""
        root, reader = self.live.root.state, self.live.reader
        late = [Answers(state).late_keys() for state in self.live.states]
        return {
            "expression": self.spec["expression"],
            "operator": root.operator.name,
            "stream": self.spec["stream"],
            "position": to_position(root.position),
            "keys": len(root.keys),
            "rows": len(root.own),
            "accepted": reader.accepted,
            "refused": reader.refused.count,
            "newest": root.stream_time,
            "waiting": len(self.inbox),
            "state_bytes": self.gauge.about,
            "full": self.full,
            "held": self.held,
            "subscribers": [s["workflow"] for s in self.spec["subscribers"]],
            "quarantined": len(
                {state.key_of_code(c) for state in self.live.states for c in state.quarantined}
            ),
            **cast("protocol.Late", {k: max(c.get(k, 0) for c in late) for k in set().union(*late)}),
            **self.what_is_odd(),
            **self.order.what_is_missing(),
            "history_length": workflow.info().get_current_history_length(),
            "members": [
                {
                    "node": member.digest,
                    "expression": member.text,
                    "operator": member.operator.name,
                    "position": to_position(state.position),
                    "keys": len(state.keys),
                    "rows": len(state.own),
                    "quarantined": len(state.quarantined),
                }
                for member, state in zip(self.live.fragment.members, self.live.states, strict=True)
            ],
        }

    @protocol.POSITION.handler
    def position(self) -> protocol.Place:
        """The place in the stream that the node's table stands for."""
        return self._place()

    @protocol.STANDS.handler
    def stands(self) -> protocol.Stand:
        """Up to where it has had the stream, and which of all nodes that ever had this id this is: what a
        feeder must know."""
        born = workflow.info().first_execution_run_id
        waiting = any(isinstance(entry, Batch) for entry in self.inbox)
        place = to_position(self.live.fed)
        return {
            "position": place,
            "born": born,
            "leader": self.leader,
            "waiting": waiting,
            "settled": to_position(self.live.reader.refused.settled),
        }

    @protocol.MARKS.handler
    def marks(self) -> list[list[int]]:
        """The marks of its stream that a leaf which reads it later has to have too."""
        return [list(place) for place in self.live.reader.marks.places]

    @protocol.CATCHING_UP.handler
    def catching_up(self) -> protocol.Catching:
        """Whether it stands already where others stood when it was started."""
        busy = bool(self.inbox) or not self.resting
        # One that has ended is still asked, and reaches nothing any more.
        target = None if self.stopped else self._target()
        return {"position": self._place(), "target": target, "busy": busy, "full": self.full}

    @protocol.QUIET.handler
    def quiet(self) -> bool:
        """Whether it is held, and nothing that it has got or has to tell is on its way."""
        return self.held and self.resting and not self._has_work() and not self._patches()

    @protocol.CARRIED.handler
    def carried(self, first: int) -> protocol.Piece:
        """From a byte on, what it would carry into its next run. It must be quiet."""
        if not self.held:
            raise TimelineError("only a node that is held says what it carries")
        if self.handed is None:
            self.handed = self._state()
        piece = self.handed[first : first + PIECE]
        digest = hashlib.sha256(self.handed).hexdigest()
        return {"size": len(self.handed), "digest": digest, "piece": base64.b64encode(piece).decode()}

    def _patches(self) -> bool:
        return any(isinstance(entry, ChildPatch) for entry in self.inbox)

    @protocol.VALUES.handler
    def values(self, wanted: list[Any], node: str | None = None) -> protocol.Values:
        """Values of up to `MAX_ANSWER` ``[[key, tick or null], ...]``, in that order; an unknown key gives
        null."""
        if len(wanted) > MAX_ANSWER:
            raise LimitError(f"at most {MAX_ANSWER} values are told at once, got {len(wanted)}")
        answers = self._answers(node)
        return {
            "position": self._place(),
            "values": [self._value(answers, key, at) for key, at in wanted],
        }

    @protocol.KEYS.handler
    def keys(self, first: int) -> list[str]:
        """The names of up to `MAX_ANSWER` keys, from the ``first`` on in order of appearance."""
        return self._answers().known_keys()[first : first + MAX_ANSWER]

    @protocol.RECENT.handler
    def recent(self, most: int) -> protocol.RecentKeys:
        """The keys with the newest events, newest first, with their values; and how many keys there are."""
        answers = self._answers()
        names = answers.recent_keys(min(most, MAX_ANSWER))
        return {
            "position": self._place(),
            "count": len(answers.known_keys()),
            "keys": [self._recent(answers, name) for name in names],
        }

    @protocol.AGGREGATE.handler
    def aggregate(self, request: Wire) -> protocol.Partial | protocol.Refusal:
        """What all keys together answer to a `timeline.aggregate.Request`: the ``partial``, or the
        ``error`` that is to be told, and its class. It is refused before it is too large for a message.
        """
        asked, answers = Request.from_wire(request), self._answers()
        end = time.monotonic() + MAX_SECONDS
        try:
            return {"partial": partial(answers, asked, lambda: time.monotonic() < end).to_wire(asked)}
        except TimelineError as error:
            return {"error": str(error), "class": type(error).__name__}

    @protocol.SPAN.handler
    def span(self) -> list[int] | None:
        """The earliest origin and the newest event (ms) of all keys; null before the first event."""
        found = span(self._answers())
        return None if found is None else list(found)

    @protocol.REFUSED.handler
    def refused(self, after: protocol.Place) -> list[protocol.RefusedRow]:
        """Up to `MAX_ANSWER` refused events, from behind a position on: position, key, time (ms), reason."""
        return [
            (list(r.position), r.key, r.tick, r.reason.name.lower())
            for r in self.live.reader.refused.after(from_position(after), MAX_ANSWER)
        ]

    @protocol.QUARANTINED.handler
    def quarantined(self, first: int) -> list[protocol.HeldKey]:
        """Up to `MAX_ANSWER` keys that have no function here, from the ``first`` on, and why."""
        members = zip(self.live.fragment.members, self.live.states, strict=True)
        every = [(m, state, held) for m, state in members for held in state.quarantined.items()]
        return [
            {
                "key": state.key_of_code(code),
                "position": list(q.position),
                "error": q.error,
                "own": q.own,
                "lost": q.since is None,
                "node": member.text,
            }
            for member, state, (code, q) in every[first : first + MAX_ANSWER]
        ]

    @protocol.TIMELINES.handler
    def timelines(self, keys: list[Any], node: str | None = None) -> protocol.Rows:
        """The whole timelines of some keys: origin, newest tick and rows of each known one."""
        answers = self._answers(node)
        known: dict[str, protocol.KeyRows] = {}
        told = 0
        for key in dict.fromkeys(keys[:MAX_ANSWER]):
            try:
                table, origin, newest = answers.timeline(key)
            except KeyError:
                continue
            except QuarantineError as error:
                known[key] = {"origin": 0, "newest": 0, "rows": [], "error": str(error)}
                continue
            told = _not_too_many(told + len(table))
            rows = {"origin": origin, "newest": newest, "rows": table.json_rows()}
            known[key] = cast("protocol.KeyRows", rows | answers.exact_from(key))
        return {"position": self._place(), "timelines": known}

    @protocol.LIVES.handler
    def lives(self, keys: list[Any], node: str | None = None) -> protocol.Lives:
        """The timelines of all lives of some keys, of each known one; without ``key_ttl`` it has one."""
        answers = self._answers(node)
        known: dict[str, list[protocol.LifeRows]] = {}
        told = 0
        for key in dict.fromkeys(keys[:MAX_ANSWER]):
            try:
                lives = answers.lives(key)
            except KeyError:
                continue
            known[key] = []
            for code in lives:
                known[key].append(self._life(answers, key, code))
                told = _not_too_many(told + 1 + len(known[key][-1]["rows"]))
        return {"position": self._place(), "lives": known}

    def _life(self, answers: Answers, key: str, code: int) -> protocol.LifeRows:
        closed = answers.is_closed(code)
        try:
            table, origin, newest = answers.life(code)
            value, _, _ = answers.value_of(code, None)
        except QuarantineError as error:
            return {"origin": 0, "newest": 0, "rows": [], "error": str(error), "closed": closed}
        rows = {"origin": origin, "newest": newest, "rows": table.json_rows(), "closed": closed}
        return cast("protocol.LifeRows", rows | {"value": value} | answers.exact_from_of(code))

    def _recent(self, answers: Answers, key: str) -> protocol.RecentKey:
        return cast("protocol.RecentKey", {"key": key, **(self._value(answers, key, None) or {})})

    def _value(self, answers: Answers, key: str, at: int | None) -> protocol.KeyValue | None:
        try:
            value, tick, final = answers.value(key, at)
        except KeyError:
            return None
        except (LimitError, NoLifeError, QuarantineError, RetentionError) as error:
            return {"at": at, "error": str(error)}
        found = {"at": tick, "value": value, "final": final}
        return cast("protocol.KeyValue", found | answers.exact_from(key))


def _not_too_many(rows: int) -> int:
    if rows > MAX_ROWS:
        raise LimitError(f"more than {MAX_ROWS} rows are not told at once; ask for fewer keys")
    return rows
