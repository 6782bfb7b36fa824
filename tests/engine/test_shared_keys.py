"""Names of keys that nodes have in common: codes are those of each alone, and the names are there once."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeline.engine.key_columns import KeyColumns
from timeline.values import shared_keys
from timeline.values.life_names import LifeKeys, life_name
from timeline.values.shared_keys import SharedKeys
from timeline.values.vocabulary import Keys

NAMES = st.lists(st.sampled_from("abcdef"), max_size=6)


@given(st.lists(st.tuples(st.integers(0, 2), NAMES), max_size=12))
def test_codes_are_those_of_each_alone(steps: list[tuple[int, list[str]]]) -> None:
    shared, alone = [SharedKeys() for _ in range(3)], [Keys() for _ in range(3)]
    for who, names in steps:
        assert shared[who].encode(names).tolist() == alone[who].encode(names).tolist()
        for one, other in zip(shared, alone, strict=True):
            assert (one.names, len(one)) == (other.names, len(other))
            assert [one.find(name) for name in "abcdef"] == [other.find(name) for name in "abcdef"]
            assert one.since(2) == other.names[2:]


def test_equal_names_are_there_once() -> None:
    first, second = SharedKeys(), SharedKeys()
    first.encode([f"session-{number}" for number in range(3)])
    second.encode([f"session-{number}" for number in range(2)])
    assert all(a is b for a, b in zip(first.names, second.names, strict=False))
    # So too if the second is read from a carried state.
    third = SharedKeys([f"session-{number}" for number in range(3)])
    assert all(a is b for a, b in zip(first.names, third.names, strict=True))


def test_who_has_others_goes_on_alone() -> None:
    first, second = SharedKeys(["p", "q"]), SharedKeys(["p"])
    assert second.encode(["r", "q"]).tolist() == [1, 2]
    assert (first.names, second.names) == (["p", "q"], ["p", "r", "q"])
    assert first.encode(["r"]).tolist() == [2]


def test_names_go_with_the_last_who_has_them() -> None:
    keys = SharedKeys(["of nobody else"])
    assert "of nobody else" in shared_keys._KNOWN
    del keys
    gc.collect()
    assert "of nobody else" not in shared_keys._KNOWN


def test_lives_of_a_key_are_those_that_it_has_here() -> None:
    lives = [life_name("a", 1), life_name("a", 9), life_name("a", 20)]
    first, second = LifeKeys(lives), LifeKeys(lives[:2])
    assert (first.lives_of("a"), second.lives_of("a")) == ([0, 1, 2], [0, 1])


def test_a_column_that_nobody_writes_to_takes_no_room() -> None:
    columns = KeyColumns()
    columns.grow(1_000)
    assert columns.known_from.strides == (0,)
    with pytest.raises(ValueError, match="read-only"):
        columns.known_from[3] = 1
    columns.own("known_from")[3] = 7
    columns.grow(1_001)
    columns.renumber(np.array([3, 1_000]))
    assert (columns.known_from.tolist(), columns.counted_from.tolist()) == ([7, 0], [0, 0])
    assert columns.counted_from.strides == (0,)
