"""What is asked of each value of a column, or pair of values of two, asked once for each distinct one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from timeline.language.expression import Constant
from timeline.tables.packing import Bools
from timeline.values.scalars import Scalar, equal_to_any
from timeline.values.vocabulary import I64, distinct

#: So few pairs are all asked, without looking which of them occur.
_FEW = 64


def of_pairs(left: I64, right: I64, counts: tuple[int, int], holds: Callable[[int, int], bool]) -> Bools:
    """For each row whether ``holds`` says so of its two codes, which lie below ``counts``.

    >>> of_pairs(np.array([0, 2, 1]), np.array([1, 1, 0]), (3, 2), lambda x, y: x > y).tolist()
    [False, True, True]
    """
    lefts, rights = counts
    pair = left if rights == 1 else left * rights + right
    if lefts * rights <= _FEW:
        pairs, place = np.arange(lefts * rights), pair
    else:
        pairs, place = distinct(pair, lefts * rights)
    answers = np.array([holds(*divmod(code, rights)) for code in pairs.tolist()], bool)
    return answers[place] if len(place) else np.zeros(0, bool)


def of_codes(
    codes: I64, values: Sequence[Scalar], holds: Callable[[Sequence[Scalar]], Sequence[bool]]
) -> Bools:
    """For each row whether ``holds``, which is handed all values that occur, says so of its one.

    >>> of_codes(np.array([2, 0, 2]), [None, "x", "y"], lambda found: [v == "y" for v in found]).tolist()
    [True, False, True]
    """
    used, place = distinct(codes, len(values))
    answers = np.array(holds([values[code] for code in used.tolist()]), bool)
    return answers[place]


def is_one_of(constants: Sequence[Constant]) -> Callable[[Sequence[Scalar]], list[bool]]:
    """Says of values which of them equal one of the constants."""
    is_one = equal_to_any(constant.value for constant in constants)
    return lambda values: list(map(is_one, values))
