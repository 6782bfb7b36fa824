"""Colours of values: those of pictures, and of the page."""

from __future__ import annotations

from collections.abc import Sequence

#: Of Bools that are true, and of numbers.
TRUE, NUMBER = "#34d399", "#3b82f6"
#: Of states, those that last longest first; of all others.
STATES = ("#60a5fa", "#fbbf24", "#f472b6", "#a78bfa", "#fb923c", "#22d3ee", "#a3e635", "#f87171")
OTHER = "#9ca3af"


def colours_of(values: Sequence[str]) -> dict[str, str]:
    """A colour for each of the values; from the ninth on the same.

    >>> colours_of(["play", "buffer"])
    {'play': '#60a5fa', 'buffer': '#fbbf24'}
    """
    return {value: STATES[i] if i < len(STATES) else OTHER for i, value in enumerate(dict.fromkeys(values))}
