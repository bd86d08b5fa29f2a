"""Fixtures of the tests of memories."""

from __future__ import annotations

import pytest

from memory_guild.memories.stream import BatchSizes
from tests.memories.storing import RememberMany, remember_many_with


@pytest.fixture(params=[0, 500], ids=["copied", "in arrays"])
def small_windows(request: pytest.FixtureRequest) -> BatchSizes:
    """A few items at a time, in each of the two ways in which they are sent."""
    return BatchSizes(first_window=4, largest_window=8, drawn_at_once=2, most_in_arrays=request.param)


@pytest.fixture
def remember_many(small_windows: BatchSizes) -> RememberMany:
    """``remember_many`` that stores a few items at a time."""
    return remember_many_with(small_windows)
