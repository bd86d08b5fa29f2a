"""Where everything is measured, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.verbs.memories import SMALLEST_LOAD, Memories


@dataclass(frozen=True)
class Scale:
    """How much to do; the default takes about ten minutes.

    Attributes:
        memories: How many memories are loaded.
        warm_up: Rounds before those that count.
        rounds: Rounds of what takes less than a millisecond.
        calls: How often each side does that in one round.
        slow_rounds: Rounds of what takes some milliseconds.
        bulk_rounds: Batches of how many records, in how many rounds.
        concurrent_rounds: Rounds of the 32 tasks.
        transactions: How many transactions each task runs in one round.
        streamed: How many records are streamed.
        old_rows: How many rows the table has in which one tenant's are all old.
    """

    memories: int = 200_000
    warm_up: int = 8
    rounds: int = 100
    calls: int = 10
    slow_rounds: int = 40
    bulk_rounds: tuple[tuple[int, int], ...] = ((10_000, 11), (100_000, 5))
    concurrent_rounds: int = 12
    transactions: int = 30
    streamed: int = 1_000_000
    old_rows: int = 2_000_000

    @property
    def numbers(self) -> int:
        """How many calls of each side there are in the quick rounds."""
        return (self.warm_up + self.rounds) * self.calls


QUICK = Scale(SMALLEST_LOAD, 1, 5, 1, 3, ((400, 2), (1_000, 2)), 2, 2, 20_000, 40_000)
"""Proves that everything runs, and nothing else."""


@dataclass(frozen=True)
class Setting:
    """Where to measure.

    Attributes:
        server_url: The server, as a superuser.
        url: The database with the memories.
        memories: What was loaded into it.
        scale: How much to do.
    """

    server_url: str
    url: str
    memories: Memories
    scale: Scale
