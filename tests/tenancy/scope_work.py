"""What the tests of scopes do inside them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

from memory_guild.database.engine import client
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import tenant_scope
from tests.tenancy.logins import connected


def memory(text: str, **changes: Any) -> Coroutine[Any, Any, MemoryRecord]:
    """Stores one."""
    return MemoryRecord.create(**{"agent_id": "a", "source_type": "document", "content_text": text, **changes})


async def texts(tenant_id: str = "acme") -> list[str]:
    """What is committed."""
    async with tenant_scope(tenant_id):
        return [row.content_text for row in await MemoryRecord.all().order_by("content_text")]


async def backend_pid() -> int:
    (row,) = await client().execute_query_dict("SELECT pg_backend_pid() AS pid")
    return int(row["pid"])


async def kill_backend(url: str) -> None:
    """End the current scope's connection from outside."""
    pid = await backend_pid()
    async with connected(url) as superuser:
        assert await superuser.fetchval("SELECT pg_terminate_backend($1::int, 5000::bigint)", pid)


async def enter(context: AbstractAsyncContextManager[Any]) -> None:
    """Enter and leave; what should be refused must not wait for ever where it is let in."""
    async with asyncio.timeout(10), context:
        pass
