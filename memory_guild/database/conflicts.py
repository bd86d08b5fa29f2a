"""Doing work again that met other transactions in a deadlock or a serialization failure."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from memory_guild.errors import TransactionConflictError

_LONGEST_FIRST_PAUSE_SECONDS = 0.02

_Result = TypeVar("_Result")


async def repeated(
    work: Callable[[], Awaitable[_Result]], attempts: int, *, is_repeatable: Callable[[], bool] = lambda: True
) -> _Result:
    """Do some work; after a deadlock or serialization failure wait a little, longer each time, and do it again.

    Args:
        work: A transaction or a savepoint, so that nothing is left of it when it fails.
        attempts: How often it is tried.
        is_repeatable: Whether it can be done again.

    Raises:
        TransactionConflictError: Each attempt met others, or one did and the work cannot be repeated any more.
    """
    for attempt in range(attempts - 1):
        try:
            return await work()
        except TransactionConflictError:
            if not is_repeatable():
                raise
            # Random, so that those who met do not meet again; nothing secret depends on it.
            await asyncio.sleep(random.uniform(0, _LONGEST_FIRST_PAUSE_SECONDS * 2**attempt))  # noqa: S311
    return await work()
