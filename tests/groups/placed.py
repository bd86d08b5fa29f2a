"""Tenants that are where a test wants them, and what the tables of a group have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import asyncpg

import memory_guild as guild

GROUPS = ("public", "north")

TABLES = (
    *("memory_records", "memory_embeddings", "memory_relationships", "memory_sources", "memory_words"),
    *("memory_word_counts", "memory_own_vectors", "memory_vectors", "memory_vector_models"),
)
"""The tables that have something of a tenant's. What the outbox has is about an index, and the audit stays."""


async def remember_in(url: str, group: str, *tenants: str) -> None:
    """A memory for each of some new tenants, in a group."""
    for tenant_id in tenants:
        async with guild.tenant_scope(tenant_id, agent_id="scribe"):
            await guild.remember(f"what {tenant_id} knows", source_type="document")
        await guild.schema.groups.move_tenant(tenant_id, group, database_url=url)


async def texts_of(tenant_id: str) -> tuple[str, list[str]]:
    """The group that a tenant's scope works in, and the texts that it finds there."""
    async with guild.tenant_scope(tenant_id) as scope:
        return scope.group, sorted([memory.content_text for memory in await guild.find(limit=1000)])


async def rows_of(
    connection: asyncpg.Connection[asyncpg.Record], group: str, tables: Sequence[str] = TABLES
) -> dict[str, list[Any]]:
    """All rows of the tables of a group, as they are, in an order of their own; a table may be missing."""
    found: dict[str, list[Any]] = {}
    for table in tables:
        if await connection.fetchval("SELECT to_regclass($1)", f"{group}.{table}") is not None:
            rows = await connection.fetch(f"SELECT to_jsonb(one)::text AS row FROM {group}.{table} AS one")
            found[table] = sorted((json.loads(row["row"]) for row in rows), key=json.dumps)
    return found


async def count_of(connection: asyncpg.Connection[asyncpg.Record], group: str, tenant_id: str) -> int:
    """How many memories a group has of a tenant."""
    count: int = await connection.fetchval(
        f"SELECT count(*) FROM {group}.memory_records WHERE tenant_id = $1", tenant_id
    )
    return count
