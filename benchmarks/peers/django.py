"""Django's asynchronous interface on psycopg."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import connections as databases
from django.db import transaction
from psycopg.conninfo import conninfo_to_dict

from benchmarks.contexts import UndoneError
from benchmarks.peers import HOPS, NEWEST, Item
from benchmarks.peers.models.django import Edge, Memory
from memory_guild.models import hash_content

_SET_TENANT = "SELECT set_config('role', 'memory_guild_app', true), set_config('memory_guild.tenant_id', %s, true)"
_PLAN_FOR_VALUES = "SET LOCAL plan_cache_mode = force_custom_plan"
_BATCH = 2000


class DjangoPeer:
    """Django: its asynchronous querysets, and one synchronous function where there is a transaction.

    Source: "Transactions do not yet work in async mode", from "Asynchronous support" in Django's documentation.
    """

    name = "Django"

    def __init__(self, alias: str) -> None:
        self.context: Context = copy_context()
        self._alias = alias

    async def begin(self, tenant_id: str) -> None:
        """Open a transaction for a tenant."""

        def begin() -> None:
            self._transaction = transaction.atomic(using=self._alias)
            self._transaction.__enter__()
            self._set_tenant(tenant_id)
            self._plan_for_values()

        await sync_to_async(begin)()

    async def roll_back(self) -> None:
        """Undo it."""
        await sync_to_async(self._transaction.__exit__)(UndoneError, UndoneError(), None)

    async def get(self, tenant_id: str, memory_id: UUID) -> Memory:
        """Read a memory."""
        memories = Memory.objects.using(self._alias)
        memory: Memory = await memories.aget(memory_id=memory_id, tenant_id=tenant_id, is_deleted=False)
        return memory

    async def get_alone(self, tenant_id: str, memory_id: UUID) -> Memory:
        """Read a memory in a transaction of its own."""

        def get_alone() -> Memory:
            memories = Memory.objects.using(self._alias)
            with transaction.atomic(using=self._alias):
                self._set_tenant(tenant_id)
                memory: Memory = memories.get(memory_id=memory_id, tenant_id=tenant_id, is_deleted=False)
            return memory

        return await sync_to_async(get_alone)()

    async def newest(self, tenant_id: str) -> Sequence[Memory]:
        """Read the newest 50 memories with their embeddings and edges: prefetch_related."""
        memories = Memory.objects.using(self._alias).filter(tenant_id=tenant_id, is_deleted=False)
        newest = memories.order_by("-created_at", "-memory_id")[:NEWEST]
        return [memory async for memory in newest.prefetch_related("embeddings", "outgoing")]

    async def hops(self, tenant_id: str, start: UUID, direction: str, limit: int) -> Sequence[Memory]:
        """Read the memories that are up to three hops from one: a query for each level, and one for the memories."""
        seen = frontier = {start}
        for _ in range(HOPS):
            reached = await self._reached(tenant_id, frontier, direction)
            frontier = reached - seen
            seen = seen | frontier
        found = Memory.objects.using(self._alias).filter(memory_id__in=list(seen - {start})[:limit])
        return [memory async for memory in found]

    async def _reached(self, tenant_id: str, frontier: set[UUID], direction: str) -> set[UUID]:
        found: set[UUID] = set()
        for near, far in (("source", "target"), ("target", "source"))[: 2 if direction == "both" else 1]:
            edges = Edge.objects.using(self._alias).filter(
                **{
                    f"{near}_memory__in": frontier,
                    f"{far}_memory__tenant_id": tenant_id,
                    f"{far}_memory__is_deleted": False,
                }
            )
            found |= {memory_id async for memory_id in edges.values_list(f"{far}_memory_id", flat=True)}
        return found

    async def store_many(self, items: Sequence[Item]) -> None:
        """Store the memories that are not there yet: bulk_create."""
        memories = [Memory(content_hash=hash_content(item["content_text"]), **item) for item in items]
        await Memory.objects.using(self._alias).abulk_create(memories, batch_size=_BATCH, ignore_conflicts=True)

    def _set_tenant(self, tenant_id: str) -> None:
        with databases[self._alias].cursor() as cursor:
            cursor.execute(_SET_TENANT, [tenant_id])

    def _plan_for_values(self) -> None:
        with databases[self._alias].cursor() as cursor:
            cursor.execute(_PLAN_FOR_VALUES)


@asynccontextmanager
async def connect(url: str, *, schema: str = "public", connections: int = 1) -> AsyncIterator[DjangoPeer]:
    """Name the database to Django; it keeps one connection for each thread, and its thread is one."""
    if connections != 1:
        raise ValueError("Django's asynchronous interface runs everything in one thread, on one connection")
    databases.settings.update(databases.configure_settings({"default": {}, schema: _database(url, schema)}))
    try:
        yield DjangoPeer(schema)
    finally:
        await sync_to_async(_close)(schema)


def _close(alias: str) -> None:
    databases[alias].close()
    del databases[alias]


def _database(url: str, schema: str) -> dict[str, Any]:
    parts = conninfo_to_dict(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.get("dbname"),
        "USER": parts.get("user", ""),
        "PASSWORD": parts.get("password", ""),
        "HOST": parts.get("host", ""),
        "PORT": parts.get("port", ""),
        "CONN_MAX_AGE": None,
        # Statements are prepared, as by asyncpg; Django leaves it out by default, for the sake of poolers.
        "OPTIONS": {"options": f"-c search_path={schema}", "server_side_binding": True, "prepare_threshold": 5},
    }
