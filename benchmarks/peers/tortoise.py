"""Stock Tortoise ORM: its own asyncpg engine and ordinary models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any
from uuid import UUID, uuid4

from psycopg.conninfo import conninfo_to_dict
from tortoise.expressions import Q
from tortoise.transactions import in_transaction

from benchmarks.contexts import UndoneError, open_context
from benchmarks.peers import HOPS, NEWEST, Item
from benchmarks.peers.models.tortoise import Edge, Memory
from memory_guild.models import hash_content

_SET_TENANT = "SELECT set_config('role', 'memory_guild_app', true), set_config('memory_guild.tenant_id', $1, true)"
_PLAN_FOR_VALUES = "SET LOCAL plan_cache_mode = force_custom_plan"
_BATCH = 2000


class TortoisePeer:
    """Stock Tortoise."""

    name = "Tortoise"

    def __init__(self, context: Context) -> None:
        self.context = context

    async def begin(self, tenant_id: str) -> None:
        """Open a transaction for a tenant."""
        self._transaction = in_transaction()
        connection = await self._transaction.__aenter__()
        await connection.execute_query(_SET_TENANT, [tenant_id])
        await connection.execute_script(_PLAN_FOR_VALUES)

    async def roll_back(self) -> None:
        """Undo it."""
        await self._transaction.__aexit__(UndoneError, UndoneError(), None)

    async def get(self, tenant_id: str, memory_id: UUID) -> Memory:
        """Read a memory."""
        return await Memory.get(memory_id=memory_id, tenant_id=tenant_id, is_deleted=False)

    async def get_alone(self, tenant_id: str, memory_id: UUID) -> Memory:
        """Read a memory in a transaction of its own."""
        async with in_transaction() as connection:
            await connection.execute_query(_SET_TENANT, [tenant_id])
            return await self.get(tenant_id, memory_id)

    async def newest(self, tenant_id: str) -> Sequence[Memory]:
        """Read the newest 50 memories with their embeddings and edges: prefetch_related."""
        newest = Memory.filter(tenant_id=tenant_id, is_deleted=False).order_by("-created_at", "-memory_id")
        return await newest.limit(NEWEST).prefetch_related("embeddings", "outgoing")

    async def hops(self, tenant_id: str, start: UUID, direction: str, limit: int) -> Sequence[Memory]:
        """Read the memories that are up to three hops from one: a query for each level, and one for the memories."""
        seen = frontier = {start}
        for _ in range(HOPS):
            reached = await self._reached(tenant_id, list(frontier), direction)
            frontier = reached - seen
            seen = seen | frontier
        return await Memory.filter(memory_id__in=list(seen - {start})[:limit])

    async def _reached(self, tenant_id: str, frontier: list[UUID], direction: str) -> set[UUID]:
        along = Q(source_memory_id__in=frontier, target_memory__tenant_id=tenant_id, target_memory__is_deleted=False)
        found = await Edge.filter(along).values_list("target_memory_id")
        if direction == "both":
            against = Q(
                target_memory_id__in=frontier, source_memory__tenant_id=tenant_id, source_memory__is_deleted=False
            )
            found += await Edge.filter(against).values_list("source_memory_id")
        return {memory_id for (memory_id,) in found}

    async def store_many(self, items: Sequence[Item]) -> None:
        """Store the memories that are not there yet: bulk_create."""
        memories = [
            Memory(memory_id=uuid4(), content_hash=hash_content(item["content_text"]), **item) for item in items
        ]
        await Memory.bulk_create(memories, batch_size=_BATCH, ignore_conflicts=True)


@asynccontextmanager
async def connect(url: str, *, schema: str = "public", connections: int = 1) -> AsyncIterator[TortoisePeer]:
    """Set Tortoise up."""
    async with open_context(_configuration(url, schema, connections)) as context:
        yield TortoisePeer(context)


def _configuration(url: str, schema: str, connections: int) -> dict[str, Any]:
    parts = conninfo_to_dict(url)
    credentials = {
        "host": parts.get("host"),
        "port": parts.get("port", 5432),
        "user": parts.get("user"),
        "password": parts.get("password"),
        "database": parts.get("dbname"),
        "schema": schema,
        "minsize": connections,
        "maxsize": connections,
    }
    return {
        "connections": {"default": {"engine": "tortoise.backends.asyncpg", "credentials": credentials}},
        "apps": {"peers": {"models": ["benchmarks.peers.models.tortoise"], "default_connection": "default"}},
        "use_tz": True,
    }
