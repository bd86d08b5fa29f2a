"""The package: its scope and its verbs, with the same shape as the peers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import asyncpg

from benchmarks.contexts import OpenScope, open_context
from benchmarks.peers import HOPS, NEWEST, Item
from memory_guild import MemoryRecord, find, get, remember, remember_many, tenant_scope, traverse
from memory_guild.database.connecting import settings_for
from memory_guild.graph.conditions import EdgeConditions
from memory_guild.graph.walking import walk
from memory_guild.graph.walks import Step
from memory_guild.memories.report import StoreReport
from memory_guild.memories.storing import Remembered


class MemoryGuildPeer(OpenScope):
    """The package."""

    name = "Memory Guild"

    async def get_alone(self, tenant_id: str, memory_id: UUID) -> MemoryRecord:
        """Read a memory in a scope of its own."""
        async with tenant_scope(tenant_id):
            return await get(memory_id)

    async def remember_alone(self, item: Item) -> Remembered:
        """Store a memory in a scope of its own."""
        async with tenant_scope(item["tenant_id"]):
            return await self.remember(item)

    async def remember(self, item: Item) -> Remembered:
        """Store a memory."""
        return await remember(
            item["content_text"], source_type=item["source_type"], metadata=item["metadata"], agent_id=item["agent_id"]
        )

    async def store_many(self, items: Sequence[Item]) -> StoreReport:
        """Store the memories that are not there yet, with an outcome for each item."""
        async with tenant_scope(items[0]["tenant_id"]):
            return await remember_many(items)

    async def get(self, tenant_id: str, memory_id: UUID) -> MemoryRecord:
        """Read a memory."""
        return await get(memory_id)

    async def newest(self, tenant_id: str) -> Sequence[MemoryRecord]:
        """Read the newest 50 memories, each with its embeddings and outgoing edges."""
        return (await find(limit=NEWEST, relations=("embeddings", "outgoing_edges"))).memories

    async def hop_rows(self, tenant_id: str, start: UUID, direction: str, limit: int) -> Sequence[asyncpg.Record]:
        """Run that walk's statement, and leave its rows as the driver gives them."""
        return (await walk([start], HOPS, EdgeConditions.checked(direction, None, None), limit)).rows

    async def hops(self, tenant_id: str, start: UUID, direction: str, limit: int) -> Sequence[Step]:
        """Read the memories up to three hops from one."""
        return (await traverse(start, max_hops=HOPS, direction=direction, limit=limit)).steps


@asynccontextmanager
async def connect(url: str, *, schema: str = "public", connections: int = 1) -> AsyncIterator[MemoryGuildPeer]:
    """Open the pool."""
    settings = replace(settings_for(url, schema=schema), pool_min=connections, pool_max=connections)
    async with open_context(settings.tortoise_config()) as context:
        yield MemoryGuildPeer(context)
