"""Which life of a key is looked at, where it has several."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from timeline.cli.serving.page.lanes import moment
from timeline.errors import NotFoundError
from timeline.plan import PlanNode
from timeline.spec.spec import Spec
from workflows.client import Client
from workflows.client.answers import Life

#: Lives that can be chosen, the newest.
MOST = 500


def life_at(lives: Sequence[Life], tick: int | None) -> int:
    """The number of the life that a moment (ms) is of: the last that has begun by then; without it the last.

    >>> one, two = Life(1_000, 5_000, []), Life(60_000, 62_000, [])
    >>> [life_at([one, two], tick) for tick in (None, 500, 5_000, 59_999, 60_000)]
    [1, 0, 0, 0, 1]
    """
    if tick is None:
        return len(lives) - 1
    return max(0, sum(life.origin <= tick for life in lives) - 1)


def title(lives: Sequence[Life], number: int) -> str:
    """What a life is called.

    >>> title([Life(1_000, 5_000, [], closed=True), Life(60_000, 62_000, [])], 0)
    '1 of 2: 1000 ms to 5000 ms, closed'
    """
    life = lives[number]
    closed = ", closed" if life.closed else ""
    return f"{number + 1} of {len(lives)}: {moment(life.origin)} to {moment(life.newest)}{closed}"


class Lives:
    """A choice of the lives of a key, where a timeline's keys have several. ``within`` is a moment (ms) of
    the one that is looked at; without it that is the newest. ``chosen`` is called when it is another."""

    def __init__(
        self,
        timelines: Client,
        spec: Spec,
        key: str,
        within: int | None,
        chosen: Callable[[], Awaitable[None]],
    ) -> None:
        self._timelines, self._spec, self._key, self._chosen = timelines, spec, key, chosen
        self.ttl = spec.node_limits.key_ttl
        self.within = within
        self._lives: list[Life] = []
        self._number = 0
        self._choice: ui.select | None = None
        if self.ttl is not None:
            self._choice = ui.select({}, label="Life").classes("tl-choice")
            self._choice.on("update:model-value", self._choose)

    @property
    def life(self) -> Life | None:
        """The one that is looked at; ``None``: keys have one."""
        return self._lives[self._number] if self._lives else None

    @property
    def is_newest(self) -> bool:
        """Whether it is that of the newest event."""
        return not self._lives or self._number == len(self._lives) - 1

    @property
    def over(self) -> int | None:
        """Where the one that is looked at ends (ms), if it does."""
        return None if self.life is None or self.ttl is None else self.life.newest + self.ttl

    async def look(self) -> None:
        """Looks which there are."""
        if self._choice is None:
            return
        self._lives = await self._of(self._spec.plan.result)
        self._number = life_at(self._lives, self.within)
        first = min(max(0, len(self._lives) - MOST), self._number)
        titles = {i: title(self._lives, i) for i in range(first, len(self._lives))}
        self._choice.set_options(titles, value=self._number)

    async def of(self, node: PlanNode) -> Life:
        """A node's timeline of the life that is looked at.

        Raises:
            NotFoundError: it has not heard of it yet.
        """
        lives = await self._of(node)
        if self.life is None or not lives:
            raise NotFoundError(f"node {node.text!r} has not heard of this life yet; look again later")
        return lives[life_at(lives, self.life.newest)]

    async def _of(self, node: PlanNode) -> list[Life]:
        return (await self._timelines.questions.lives(self._spec, node, [self._key])).get(self._key, [])

    async def _choose(self) -> None:
        assert self._choice is not None
        number = self._choice.value
        last = number == len(self._lives) - 1
        self.within = None if last else self._lives[number].newest
        await self._chosen()
