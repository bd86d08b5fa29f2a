"""The schema of a group: how it is made, compared, and kept quick."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from aerich import Command

import memory_guild as guild
from memory_guild.database.connecting import settings_for
from memory_guild.database.migrations import known_migrations, migrations_folder
from memory_guild.database.tortoise import separate_tortoise
from memory_guild.testing.databases import run_statement
from tests import citus

FOLDER = migrations_folder() / "citus"


@pytest.fixture
def url(server_url: str) -> Iterator[str]:
    """A migrated schema of the test's own."""
    with citus.new_schema() as url:
        yield url


@pytest.fixture
async def coordinator(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


async def test_all_tables_are_on_one_worker(url: str, coordinator: asyncpg.Connection[asyncpg.Record]) -> None:
    places = await coordinator.fetch(
        "SELECT DISTINCT relname, nodename, nodeport FROM citus_shards INNER JOIN pg_class ON pg_class.oid = table_name"
        " WHERE relnamespace = to_regnamespace($1)",
        citus.schema_of(url),
    )

    assert {row["relname"] for row in places} >= {"memory_records", "data_sources", "aerich"}
    assert len({(row["nodename"], row["nodeport"]) for row in places}) == 1


async def test_upgrade_again_changes_nothing(url: str) -> None:
    assert await guild.upgrade(url) == []
    assert (await guild.schema.validate(url)).differences == ()


async def test_doctor_finds_nothing_broken(url: str) -> None:
    found = await guild.schema.doctor(url)

    assert [finding for finding in found if finding.level == "broken"] == []
    assert [finding.level for finding in found if finding.subject == "policies of the shards"] == ["ok"]


async def test_a_difference_is_found(url: str, coordinator: asyncpg.Connection[asyncpg.Record]) -> None:
    await coordinator.execute("ALTER TABLE memory_records ALTER COLUMN metadata DROP DEFAULT")
    await coordinator.execute("DROP POLICY tenant_isolation ON memory_relationships")

    differences = (await guild.schema.validate(url)).differences
    assert {(one.kind, one.name) for one in differences} == {("column", "metadata"), ("policy", "tenant_isolation")}


async def test_shards_get_quick_policies_back(url: str, coordinator: asyncpg.Connection[asyncpg.Record]) -> None:
    """As after a move: Citus makes the shard anew from the table."""
    await coordinator.execute(
        "ALTER POLICY tenant_isolation ON memory_relationships USING (memory_guild_sees(source_memory_id))"
    )
    found = {finding.subject: finding for finding in await guild.schema.doctor(url)}
    assert found["policies of the shards"].level == "notice"

    assert await guild.upgrade(url) == []
    found = {finding.subject: finding for finding in await guild.schema.doctor(url)}
    assert found["policies of the shards"].level == "ok"


async def test_sealed_and_unsealed(url: str) -> None:
    key = await guild.schema.seal(url)
    assert await guild.schema.seal(url) == key
    assert (await guild.schema.validate(url)).differences == ()
    await guild.schema.unseal(url)
    assert (await guild.schema.validate(url)).differences == ()


async def test_down_and_up_again(url: str, coordinator: asyncpg.Connection[asyncpg.Record]) -> None:
    first, *others = known_migrations("models", FOLDER)
    async with separate_tortoise():
        command = Command(settings_for(url).tortoise_config(), location=str(FOLDER))
        await command.init()
        assert await command.downgrade(version=1, delete=False) == others[::-1]
    functions = "SELECT count(*) FROM pg_proc WHERE pronamespace = to_regnamespace($1)"
    assert await coordinator.fetchval(functions, citus.schema_of(url)) == 0

    assert await guild.upgrade(url) == others
    assert (await guild.schema.validate(url)).differences == ()
    assert first.endswith("_create_memory_guild_tables.py")


async def test_a_schema_that_is_not_distributed_is_a_plain_one(server_url: str) -> None:
    name = "mg_test_plain"
    await run_statement(server_url, f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")
    try:
        async with guild.connect(citus.with_schema(name), check_schema=False) as database:
            assert database._pool.is_distributed is False
        async with guild.connect(citus.with_schema("mg_test_missing"), check_schema=False) as database:
            assert database._pool.is_distributed is True
    finally:
        await run_statement(server_url, f"DROP SCHEMA {name} CASCADE")
