"""The newest 50 of a tenant whose memories are all old: how many pages the server reads, without and with indexes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
from asyncpg.connection import LoggedQuery

from benchmarks.contexts import within
from benchmarks.peers import memory_guild
from benchmarks.peers.memory_guild import MemoryGuildPeer
from benchmarks.server import new_database
from benchmarks.verbs.memories import TENANTS
from benchmarks.verbs.setting import Setting
from benchmarks.verbs.timing import Figure
from memory_guild import find
from memory_guild.schema import indexes
from memory_guild.schema.migrating import upgrade

GOAL_PAGES = 2_000
GOAL_PAGES_WITH_INDEXES = 60

_TENANT = "old"


async def old_rows(setting: Setting) -> list[Figure]:
    """In a database of its own: a twentieth of the rows is the old tenant's, the others are newer."""
    rows = setting.scale.old_rows
    async with new_database(setting.server_url) as url:
        await upgrade(url)
        await _load(url, rows)
        work = f"newest 50, all old, {rows:,} rows"
        without = await _pages(url)
        await indexes.create(url)
        with_indexes = await _pages(url)
    return [
        _figure(f"{work}, the specification's indexes", without, GOAL_PAGES),
        _figure(f"{work}, the optional indexes", with_indexes, GOAL_PAGES_WITH_INDEXES),
    ]


def _figure(work: str, pages: int, goal: int) -> Figure:
    return Figure(work, f"{pages:,} pages", f"at most {goal:,} pages", pages <= goal)


async def _load(url: str, rows: int) -> None:
    """Fill the table first and build its indexes afterwards, which takes a third of the time."""
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch(
            "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index"
            " WHERE indrelid = 'memory_records'::regclass AND NOT indisunique"
        )
        for index in found:
            await connection.execute(f"DROP INDEX {index['name']}")
        await connection.execute(_FILL, _TENANT, rows, TENANTS, timeout=600)
        for index in found:
            await connection.execute(index["definition"])
        await connection.execute("VACUUM (FREEZE, ANALYZE) memory_records")
    finally:
        await connection.close()


_FILL = """
    INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash, created_at, updated_at)
    SELECT
        'agent-' || number / $3 % 10,
        CASE number % $3 WHEN 0 THEN $1 ELSE 'tenant-' || number % $3 END,
        'external', text, md5(text), moment, moment
    FROM
        generate_series(1, $2::int) AS number,
        concat('Fact ', number) AS text,
        -- The old tenant's are of the year before the last; the others are spread over the last.
        LATERAL (
            SELECT now() - interval '1 year' * (number::float8 / $2 + CASE number % $3 WHEN 0 THEN 1 ELSE 0 END)
        ) AS stored (moment)
    ORDER BY moment
"""


async def _pages(url: str) -> int:
    """The pages that the statements of one ``find`` read, all in all, found in memory or not."""
    async with memory_guild.connect(url) as ours:
        return await within(ours.context, _pages_of_find(ours))


async def _pages_of_find(ours: MemoryGuildPeer) -> int:
    queries: list[LoggedQuery] = []
    await ours.begin(_TENANT)
    try:
        await find(limit=50)  # the driver asks once for the types of the arguments
        with ours.connection.query_logger(queries.append):
            page = await find(limit=50)
            await asyncio.sleep(0)  # the driver tells of a statement in the loop's next turn
        reads = [query for query in queries if not query.query.startswith("SET LOCAL")]
        assert reads
        assert len(page.memories) == 50
        return sum([await _pages_of(ours, query) for query in reads])
    finally:
        await ours.roll_back()


async def _pages_of(ours: MemoryGuildPeer, query: LoggedQuery) -> int:
    explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query.query}"
    (plan,) = json.loads(await ours.connection.fetchval(explained, *query.args))
    top: dict[str, Any] = plan["Plan"]
    pages: int = top["Shared Hit Blocks"] + top["Shared Read Blocks"]
    return pages
