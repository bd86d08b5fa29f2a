"""The two arms of the comparison: inside a tenant scope, and in a plain transaction of plain Tortoise by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.context import TortoiseContext
from tortoise.transactions import in_transaction

from benchmarks.memories import BY_HAND_SCHEMA
from memory_guild.engine import client
from memory_guild.settings import Settings
from memory_guild.tenancy import tenant_scope

_Result = TypeVar("_Result")


class _UndoneError(Exception):
    """Ends a transaction without a commit."""


class Arm(Protocol):
    """A way to work for a tenant, on one connection and with context variables of its own.

    Attributes:
        context: The variables: Tortoise looks up its connection there, and the models their scope.
        transaction: The transaction that is open.
    """

    context: Context
    transaction: BaseDBAsyncClient

    async def begin(self, tenant_id: str) -> None:
        """Open a transaction for a tenant."""

    async def roll_back(self) -> None:
        """Undo it."""


@dataclass
class ScopeArm:
    """The package: ``tenant_scope``, row-level security, the package's models."""

    context: Context
    transaction: BaseDBAsyncClient = field(init=False)

    async def begin(self, tenant_id: str) -> None:
        """Open a scope."""
        self._scope = tenant_scope(tenant_id)
        self.transaction = (await self._scope.__aenter__()).transaction

    async def roll_back(self) -> None:
        """End it with an error."""
        await self._scope.__aexit__(_UndoneError, _UndoneError(), None)


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
        await self._transaction.__aexit__(_UndoneError, _UndoneError(), None)


async def within(context: Context, work: Coroutine[Any, Any, _Result]) -> _Result:
    """Do something where the context's variables are seen and set."""
    return await asyncio.create_task(work, context=context)


@asynccontextmanager
async def both_arms(settings: Settings) -> AsyncIterator[tuple[HandArm, ScopeArm]]:
    """Connect both, each to its copy of the memories, with a pool of one connection each."""
    by_hand = replace(settings, schema=BY_HAND_SCHEMA, pool_min=1, pool_max=1)
    apps = {"by_hand": {"models": ["benchmarks.by_hand"], "default_connection": "default"}}
    without_tenancy = by_hand.tortoise_config() | {"apps": apps, "routers": []}
    # The package's own comes last: Tortoise's routers are the process's, those of the last one that was set up.
    async with open_arm(by_hand, without_tenancy) as hand, open_arm(settings) as scope:
        yield HandArm(hand), ScopeArm(scope)


@asynccontextmanager
async def open_arm(settings: Settings, configuration: dict[str, Any] | None = None) -> AsyncIterator[Context]:
    """Set up Tortoise with one connection, by default for the package's models; yields the context where it is seen."""
    configuration = configuration or replace(settings, pool_min=1, pool_max=1).tortoise_config()
    context, tortoise = copy_context(), TortoiseContext()
    try:
        await within(context, _set_up(tortoise, configuration))
        yield context
    finally:
        await within(context, tortoise.__aexit__(None, None, None))


async def _set_up(tortoise: TortoiseContext, configuration: dict[str, Any]) -> None:
    await tortoise.__aenter__()
    await tortoise.init(config=configuration)
    await client().create_connection(with_db=True)
