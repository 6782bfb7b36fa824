"""What paused timelines change for a partition: what is acknowledged, and who is fed all the same."""

from __future__ import annotations

from collections.abc import Sequence

from feeder.topics.roster import Roster
from timeline.spec.spec import Spec

#: So many messages a paused timeline that shares leaves with others is left behind before it is brought up
#: to them again: its nodes hold what those send, and may not hold without bound.
HOLD = 50_000


class Pauses:
    """While anything is ``paused``, and until those that go on are known to be behind, nothing is
    acknowledged (``holding``)."""

    def __init__(self) -> None:
        self.paused = False
        self.holding = False
        #: Paused timelines that share leaves with others, and how many messages there were when all
        #: stood even.
        self._shared: list[Spec] = []
        self._even: int | None = None

    def begin(self) -> None:
        """The leaves are asked anew where they stand."""
        self._even = None
        self.holding = self.paused

    def note(
        self, shared: Sequence[Spec], parked: Sequence[Spec], messages: int, roster: Roster | None
    ) -> list[Spec]:
        """Takes note of what is paused: timelines that share leaves with those that run, and others.

        The ones that are fed for now, because they are behind by more than may be held.
        """
        self.paused = bool(shared or parked)
        self.holding = self.holding or self.paused
        shared = list(shared)
        behind = self._even is not None and messages - self._even >= HOLD
        if shared != self._shared or behind:
            self._shared, self._even = shared, None
        if self._even is None and roster is not None and roster.has_live(shared):
            self._even = messages
        return [] if self._even is not None else shared

    def let_go(self) -> bool:
        """All that goes on is known: whether what was held may be acknowledged only now."""
        released = self.holding and not self.paused
        self.holding = self.holding and self.paused
        return released
