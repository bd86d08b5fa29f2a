"""Installing the search in a database that is in use."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
import stamina

import memory_guild as guild
from memory_guild.database.migrations import known_migrations
from memory_guild.errors import SchemaError, TablesExistError, is_retryable
from tests.databases import run_statement
from tests.search.earlier import upgrade_to_before
from tests.search.words import Connection, assert_vectors_are_true
from tests.tenancy.logins import AGENT, login

pytestmark = pytest.mark.long

WAITING = """
SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid)
"""
WAITING_FOR_MEMORIES = """
SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'memory_records'::regclass)
"""


@pytest.fixture
async def filled(database_url: str, has_vectors: bool) -> str:
    """A database with memories of two tenants, one of them forgotten, and no search."""
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    async with guild.connect(database_url):
        for tenant_id in ("acme", "umbrella"):
            async with guild.tenant_scope(tenant_id, agent_id="scribe"):
                report = await guild.remember_many(
                    {"content_text": f"{tenant_id} note {number}", "source_type": "document"} for number in range(600)
                )
                ids = [item.memory_id for item in report if item.memory_id]
                await guild.relate(ids[1], ids[0], "follows")
                await guild.forget(ids[2])
    return database_url


async def assert_all_vectors_are_true(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for tenant_id in ("acme", "umbrella"):
            await assert_vectors_are_true(connection, tenant_id)
    finally:
        await connection.close()


async def test_memories_that_are_there_already_are_indexed(filled: str) -> None:
    done: list[int] = []
    assert await guild.upgrade(filled, search=True, progress=done.append) == known_migrations("search")
    assert done == sorted(done)
    assert done[-1] == 1200
    assert await guild.upgrade(filled, search=True) == []
    await assert_all_vectors_are_true(filled)
    assert (await guild.schema.validate(filled)).differences == ()


async def test_words_that_an_earlier_version_weighed_are_made_anew(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = await upgrade_to_before("_weights_of_words.py", filled, tmp_path, monkeypatch)
    with pytest.raises(AssertionError):
        await assert_all_vectors_are_true(filled)

    assert await guild.upgrade(filled) == later

    await assert_all_vectors_are_true(filled)
    assert (await guild.schema.validate(filled)).differences == ()


async def test_functions_of_triggers_are_replaced_when_no_scope_runs_them(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = await upgrade_to_before("_weights_of_words.py", filled, tmp_path, monkeypatch)
    watching = await asyncpg.connect(filled)
    async with guild.connect(filled, check_schema=False), guild.tenant_scope("acme", agent_id="scribe"):
        first = await guild.remember("The door is red.", source_type="document")
        upgrading = asyncio.create_task(guild.upgrade(filled))
        async with asyncio.timeout(60):
            while not await watching.fetchval(WAITING_FOR_MEMORIES):  # noqa: ASYNC110 - another connection waits
                await asyncio.sleep(0.01)
        second = await guild.remember("So is the gate.", source_type="document")
        await guild.relate(second, first, "follows")
        await guild.forget(first)
    await watching.close()
    assert await upgrading == later
    await assert_all_vectors_are_true(filled)


async def test_memories_of_a_sealed_database_are_indexed(filled: str) -> None:
    await guild.schema.seal(filled)
    assert await guild.upgrade(filled, search=True) == known_migrations("search")
    await run_statement(filled, "DELETE FROM memory_words")
    assert await guild.upgrade(filled, search=True) == []
    await assert_all_vectors_are_true(filled)


async def test_an_interrupted_installation_goes_on(filled: str) -> None:
    def interrupt(done: int) -> None:
        if done >= 1000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await guild.upgrade(filled, search=True, progress=interrupt)
    connection: Connection = await asyncpg.connect(filled)
    try:
        assert await connection.fetchval("SELECT count(*) FROM memory_words WHERE is_complete") < 1100
        assert await guild.upgrade(filled, search=True) == []
        await assert_vectors_are_true(connection, "acme")
        await assert_vectors_are_true(connection, "umbrella")
    finally:
        await connection.close()


@stamina.retry(on=is_retryable, attempts=10, wait_initial=0.01)
async def store_forget_and_relate(number: int, some: list[guild.MemoryRecord]) -> None:
    """What an agent does in one scope, again after a deadlock."""
    async with guild.tenant_scope("acme", agent_id="worker"):
        new = (await guild.remember(f"new {number}", source_type="document")).memory
        await guild.forget(some[number])
        await guild.relate(new, some[number + 1], "follows")


async def test_agents_go_on_storing_forgetting_and_relating_meanwhile(filled: str) -> None:
    installed = asyncio.Event()

    async def work() -> int:
        number = 0
        async with guild.connect(filled, check_schema=False):
            async with guild.tenant_scope("acme"):
                some = (await guild.find(limit=1000)).memories
            while not installed.is_set():
                await store_forget_and_relate(number, some)
                number += 1
        return number

    async def install() -> None:
        try:
            await guild.upgrade(filled, search=True)
        finally:
            installed.set()

    numbers, _ = await asyncio.gather(work(), install())
    assert numbers > 0
    connection = await asyncpg.connect(filled)
    try:
        await assert_vectors_are_true(connection, "acme")
    finally:
        await connection.close()


async def test_indexing_goes_on_after_a_deadlock_with_an_agent(search_url: str, past_scopes: Connection) -> None:
    async with guild.connect(search_url), guild.tenant_scope("acme", agent_id="scribe"):
        await guild.remember_many({"content_text": f"note {number}", "source_type": "document"} for number in range(50))
    await past_scopes.execute("DELETE FROM memory_words")
    first, last = await past_scopes.fetchrow(  # type: ignore[misc]  # there is a row
        "SELECT min(memory_id::text)::uuid, max(memory_id::text)::uuid FROM memory_records"
    )
    touch = "UPDATE memory_records SET metadata = '{}' WHERE memory_id = $1"
    async with past_scopes.transaction():
        await past_scopes.execute("SET LOCAL deadlock_timeout = '1min'")  # so it is not this one that is ended
        await past_scopes.execute(touch, last)
        installing = asyncio.create_task(guild.upgrade(search_url, search=True))
        while not await past_scopes.fetchval(WAITING):  # noqa: ASYNC110 - another process waits
            await asyncio.sleep(0.01)
        await past_scopes.execute(touch, first)
    assert await installing == []
    await assert_vectors_are_true(past_scopes, "acme")


async def test_pgvector_may_be_in_another_schema(empty_database_url: str, has_vectors: bool) -> None:
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute('CREATE SCHEMA "Extra things"; CREATE EXTENSION vector SCHEMA "Extra things"')
    await connection.close()
    for schema in ("guild", "public"):
        await guild.upgrade(empty_database_url, schema=schema, search=True)
        async with (
            login(empty_database_url, AGENT) as url,
            guild.connect(url, schema=schema),
            guild.tenant_scope("acme", agent_id="scribe"),
        ):
            await guild.remember("The door is red.", source_type="document")
            assert len(await guild.recall("doors")) == 1
    for schema in ("guild", "public"):
        assert (await guild.schema.validate(empty_database_url, schema=schema)).differences == ()


@pytest.mark.parametrize("table", ["memory_words", "memory_own_vectors", "memory_vector_models"])
async def test_tables_from_elsewhere_are_refused(database_url: str, has_vectors: bool, table: str) -> None:
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    await run_statement(database_url, f"CREATE TABLE {table} (id int)")
    with pytest.raises(TablesExistError) as refused:
        await guild.upgrade(database_url, search=True)
    assert refused.value.tables == [table]
    assert await guild.upgrade(database_url) == []


async def test_without_pgvector_everything_else_works_and_the_error_says_what_to_install(
    database_url: str, has_vectors: bool
) -> None:
    if has_vectors:
        pytest.skip("this server has pgvector")
    with pytest.raises(SchemaError, match="pgvector"):
        await guild.upgrade(database_url, search=True)
    assert await guild.upgrade(database_url) == []
    async with guild.connect(database_url), guild.tenant_scope("acme", agent_id="scribe"):
        await guild.remember("The door is red.", source_type="document")
