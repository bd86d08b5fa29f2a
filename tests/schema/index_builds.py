"""Index builds, and ways to hold them up where a test wants them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from memory_guild.schema import indexes
from tests.tenancy.logins import connected

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

TENANT, AGENTS = "memory_guild_newest_of_tenant", "memory_guild_newest_of_agent"
DEFINITION = "CREATE INDEX {} ON memory_records USING btree ({}) WHERE is_deleted IS NOT TRUE"
DEFINITIONS = {
    AGENTS: DEFINITION.format(AGENTS, "tenant_id, agent_id, created_at DESC, memory_id DESC"),
    TENANT: DEFINITION.format(TENANT, "tenant_id, created_at DESC, memory_id DESC"),
}
BUILDING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'virtualxid'"
REFUSED = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle' AND query LIKE '%pg_try_advisory_lock%'
"""


async def states(url: str, schema: str | None = None) -> list[str]:
    return [index.state for index in await indexes.recommend(url, schema=schema)]


async def outcomes(url: str) -> list[str]:
    return [change.outcome for change in await indexes.create(url)]


async def set_for_database(connection: Connection, setting: str) -> None:
    """A setting that every later session of the test's database begins with."""
    name = await connection.fetchval("SELECT quote_ident(current_database())")
    await connection.execute(f"ALTER DATABASE {name} SET {setting}")


async def until(connection: Connection, question: str, count: int = 1) -> list[int]:
    """The first column's values, as soon as there are so many."""
    async with asyncio.timeout(60):
        while len(found := await connection.fetch(question)) < count:  # noqa: ASYNC110 - what the server does
            await asyncio.sleep(0.02)
    return [row[0] for row in found]


@asynccontextmanager
async def writing(url: str) -> AsyncIterator[Connection]:
    """A transaction that has written to the table and is still open: a build waits for it."""
    async with connected(url) as writer:
        await writer.execute("BEGIN; LOCK TABLE memory_records IN ROW EXCLUSIVE MODE")
        yield writer
