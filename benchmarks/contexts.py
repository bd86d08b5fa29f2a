"""Contexts: the variables in which Tortoise keeps a connection of its own, and a scope its tenant, for each side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tortoise.context import TortoiseContext

from memory_guild.database.transaction import ScopeTransaction
from memory_guild.tenancy import tenant_scope

_Result = TypeVar("_Result")


class UndoneError(Exception):
    """Ends a transaction without a commit."""


@dataclass
class OpenScope:
    """The package: a tenant scope that stays open, in a context of its own.

    Attributes:
        context: The variables: Tortoise looks up its connection there, and the models their scope.
        transaction: The transaction that is open.
    """

    context: Context
    transaction: ScopeTransaction = field(init=False)

    @property
    def connection(self) -> Any:
        """The scope's connection, as asyncpg's pool lent it."""
        return self.transaction._connection

    async def begin(self, tenant_id: str) -> None:
        """Open a scope."""
        self._scope = tenant_scope(tenant_id)
        self.transaction = (await self._scope.__aenter__()).transaction

    async def roll_back(self) -> None:
        """End it with an error."""
        await self._scope.__aexit__(UndoneError, UndoneError(), None)


async def within(context: Context, work: Coroutine[Any, Any, _Result]) -> _Result:
    """Do something where the context's variables are seen and set."""
    return await asyncio.create_task(work, context=context)


@asynccontextmanager
async def open_context(configuration: dict[str, Any]) -> AsyncIterator[Context]:
    """Set up Tortoise and open its pool; yields the context where both are seen.

    Tortoise's routers are the process's, those of the last one that was set up: the package's own comes last.
    """
    context, tortoise = copy_context(), TortoiseContext()
    try:
        await within(context, _set_up(tortoise, configuration))
        yield context
    finally:
        await within(context, tortoise.__aexit__(None, None, None))


async def _set_up(tortoise: TortoiseContext, configuration: dict[str, Any]) -> None:
    await tortoise.__aenter__()
    await tortoise.init(config=configuration)
    for connection in tortoise.connections.all():
        await connection.create_connection(with_db=True)
