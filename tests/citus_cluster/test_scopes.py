"""Scopes through the coordinator: what travels, what is committed, and what no statement can do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

import memory_guild as guild
from memory_guild.database.engine import client
from memory_guild.errors import MemoryGuildError, ServerUnreachableError
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import tenant_scope
from memory_guild.testing.databases import completed
from tests import citus

ON_THE_WORKER = "SELECT {} AS said FROM data_sources RIGHT JOIN (SELECT count(*) FROM data_sources) AS one ON true"


@pytest.fixture(scope="module", params=[False, True], ids=["open", "sealed"])
def url(request: pytest.FixtureRequest, server_url: str) -> Iterator[str]:
    """A schema for the tests of this file, unsealed and sealed."""
    with citus.new_schema() as url:
        if request.param:
            completed(guild.schema.seal(url))
        yield url


@pytest.fixture
async def database(url: str) -> AsyncIterator[str]:
    async with guild.connect(url):
        yield url


@pytest.fixture(autouse=True)
async def coordinator(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.execute("DELETE FROM memory_records")
    await connection.close()


async def said(setting: str) -> str:
    """A setting, as the worker's session has it."""
    (row,) = await client().execute_query_dict(ON_THE_WORKER.format(f"current_setting('{setting}', true)"))
    return str(row["said"])


@pytest.mark.parametrize("tenant", ["acme", "o'hara", 'a"b', "back\\slash", "dollar $$ $a$", "zwölf"])
async def test_the_tenant_travels(database: str, tenant: str) -> None:
    async with tenant_scope(tenant, agent_id="a"):
        await guild.remember("mine", source_type="document")
        assert [memory.tenant_id for memory in await guild.find()] == [tenant]
        assert await said("memory_guild.tenant_id") == tenant
        assert await said("jit") == "off"


async def test_nothing_travels_any_more(database: str) -> None:
    async with tenant_scope("acme"):
        (row,) = await client().execute_query_dict("SHOW citus.propagate_set_commands")
        assert row["citus.propagate_set_commands"] == "none"


async def test_what_fails_is_not_there(database: str, coordinator: asyncpg.Connection[asyncpg.Record]) -> None:
    with pytest.raises(ZeroDivisionError):
        async with tenant_scope("acme", agent_id="a"):
            await guild.remember("lost", source_type="document")
            await MemoryRecord.all()  # any statement: the connection is reset at the end
            raise ZeroDivisionError
    assert await coordinator.fetchval("SELECT count(*) FROM memory_records") == 0


async def test_a_statement_that_lets_settings_travel_breaks_no_commit(
    database: str, coordinator: asyncpg.Connection[asyncpg.Record]
) -> None:
    async with tenant_scope("acme", agent_id="a"):
        await guild.remember("kept", source_type="document")
        await client().execute_query("SET LOCAL citus.propagate_set_commands = 'local'")
        await MemoryRecord.all()
    assert await coordinator.fetchval("SELECT count(*) FROM memory_records") == 1
    with pytest.raises(ZeroDivisionError):
        async with tenant_scope("acme", agent_id="a"):
            await guild.remember("lost", source_type="document")
            await client().execute_query("SET LOCAL citus.propagate_set_commands = 'local'")
            raise ZeroDivisionError
    assert await coordinator.fetchval("SELECT count(*) FROM memory_records") == 1


async def test_ids_are_the_databases(database: str, coordinator: asyncpg.Connection[asyncpg.Record]) -> None:
    """The coordinator cannot refuse one that is chosen, see the migration; the shard gives another."""
    chosen = "00000000-0000-4000-8000-000000000001"
    async with tenant_scope("acme"):
        await client().execute_query(
            "INSERT INTO memory_records (memory_id, agent_id, tenant_id, source_type, content_text, content_hash)"
            " VALUES ($1, 'a', 'acme', 'document', 'x', md5('x'))",
            [chosen],
        )
    (row,) = await coordinator.fetch("SELECT memory_id FROM memory_records")
    assert str(row["memory_id"]) != chosen


BECOMING_ANOTHER = [
    "SET LOCAL memory_guild.tenant_id = 'bolt'",
    "DO 'BEGIN SET LOCAL citus.propagate_set_commands = ''local''; SET LOCAL memory_guild.tenant_id = ''bolt''; END'",
    "SELECT set_config('memory_guild.tenant_id', 'bolt', true) FROM data_sources",
    "SELECT set_config(concat('memory_guild.tenant_id', left(max(tenant_id), 0)), 'bolt', true) FROM memory_records",
]


@pytest.mark.parametrize("statement", BECOMING_ANOTHER)
async def test_no_statement_becomes_another_tenant_in_a_sealed_schema(
    request: pytest.FixtureRequest, database: str, statement: str
) -> None:
    if "open-" in request.node.name or "[open" in request.node.name:
        pytest.skip("it can, where nothing is sealed")
    async with tenant_scope("bolt", agent_id="b"):
        await guild.remember("a secret of bolt", source_type="document")
    async with tenant_scope("acme", agent_id="a"):
        await guild.remember("something of acme", source_type="document")
        await client().execute_query(statement)
        rows = await client().execute_query_dict("SELECT content_text FROM memory_records")
        assert "a secret of bolt" not in {row["content_text"] for row in rows}


async def test_no_worker_tells_more_in_a_sealed_schema(request: pytest.FixtureRequest, database: str, url: str) -> None:
    """Every role may send a worker any statement."""
    if "[open" in request.node.name:
        pytest.skip("it does, where nothing is sealed")
    async with tenant_scope("bolt", agent_id="b"):
        await guild.remember("a secret of bolt", source_type="document")
    schema = citus.schema_of(url)
    async with tenant_scope("acme", agent_id="a"):
        for told in (
            "SELECT string_agg(content_text, '') FROM %s",
            "SELECT set_config('memory_guild.tenant_id', 'bolt', false)",
            "SELECT string_agg(content_text, '') FROM %s",
            "SELECT string_agg(content_text, set_config('memory_guild.tenant_id', 'bolt', false)) FROM %s",
        ):
            rows = await client().execute_query_dict(
                "SELECT result FROM run_command_on_shards($1::text::regclass, $2)", [f"{schema}.memory_records", told]
            )
            assert "secret" not in str([dict(row) for row in rows])
        rows = await client().execute_query_dict(
            f"SELECT result FROM run_command_on_shards('{schema}.memory_guild_seal', 'SELECT inner_key FROM %s')"
        )
        assert "permission denied" in str([dict(row) for row in rows])


async def test_a_worker_that_goes_is_an_error_of_ours(
    database: str, coordinator: asyncpg.Connection[asyncpg.Record]
) -> None:
    with pytest.raises(MemoryGuildError) as caught:
        async with tenant_scope("acme", agent_id="a"):
            await guild.remember("half", source_type="document")
            await coordinator.execute(
                "SELECT run_command_on_workers($$SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE usename = 'memory_guild_app' AND pid <> pg_backend_pid()$$)"
            )
            await guild.remember("whole", source_type="document")
    assert isinstance(caught.value, ServerUnreachableError)
    assert await coordinator.fetchval("SELECT count(*) FROM memory_records") == 0
    async with tenant_scope("acme", agent_id="a"):
        await guild.remember("again", source_type="document")


async def test_the_audit_says_who(database: str, coordinator: asyncpg.Connection[asyncpg.Record]) -> None:
    async with guild.admin_scope("a test"):
        await guild.sources.register("wiki", source_type="api")
    logins = await coordinator.fetch("SELECT DISTINCT login FROM memory_audit WHERE event = 'source_registered'")
    assert [row["login"] for row in logins] == [await coordinator.fetchval("SELECT session_user")]
    await coordinator.execute("DELETE FROM data_sources")
