"""Changing inputs: text and bytes at random places, and messages in one of their fields."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

#: What is put in.
TEXTS = (
    "",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    '"',
    "'",
    "\\",
    "\n",
    "\r",
    "\t",
    "\0",
    ",",
    ".",
    "..",
    ";",
    ":",
    "=",
    "==",
    "!=",
    "<",
    "<=",
    "!",
    "&&",
    "||",
    "+",
    "-",
    "*",
    "/",
    "@",
    "#",
    "//",
    "%",
    "$",
    "0",
    "-1",
    "1e999",
    "1e-999",
    "9" * 30,
    "9" * 5_000,
    "0.1",
    "NaN",
    "Infinity",
    "null",
    "true",
    "false",
    "not",
    "and",
    "or",
    "if",
    "lag",
    "count",
    "sum",
    "latest_event_to_state(a)",
    "has_existed(a == 1)",
    "duration_where(",
    "5s",
    "1d",
    "é",
    "\u202e",
    "\ud7ff",
    "\U0001f600",
    "x" * 3_000,
    "(" * 300,
    "!" * 300,
    "[outputs]",
    "[limits]",
    "shards = ",
    "a = 1\n",
    "\x1b[2J",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2**31,
    2**42,
    2**62,
    2**63 - 1,
    -(2**63),
    2**63,
    2**64 - 1,
    0.5,
    -0.0,
    1e308,
    "",
    "x",
    "k",
    "9" * 5_000,
    [],
    {},
    [0],
    [-1],
    [[]],
    [None],
    [2**62, 2**62],
    ["x"],
    {"a": 1},
    [0] * 300,
    "bool",
    "state",
    "numeric",
    "ratio",
    "1/0",
    "1/3",
)


def text(random: Random, seeds: list[str]) -> str:
    """A text made of seeds."""
    made = random.choice(seeds)
    for _ in range(random.randint(0, 6)):
        at = random.randint(0, len(made))
        end = min(len(made), at + random.choice((0, 0, 1, 3, 20)))
        match random.randint(0, 3):
            case 0:
                part = random.choice(TEXTS)
            case 1:
                other = random.choice(seeds)
                begin = random.randint(0, len(other))
                part = other[begin : begin + random.randint(0, 40)]
            case 2:
                part = made[at:end] * random.choice((2, 3, 50))
            case _:
                part = chr(random.choice((random.randint(1, 127), random.randint(128, 0xD7FF))))
        made = made[:at] + part + made[end:]
    return made[: 1 << 18]


def raw(random: Random, seeds: list[bytes]) -> bytes:
    """Bytes made of seeds."""
    made = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, 8)):
        at = random.randint(0, len(made))
        match random.randint(0, 4):
            case 0 if made:
                made[at % len(made)] ^= 1 << random.randint(0, 7)
            case 1:
                made[at : at + random.choice((1, 4, 100))] = random.randbytes(random.choice((0, 1, 4, 9)))
            case 2:
                made[at : at + 4] = random.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f"))
            case 3:
                del made[at:]
            case _:
                made[at:at] = made[at : at + 50]
    return bytes(made)


def message(random: Random, seed: Any) -> Any:
    """A message of which one to three fields are others, gone, or there twice."""
    made = copy.deepcopy(seed)
    for _ in range(random.randint(1, 3)):
        inner = made
        while isinstance(inner, dict | list) and inner:
            place: Any = random.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
            if not isinstance(inner[place], dict | list) or random.random() < 0.3:
                match random.randint(0, 5):
                    case 0:
                        del inner[place]
                    case 1 if isinstance(inner, list):
                        inner.append(copy.deepcopy(inner[place]))
                    case 2 if type(inner[place]) is int:
                        inner[place] += random.choice((-1, 1, 2, -2, 1 << 42))
                    case _:
                        inner[place] = copy.deepcopy(random.choice(VALUES))
                break
            inner = inner[place]
    return made
