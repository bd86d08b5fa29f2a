"""What is used before anything is connected says so, whatever it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

import memory_guild as guild
from memory_guild import DataSource, MemoryRecord
from memory_guild.errors import NotConnectedError, TenantNotSetError

pytestmark = pytest.mark.any_server

ID = UUID(int=1)


async def as_of() -> None:
    await guild.as_of(datetime.now(UTC))


async def find_all() -> None:
    async for _ in guild.find_all():
        pass


async def enter(scope: guild.tenant_scope | guild.admin_scope) -> None:
    async with scope:
        pass


USES: dict[str, Callable[[], Awaitable[Any]]] = {
    "remember": lambda: guild.remember("x", source_type="document"),
    "remember_many": lambda: guild.remember_many([]),
    "get": lambda: guild.get(ID),
    "find": guild.find,
    "find_all": find_all,
    "count": guild.count,
    "forget": lambda: guild.forget(ID),
    "relate": lambda: guild.relate(ID, UUID(int=2), "supports"),
    "traverse": lambda: guild.traverse(ID),
    "as_of": as_of,
    "tenant_scope": lambda: enter(guild.tenant_scope("acme")),
    "admin_scope": lambda: enter(guild.admin_scope()),
    "querysets of tenants": lambda: MemoryRecord.all(),
    "querysets of shared tables": lambda: DataSource.filter(is_active=True).count(),
    "create": lambda: MemoryRecord.create(source_type="document", content_text="x"),
    "create in shared tables": lambda: DataSource.create(source_name="x", source_type="api"),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_nothing_works_before_connect_and_the_error_says_so(use: Callable[[], Awaitable[Any]]) -> None:
    async def run() -> None:
        await use()

    with pytest.raises(NotConnectedError, match=r"async with connect\(\)"):
        asyncio.run(run())


async def test_once_connected_it_is_the_tenant_that_is_missing(shared_database: str) -> None:
    with pytest.raises(TenantNotSetError, match="no tenant is set"):
        await guild.find()
