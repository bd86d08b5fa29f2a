"""Measuring side by side: the sides take turns, so that what disturbs the machine disturbs all of them alike."""

from __future__ import annotations

import asyncio
import gc
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypeAlias

Measure: TypeAlias = Callable[[int], Coroutine[Any, Any, float]]
"""Runs the round of that number and returns the seconds that it took."""


@dataclass(frozen=True)
class Side:
    """One of the things compared.

    Attributes:
        measure: Runs one round.
        context: The context variables that it sees: Tortoise keeps its connections there, and a scope its tenant.
    """

    measure: Measure
    context: Context = field(default_factory=copy_context)


@dataclass(frozen=True)
class Comparison:
    """How long the second side took, as a multiple of the first.

    Attributes:
        base_seconds: The first side's median.
        seconds: The second side's median.
        ratio: The median of the rounds' ratios, each of two neighbouring runs.
        low: The lower end of the ratio's 95 % confidence interval.
        high: The upper end.
        rounds: How many rounds.
    """

    base_seconds: float
    seconds: float
    ratio: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, base: Sequence[float], other: Sequence[float]) -> Comparison:
        """Compare the seconds of two sides, round by round.

        Source: the interval is that of the sign test, between order statistics; it assumes no distribution.
        """
        ratios = sorted(theirs / ours for ours, theirs in zip(base, other, strict=True))
        count = len(ratios)
        lowest = max(0, math.floor((count - 1.96 * math.sqrt(count)) / 2) - 1)
        return cls(median(base), median(other), median(ratios), ratios[lowest], ratios[count - 1 - lowest], count)


def timed(work: Callable[[int], Awaitable[object]]) -> Measure:
    """Work as something to measure, all of it."""

    async def measure(number: int) -> float:
        began = time.perf_counter()
        await work(number)
        return time.perf_counter() - began

    return measure


async def interleave(sides: Sequence[Side], rounds: int, *, first: int = 0) -> list[list[float]]:
    """Run every side once a round, in an order that rotates.

    Args:
        sides: What to compare.
        rounds: How many rounds.
        first: The number of the first round.

    Returns:
        The seconds of each side, in the sides' order.
    """
    seconds: list[list[float]] = [[] for _ in sides]
    with _no_garbage_collection():
        for number in range(first, first + rounds):
            for place in range(len(sides)):
                index = (place + number) % len(sides)
                side = sides[index]
                seconds[index].append(await asyncio.create_task(side.measure(number), context=side.context))
    return seconds


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
