"""What is asked of each pair of two columns of values, asked once for each pair of distinct values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from timeline.tables.packing import Bools
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
