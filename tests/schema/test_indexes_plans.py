"""Agents really use the indexes that an operator has added, and one on the metadata would be of no use to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import asyncpg
import pytest

from memory_guild.database.connecting import connect
from memory_guild.schema import indexes
from memory_guild.tenancy import tenant_scope
from tests.databases import copied_database
from tests.schema.index_builds import AGENTS, TENANT

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]

# The tenant's rows are the oldest ones, and its agent's the oldest of those: walking created_at would read everything.
MANY_ROWS = """
INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash, created_at, metadata)
SELECT CASE WHEN n <= 1000 THEN 'scribe' ELSE 'archivist' END, CASE WHEN n <= 2000 THEN 'acme' ELSE 'giant' END,
       'document', n, md5(n::text), timestamptz '2020-01-01' + n * interval '1 s', jsonb_build_object('page', n)
FROM generate_series(1, 20000) AS n
"""
NEWEST = """
SELECT * FROM memory_records WHERE tenant_id = 'acme' {} AND is_deleted IS NOT TRUE
ORDER BY created_at DESC, memory_id DESC LIMIT 50
"""
PAGE_13 = "SELECT * FROM memory_records WHERE metadata @> '{\"page\": 13}'"


@pytest.fixture
def database_url(server_url: str, template: str) -> Iterator[str]:
    with copied_database(server_url, template, MANY_ROWS) as url:
        yield url


async def plan_of(connection: Connection, query: str) -> str:
    return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN (COSTS OFF) {query}"))


async def agents_plan(database_url: str, query: str, *, enable_seqscan: str = "on") -> str:
    """How a tenant's scope would run the query."""
    async with connect(database_url), tenant_scope("acme") as scope:
        await scope.transaction._connection.execute(f"SET LOCAL enable_seqscan = {enable_seqscan}")
        return await plan_of(scope.transaction._connection, query)


@pytest.mark.parametrize(("name", "condition"), [(TENANT, ""), (AGENTS, "AND agent_id = 'scribe'")])
@pytest.mark.long
async def test_agents_list_the_newest_memories_by_index(
    database_url: str, connection: Connection, name: str, condition: str
) -> None:
    query = NEWEST.format(condition)
    await connection.execute("ANALYZE memory_records")
    assert "Sort" in await agents_plan(database_url, query)

    await indexes.create(database_url, names=[name])

    plan = await agents_plan(database_url, query)
    assert f"Index Scan using {name}" in plan
    assert "Sort" not in plan


@pytest.mark.parametrize("operators", ["jsonb_ops", "jsonb_path_ops"])
@pytest.mark.long
async def test_an_index_on_metadata_would_serve_no_agent(
    database_url: str, connection: Connection, operators: str
) -> None:
    await connection.execute(f"CREATE INDEX by_metadata ON memory_records USING gin (metadata {operators})")
    await connection.execute("ANALYZE memory_records")
    assert "by_metadata" in await plan_of(connection, PAGE_13)

    assert "by_metadata" not in await agents_plan(database_url, PAGE_13, enable_seqscan="off")
