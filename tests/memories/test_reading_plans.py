"""How the server runs the reads: by which index, over how many pages, and whose plan serves whom."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from asyncpg.connection import LoggedQuery

from memory_guild.database.connecting import connect
from memory_guild.database.scope import Scope
from memory_guild.database.statements import Statement
from memory_guild.memories.conditions import condition_arguments
from memory_guild.memories.cursors import cursor_after
from memory_guild.memories.reading import count, find, get, get_many
from memory_guild.memories.relations import fetch_relations
from memory_guild.models import MemoryRecord
from memory_guild.schema import indexes
from memory_guild.tenancy import tenant_scope
from tests.databases import copied_database, run_statement
from tests.memories.reading import ids_of

# Half of the giant's memories are of the last hours; the others' are years old, all of them before the giant's first.
ROWS = """
INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash, created_at)
SELECT 'agent-' || n % 10,
       CASE WHEN n <= 30 THEN 'tiny' WHEN n <= 1500 THEN 'old' WHEN n <= 9000 THEN 'half' ELSE 'giant' END, 'document',
       repeat(n::text, 50), md5(n::text),
       CASE WHEN n < 15000 THEN '2020-01-01'::timestamptz + n * interval '1 s' ELSE now() - n * interval '0.5 s' END
FROM generate_series(1, 30000) AS n;
SET session_replication_role = replica;  -- the rows are right, and to check them takes a minute
INSERT INTO memory_embeddings (memory_id, vector_id, embedding_model)
SELECT memory_id, content_hash, 'small' FROM memory_records;
INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type)
SELECT source, target, 'related'
FROM (
    SELECT memory_id AS source, lead(memory_id) OVER (PARTITION BY tenant_id ORDER BY content_hash) AS target
    FROM memory_records
) AS edges
WHERE target IS NOT NULL;
ANALYZE
"""
EXPLAIN_ANALYZE = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON)"
RECENT = timedelta(hours=6)
NO_CURSOR = (None, None)
OLD_CURSOR = (datetime(2020, 1, 1, 0, 10, tzinfo=UTC), UUID(int=0))


@pytest.fixture(scope="module")
def unequal_url(server_url: str, template: str) -> Iterator[str]:
    """A database with a giant tenant, a tiny one, and two whose memories are all old."""
    with copied_database(server_url, template, ROWS) as url:
        yield url


@pytest.fixture
async def unequal(unequal_url: str) -> AsyncIterator[None]:
    async with connect(unequal_url, check_schema=False):
        yield


@pytest.fixture(scope="module")
def indexed_url(server_url: str, template: str) -> Iterator[str]:
    """The same with the indexes that an operator may add."""
    with copied_database(server_url, template, ROWS) as url:
        asyncio.run(indexes.create(url))
        asyncio.run(run_statement(url, "VACUUM ANALYZE memory_records"))
        yield url


@pytest.fixture
async def indexed(indexed_url: str) -> AsyncIterator[None]:
    async with connect(indexed_url, check_schema=False):
        yield


async def plan_of(scope: Scope, name: str, *arguments: Any) -> str:
    """The plan of a statement for these arguments."""
    explain = f"EXPLAIN (COSTS OFF) {Statement(name).text}"
    return "\n".join(row[0] for row in await scope.transaction.session.connection.fetch(explain, *arguments))


async def kept_plan_of(scope: Scope, name: str, argument: str) -> str:
    """The plan that is kept for all arguments, as after some runs of the prepared statement."""
    connection = scope.transaction.session.connection
    await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE kept AS {Statement(name).text}")
    plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE kept('{argument}')"))
    await connection.execute("DEALLOCATE kept")
    return plan


async def pages_read(scope: Scope, name: str, *arguments: Any) -> tuple[int, int]:
    """How many rows a statement returns, and how many pages it reads for them."""
    explain = f"{EXPLAIN_ANALYZE} {Statement(name).text}"
    plan = await scope.transaction.session.connection.fetchval(explain, *arguments)
    return round(json.loads(plan)[0]["Plan"]["Actual Rows"]), pages_of(plan)


def pages_of(plan: str) -> int:
    """How many pages were read, from the cache or not."""
    top = json.loads(plan)[0]["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


def lists(tenant_id: str, *more: Any, **conditions: Any) -> list[Any]:
    return [*condition_arguments(tenant_id, conditions), *more]  # type: ignore[arg-type]


async def some_ids(number: int) -> list[UUID]:
    return ids_of(await MemoryRecord.all().limit(number))


@pytest.mark.parametrize("number", [1, 50, 500])
@pytest.mark.long
async def test_memories_are_got_by_their_key(unequal: None, number: int) -> None:
    async with tenant_scope("giant") as scope:
        memory_ids = await some_ids(number)
        literal = "{" + ",".join(map(str, memory_ids)) + "}"
        for plan in (
            await plan_of(scope, "memories/get_memory", memory_ids[0]),
            await plan_of(scope, "memories/get_memories", memory_ids),
            await kept_plan_of(scope, "memories/get_memory", str(memory_ids[0])),
            await kept_plan_of(scope, "memories/get_memories", literal),
        ):
            assert "memory_records_pkey" in plan
            assert "Seq Scan" not in plan


RELATIONS = {
    "embeddings": "idx_embeddings_memory|unique_memory_embedding",
    "outgoing_edges": "idx_relationships_source|unique_relationship",
    "incoming_edges": "idx_relationships_target",
}


@pytest.mark.parametrize("number", [1, 50])
@pytest.mark.parametrize("tenant_id", ["giant", "tiny"])
async def test_relations_are_read_by_index(unequal: None, tenant_id: str, number: int) -> None:
    async with tenant_scope(tenant_id) as scope:
        memory_ids = await some_ids(number)
        literal = "{" + ",".join(map(str, memory_ids)) + "}"
        for relation, index in RELATIONS.items():
            for plan in (
                await plan_of(scope, f"memories/{relation}_of_memories", memory_ids),
                await kept_plan_of(scope, f"memories/{relation}_of_memories", literal),
            ):
                assert re.search(index, plan), plan
                assert "Seq Scan" not in plan


async def test_recent_memories_are_found_along_their_age(unequal: None) -> None:
    arguments = lists("giant", *NO_CURSOR, 51, RECENT)
    async with tenant_scope("giant") as scope:
        plan = await plan_of(scope, "memories/walk_newest_memories", *arguments)
        rows, pages = await pages_read(scope, "memories/walk_newest_memories", *arguments)

    assert "idx_memory_created" in plan
    assert rows == 51
    assert pages < 100


@pytest.mark.parametrize("tenant_id", ["tiny", "old"])
async def test_the_walk_ends_soon_where_nothing_is_recent(unequal: None, tenant_id: str) -> None:
    arguments = lists(tenant_id, *NO_CURSOR, 51, timedelta(minutes=1))
    async with tenant_scope(tenant_id) as scope:
        rows, pages = await pages_read(scope, "memories/walk_newest_memories", *arguments)

    assert rows == 0
    assert pages < 100


@pytest.mark.parametrize("tenant_id", ["tiny", "old"])
@pytest.mark.parametrize("before", [NO_CURSOR, OLD_CURSOR, (None, UUID(int=1))])
@pytest.mark.parametrize("conditions", [{}, {"agent_id": "agent-1"}, {"metadata": {"page": 1}}])
async def test_old_memories_are_not_searched_among_everyones(
    unequal: None, tenant_id: str, before: tuple[Any, Any], conditions: dict[str, Any]
) -> None:
    arguments = lists(tenant_id, *before, 51, **conditions)
    async with tenant_scope(tenant_id) as scope:
        plan = await plan_of(scope, "memories/sort_newest_memories", *arguments)
        _, pages = await pages_read(scope, "memories/sort_newest_memories", *arguments)

    assert "Seq Scan" not in plan
    assert before != NO_CURSOR or "idx_memory_created" not in plan
    assert pages < 250


@pytest.mark.parametrize("tenant_id", ["half", "giant"])
async def test_sorting_never_walks_along_everyones_memories(unequal: None, tenant_id: str) -> None:
    """Not even for few of a tenant that has many: they may all be at the other end."""
    async with tenant_scope(tenant_id) as scope:
        assert "idx_memory_created" not in await plan_of(
            scope, "memories/sort_newest_memories", *lists(tenant_id, *NO_CURSOR, 2)
        )


@pytest.mark.parametrize(
    ("name", "more"), [("memories/sort_newest_memories", (*NO_CURSOR, None)), ("memories/count_memories", ())]
)
async def test_a_tiny_tenant_is_not_searched_among_everyones(unequal: None, name: str, more: tuple[None, ...]) -> None:
    async with tenant_scope("tiny") as scope:
        plan = await plan_of(scope, name, *lists("tiny", *more))
        _, pages = await pages_read(scope, name, *lists("tiny", *more))

    assert "Seq Scan" not in plan
    assert pages < 50


async def test_what_is_forgotten_by_conditions_is_locked_first(unequal: None) -> None:
    """The included conditions are merged into the subquery that locks, in the order of the ids."""
    async with tenant_scope("tiny") as scope:
        plan = await plan_of(scope, "memories/forget_matching_memories", *lists("tiny", agent_id="agent-1"))

    assert re.search(r"LockRows\n +->  Sort\n +Sort Key: memory_records_1.memory_id", plan), plan
    assert "Subquery Scan on memory_records" not in plan
    assert "Seq Scan" not in plan


async def find_explained(scope: Scope, **arguments: Any) -> tuple[list[MemoryRecord], int]:
    """What a ``find`` finds, and how many pages all its statements read."""
    queries: list[LoggedQuery] = []
    connection = scope.transaction.session.connection
    await find(limit=1)  # what the connection and the pool have to learn once
    with connection.query_logger(queries.append):
        memories = (await find(**arguments)).memories
        await asyncio.sleep(0)
    explained = [
        await connection.fetchval(f"{EXPLAIN_ANALYZE} {query.query}", *query.args)
        for query in queries
        if not query.query.startswith("SET LOCAL")
    ]
    return memories, sum(pages_of(plan) for plan in explained)


@pytest.mark.parametrize("tenant_id", ["tiny", "old", "half", "giant"])
@pytest.mark.parametrize("limit", [50, 1])
@pytest.mark.long
async def test_with_the_index_a_page_of_a_list_is_a_handful_of_the_table(
    indexed: None, tenant_id: str, limit: int
) -> None:
    async with tenant_scope(tenant_id) as scope:
        memories, pages = await find_explained(scope, limit=limit)
        assert len(memories) == (30 if tenant_id == "tiny" and limit == 50 else limit)
        assert pages <= 60
        next_page = await find(limit=limit, cursor=cursor_after(memories[-1]))
        assert not {*ids_of(memories)} & {*ids_of(next_page.memories)}
        _, pages = await find_explained(scope, limit=limit, cursor=cursor_after(memories[-1]))
        assert pages <= 60


@pytest.mark.parametrize("tenant_id", ["old", "half", "giant"])
@pytest.mark.long
async def test_with_the_index_the_end_of_a_list_is_near(indexed: None, tenant_id: str) -> None:
    """Behind a tenant's last memory there may be very many of others."""
    async with tenant_scope(tenant_id) as scope:
        oldest = await MemoryRecord.all().order_by("created_at").first()
        assert oldest is not None
        memories, pages = await find_explained(scope, cursor=cursor_after(oldest))

    assert memories == []
    assert pages <= 60


@pytest.mark.long
async def test_with_the_index_an_agents_page_is_one_too(indexed: None) -> None:
    async with tenant_scope("old") as scope:
        memories, pages = await find_explained(scope, agent_id="agent-1")
        plan = await plan_of(
            scope, "memories/walk_newest_memories", *lists("old", *NO_CURSOR, 51, None, agent_id="agent-1")
        )

    assert len(memories) == 50
    assert "memory_guild_newest_of_agent" in plan
    assert pages <= 60


async def test_lists_are_planned_for_their_tenant_and_reads_by_key_once(
    unequal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each tenant's scope uses the same prepared statements on the same connection."""
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "1")
    async with connect(unequal_url, check_schema=False):
        for tenant_id in ["giant"] * 8 + ["tiny"] * 8:
            async with tenant_scope(tenant_id):
                memories = (await find(limit=30)).memories
            async with tenant_scope(tenant_id):
                await count(agent_id="agent-1")
            async with tenant_scope(tenant_id):
                await get(memories[0])
                await get_many(memories)
                await fetch_relations(memories)
        async with tenant_scope("tiny") as scope:
            used = {
                row["statement"]: (row["generic_plans"], row["custom_plans"])
                for row in await scope.transaction.session.connection.fetch(
                    "SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements"
                )
            }

    for name in ("walk_newest", "sort_newest", "count"):
        generic, custom = used[Statement(f"memories/{name}_memories").text]
        assert generic == 0
        assert custom >= 8
    for name in ("get_memory", "get_memories", *(f"{relation}_of_memories" for relation in RELATIONS)):
        generic, custom = used[Statement(f"memories/{name}").text]
        assert (generic, custom) == (11, 5)
