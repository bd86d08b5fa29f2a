"""Running a part of a scope again that other transactions were in the way of."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from memory_guild.errors import TransactionConflictError
from memory_guild.tenancy import tenant_scope

ATTEMPTS = 10
"""How often something is tried before others may keep it from succeeding."""

_LONGEST_FIRST_PAUSE_SECONDS = 0.02

_Result = TypeVar("_Result")


async def retried(
    tenant_id: str, work: Callable[[], Awaitable[_Result]], *, is_repeatable: Callable[[], bool] = lambda: True
) -> _Result:
    """Do some work in a nested scope; after a deadlock or serialization failure undo it, wait a little, do it again.

    What the scope around did before keeps its locks: where that is what others wait for, each attempt fails.

    Raises:
        TransactionConflictError: Each attempt met others, or one did and the work cannot be repeated any more; nothing
            of it is left.
    """
    for attempt in range(ATTEMPTS - 1):
        try:
            async with tenant_scope(tenant_id):
                return await work()
        except TransactionConflictError:
            if not is_repeatable():
                raise
            # Random, so that those who met do not meet again; nothing secret depends on it.
            await asyncio.sleep(random.uniform(0, _LONGEST_FIRST_PAUSE_SECONDS * 2**attempt))  # noqa: S311
    async with tenant_scope(tenant_id):
        return await work()
