"""The two arms of the comparison: inside a tenant scope, and in a plain transaction of plain Tortoise by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, field, replace
from typing import Protocol

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.transactions import in_transaction

from benchmarks.contexts import OpenScope, UndoneError, open_context
from benchmarks.tenancy.memories import BY_HAND_SCHEMA
from memory_guild.settings import Settings


class Arm(Protocol):
    """A way to work for a tenant, on one connection and with context variables of its own.

    Attributes:
        context: The variables: Tortoise looks up its connection there, and the models their scope.
    """

    context: Context

    @property
    def transaction(self) -> BaseDBAsyncClient:
        """The transaction that is open."""

    async def begin(self, tenant_id: str) -> None:
        """Open a transaction for a tenant."""

    async def roll_back(self) -> None:
        """Undo it."""


@dataclass
class HandArm:
    """A careful person: a transaction, no row-level security, the tenant in every statement.

    Attributes:
        plan_cache_mode: How the server plans the statements of the next transaction.
    """

    context: Context
    transaction: BaseDBAsyncClient = field(init=False)
    plan_cache_mode: str = "auto"

    async def begin(self, tenant_id: str) -> None:
        """Open a transaction; who the tenant is stands in each statement."""
        self._transaction = in_transaction()
        self.transaction = await self._transaction.__aenter__()
        await self.transaction.execute_script(f"SET LOCAL plan_cache_mode = {self.plan_cache_mode}")

    async def roll_back(self) -> None:
        """End it with an error."""
        await self._transaction.__aexit__(UndoneError, UndoneError(), None)


@asynccontextmanager
async def both_arms(settings: Settings) -> AsyncIterator[tuple[HandArm, OpenScope]]:
    """Connect both, each to its copy of the memories, with a pool of one connection each."""
    settings = replace(settings, pool_min=1, pool_max=1)
    by_hand = replace(settings, schema=BY_HAND_SCHEMA)
    apps = {"by_hand": {"models": ["benchmarks.tenancy.by_hand"], "default_connection": "default"}}
    without_tenancy = by_hand.tortoise_config() | {"apps": apps, "routers": []}
    async with open_context(without_tenancy) as hand, open_context(settings.tortoise_config()) as scope:
        yield HandArm(hand), OpenScope(scope)
