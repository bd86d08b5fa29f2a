"""The verbs in a schema whose name needs quotes, and through pgbouncer in transaction mode."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import asyncpg.connection
import pytest

from memory_guild import find_all, remember_many
from memory_guild.database.connecting import connect
from memory_guild.schema.migrating import upgrade
from memory_guild.tenancy import tenant_scope
from tests.databases import run_statement
from tests.tenancy.logins import connected, login, user_of
from tests.tenancy.pgbouncer import PROGRAM, SERVER_CONNECTIONS, pgbouncer, through
from tests.tenancy.verb_work import every_verb, texts_after_every_verb

SCHEMAS = ['the "guild"', "the 'guild'; DROP TABLE memory_records --", "Gedächtnis\\"]
TENANTS = [f"tenant-{number}" for number in range(7)]


async def test_every_verb_in_one_scope(database: str) -> None:
    async with tenant_scope("acme"):
        assert await every_verb("scribe") == texts_after_every_verb("scribe")


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_every_verb_in_a_schema_of_any_name(database_url: str, schema: str) -> None:
    await upgrade(database_url, schema=schema)
    await run_statement(database_url, "DROP TABLE memory_records CASCADE")  # whatever forgets the schema finds none
    async with login(database_url) as url, connect(url, schema=schema), tenant_scope("acme"):
        assert await every_verb("scribe") == texts_after_every_verb("scribe")


# --- through pgbouncer ------------------------------------------------------------------------------------------


@pytest.fixture
async def pooled_url(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """An agents' login, through pgbouncer, with the setting that it needs."""
    if PROGRAM is None and "CI" in os.environ:
        pytest.fail("pgbouncer is not installed: apt-get install pgbouncer")
    if PROGRAM is None:
        pytest.skip("pgbouncer is not installed: apt-get install pgbouncer")
    monkeypatch.setenv("MEMORY_GUILD_POOLER", "1")
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "40")
    async with login(database_url) as url:
        with pgbouncer(url, [user_of(url)]) as folder:
            yield through(folder, url)


@pytest.mark.long
async def test_every_verb_of_many_tenants_over_two_connections(pooled_url: str) -> None:
    async def work(number: int) -> set[str]:
        async with tenant_scope(TENANTS[number % len(TENANTS)]):
            return await every_verb(f"agent {number}")

    async with connect(pooled_url):
        seen = await asyncio.gather(*(work(number) for number in range(60)))

    for number, texts in enumerate(seen):
        of_the_tenant = range(number % len(TENANTS), 60, len(TENANTS))
        assert texts_after_every_verb(f"agent {number}") <= texts
        assert texts <= set().union(*(texts_after_every_verb(f"agent {other}") for other in of_the_tenant))


@pytest.mark.long
async def test_nothing_is_left_on_the_servers_connections(pooled_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No prepared statement, whose name another process would choose too: asyncpg numbers them, each from 1 on."""
    for _ in range(4):
        monkeypatch.setattr(asyncpg.connection, "_uid", 0)  # what a process begins with
        async with connect(pooled_url), tenant_scope("acme", agent_id="scribe"):
            items = ({"content_text": f"text {number}", "source_type": "document"} for number in range(1100))
            await remember_many(items)
            assert len([memory async for memory in find_all()]) == 1100
            async for _memory in find_all():
                break  # a cursor that is left open ends with the scope

    async with (
        connected(pooled_url, statement_cache_size=0) as one,
        connected(pooled_url, statement_cache_size=0) as other,
    ):
        backends = set()
        for connection in (one, other):
            await connection.execute("BEGIN")
            backends.add(await connection.fetchval("SELECT pg_backend_pid()"))
            assert await connection.fetch("SELECT name FROM pg_prepared_statements WHERE name <> ''") == []
            assert await connection.fetch("SELECT relname FROM pg_class WHERE relpersistence = 't'") == []
        assert len(backends) == SERVER_CONNECTIONS
