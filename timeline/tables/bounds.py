"""How much bytes may become when they are read: numbers in columns, items in JSON, bytes of text.

What is regular is compressed a thousandfold, so that a few kB may be of gigabytes. So what may be read grows
with the bytes, and is little more than what data are like: 1.4 numbers a byte, and a name every 18. What is
very regular has some room besides; a value with more is written with bytes that say nothing (`lacking`), and
so is as long as what it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from timeline.errors import WireError

#: The most numbers that one value's columns may have, and bytes of text: more than a worker could work at.
MAX_NUMBERS = 1 << 25
MAX_TEXT = 1 << 27
#: Lists and tables in one JSON text: each takes at least 56 bytes, and a table up to 200.
MAX_INNER = 400_000
#: What is free, and what a byte brings besides. A number takes a node 13 bytes, and an item, a name say, 175.
NUMBERS_ROOM, NUMBERS_A_BYTE = 4 << 20, 1.5
ITEMS_ROOM, BYTES_AN_ITEM = 1 << 18, 8
TEXT_ROOM, TEXT_A_BYTE = 6 << 20, 2
#: The same of states of before 0.3, where columns are JSON too.
OLD_ITEMS_ROOM, OLD_ITEMS_A_BYTE = 1 << 20, 1.5
OLD_TEXT_ROOM, OLD_TEXT_A_BYTE = 4 << 20, 6
#: Whether those are read whatever they become: a worker sets it that is told so.
OLD_STATES = False


#: Characters that say how much padding there is.
SAID = 12


@dataclass(slots=True)
class Budget:
    """What may still be read: numbers in columns, items in JSON, bytes of text."""

    numbers: int
    items: int
    text: int

    @classmethod
    def of(cls, size: int) -> Budget:
        """What values of so many bytes together may hold.

        >>> Budget.of(0)
        Budget(numbers=4194304, items=262144, text=6291456)
        """
        return cls(
            min(MAX_NUMBERS, NUMBERS_ROOM + int(NUMBERS_A_BYTE * size)),
            ITEMS_ROOM + size // BYTES_AN_ITEM,
            min(MAX_TEXT, TEXT_ROOM + TEXT_A_BYTE * size),
        )

    @classmethod
    def old(cls, size: int) -> Budget:
        """The same of a state of before 0.3; its columns are items."""
        items = OLD_ITEMS_ROOM + int(OLD_ITEMS_A_BYTE * size)
        return cls(0, items, min(MAX_TEXT, OLD_TEXT_ROOM + OLD_TEXT_A_BYTE * size))

    def take_numbers(self, numbers: int) -> None:
        """Reads so many numbers.

        Raises:
            WireError: that is more than may be read.
        """
        if numbers > self.numbers:
            raise WireError(f"a value says that it has {numbers} numbers, at most {self.numbers} are taken")
        self.numbers -= numbers

    def take_text(self, text: bytes) -> None:
        """Reads a JSON text.

        Raises:
            WireError: it is more, or has more in it, than may be read.
        """
        items, inner = text.count(b","), text.count(b"[") + text.count(b"{")
        if inner > MAX_INNER:
            raise WireError(f"a text has {inner} lists and tables in it, at most {MAX_INNER} are read")
        if items > self.items:
            raise WireError(f"a text has about {items} items in it, at most {self.items} are read")
        if len(text) > self.text:
            raise WireError(f"a text has {len(text)} bytes, at most {self.text} are read")
        self.items -= items
        self.text -= len(text)


def lacking(numbers: int, text: bytes, size: int, share: float = 1.0) -> int:
    """How many bytes a value is too short, of ``size`` bytes and with so much in it, to be read again. Of the
    room it has a ``share``, if it is read together with others. The text will say how much padding it has."""
    wanted = (
        (numbers - share * NUMBERS_ROOM) / NUMBERS_A_BYTE,
        (text.count(b",") + 1 - share * ITEMS_ROOM) * BYTES_AN_ITEM,
        (len(text) + SAID - share * TEXT_ROOM) / TEXT_A_BYTE,
    )
    return max(0, int(max(wanted)) + 1 - size)


def least_bytes(numbers: int) -> int:
    """How many bytes a value with so many numbers has at least."""
    return max(0, int((numbers - NUMBERS_ROOM) / NUMBERS_A_BYTE))
