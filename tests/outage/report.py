"""What a fault did."""

from __future__ import annotations

from dataclasses import dataclass

from tests.outage.asking import Asked


@dataclass(frozen=True, slots=True)
class Found:
    """How many timelines were compared with local evaluation, and how much was wrong."""

    timelines: int
    wrong: int


@dataclass(frozen=True, slots=True)
class Row:
    """A fault, or the end of some: in how many seconds all was back, and in how many more everything was
    done; the commands that were given meanwhile, and what was found."""

    name: str
    when: str
    away: float
    after: float
    asked: Asked | None = None
    found: Found | None = None

    @property
    def good(self) -> bool:
        if self.asked is not None and self.asked.bad:
            return False
        return self.found is None or (self.found.wrong == 0 and self.found.timelines > 0)

    def __str__(self) -> str:
        told = f"{self.name}, {self.when}: "
        told += f"back in {self.away:.1f} s, done {self.after:.1f} s later"
        if self.asked is not None:
            told += f"; {self.asked.good} commands ended well, {self.asked.waited} had waited"
            told += f", {len(self.asked.bad)} FAILED"
        if self.found is not None:
            told += f"; {self.found.timelines:,} timelines compared, {self.found.wrong} wrong"
        bad = self.asked.bad if self.asked is not None else []
        return told + "".join(f"\n  {words}" for words in bad)
