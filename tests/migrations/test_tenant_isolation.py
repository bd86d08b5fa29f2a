"""The migration of tenant isolation: up, down and up again, in any schema, and what of it is missed when it is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest
from aerich import Command

from memory_guild.database.connecting import connect, settings_for
from memory_guild.database.migrations import known_migrations, migrations_folder
from memory_guild.errors import MigrationsPendingError
from memory_guild.models import MemoryRecord
from memory_guild.schema.catalog import compare_catalog
from memory_guild.tenancy import tenant_scope
from memory_guild.schema.migrating import upgrade
from memory_guild.schema.validation import validate
from tests.databases import run_statement
from memory_guild.database.tortoise import separate_tortoise
from tests.tenancy.logins import connected
from tests.tenancy.two_tenants import ACME_1, ACME_2, BOLT_1, ROWS, acting_as

if TYPE_CHECKING:
    pass

ROLES = ("memory_guild_app", "memory_guild_admin")
ODD_SCHEMA = 'We"ird one'


async def _downgrade(database_url: str, schema: str | None = None) -> list[str]:
    """Take back all migrations but the first, as ``aerich downgrade -v 1`` does."""
    async with separate_tortoise():
        command = Command(
            settings_for(database_url, schema=schema).tortoise_config(), location=str(migrations_folder())
        )
        await command.init()
        return await command.downgrade(version=1, delete=False)


# --- up and down ------------------------------------------------------------------------------------------------

LEFT_BY_IT = """
WITH acl AS (
    SELECT relacl AS items FROM pg_class
    UNION ALL SELECT attacl FROM pg_attribute
    UNION ALL SELECT nspacl FROM pg_namespace
)
SELECT 'function' AS kind, count(*) FROM pg_proc WHERE proname LIKE 'memory_guild%'
UNION ALL SELECT 'trigger', count(*) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'policy', count(*) FROM pg_policy
UNION ALL SELECT 'row security', count(*) FROM pg_class WHERE relrowsecurity OR relforcerowsecurity
UNION ALL SELECT 'grant', count(*) FROM acl, aclexplode(items) WHERE grantee::regrole::text LIKE 'memory_guild%'
"""


@pytest.mark.parametrize("schema", [None, ODD_SCHEMA])
async def test_up_down_and_up_again(empty_database_url: str, schema: str | None) -> None:
    first, *others = known_migrations()
    assert await upgrade(empty_database_url, schema=schema) == [first, *others]
    assert (await validate(empty_database_url, schema=schema)).differences == ()

    assert await _downgrade(empty_database_url, schema) == others[::-1]
    async with connected(empty_database_url) as connection:
        assert {row["kind"]: row["count"] for row in await connection.fetch(LEFT_BY_IT)} == dict.fromkeys(
            ("function", "trigger", "policy", "row security", "grant"), 0
        )
        assert (await compare_catalog(connection, schema or "public")).differences == ()
    with pytest.raises(MigrationsPendingError):
        async with connect(empty_database_url, schema=schema):
            pytest.fail("connected")

    assert await upgrade(empty_database_url, schema=schema) == others
    assert (await validate(empty_database_url, schema=schema)).differences == ()
    assert await upgrade(empty_database_url, schema=schema) == []


async def test_rows_that_are_there_already_are_isolated(empty_database_url: str) -> None:
    await upgrade(empty_database_url)
    await run_statement(empty_database_url, ROWS)
    await _downgrade(empty_database_url)
    await upgrade(empty_database_url)

    async with connect(empty_database_url), tenant_scope("acme"):
        assert {str(memory.tenant_id) for memory in await MemoryRecord.all()} == {"acme"}
        assert await MemoryRecord.get_or_none(memory_id=BOLT_1) is None


async def test_two_schemas_of_one_database_are_strangers(empty_database_url: str) -> None:
    for schema in ("one", ODD_SCHEMA):
        await upgrade(empty_database_url, schema=schema)
    for schema in ("one", ODD_SCHEMA):
        async with connect(empty_database_url, schema=schema), tenant_scope("acme", agent_id="agent-1"):
            await MemoryRecord.create(source_type="document", content_text=f"in {schema}")
    for schema in ("one", ODD_SCHEMA):
        async with connect(empty_database_url, schema=schema), tenant_scope("acme"):
            assert [memory.content_text for memory in await MemoryRecord.all()] == [f"in {schema}"]


# --- search_path ------------------------------------------------------------------------------------------------

# A function or policy that followed the caller's search_path would find every memory in one tenant.
HOSTILE = f"""
CREATE SCHEMA hostile;
CREATE TABLE hostile.memory_records AS
    SELECT memory_id, 'acme' AS tenant_id FROM unnest('{{{ACME_1},{ACME_2},{BOLT_1}}}'::uuid[]) AS memory_id;
CREATE FUNCTION hostile.memory_guild_refuse_memory(text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION hostile.memory_guild_refuse_tenant() RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION hostile.current_setting(text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT 'acme' $$;
GRANT USAGE ON SCHEMA hostile TO PUBLIC;
GRANT SELECT ON hostile.memory_records TO PUBLIC;
"""
STRANGERS = {
    "edge": "INSERT INTO {schema}.memory_relationships (source_memory_id, target_memory_id, relationship_type)"
    f" VALUES ('{ACME_1}', '{BOLT_1}', 'related')",
    "embedding": "INSERT INTO {schema}.memory_embeddings (memory_id, vector_id, embedding_model)"
    f" VALUES ('{BOLT_1}', 'v', 'm')",
}
SCHEMAS = {"public": "public", "odd": '"We""ird one"'}


@pytest.fixture
async def hostile_url(empty_database_url: str) -> str:
    """A database with two tenants in each of two schemas, and a third schema that imitates them."""
    for name in ("public", ODD_SCHEMA):
        await upgrade(empty_database_url, schema=name)
    for schema in SCHEMAS.values():
        await run_statement(empty_database_url, f"SET search_path = {schema}; {ROWS}")
    await run_statement(empty_database_url, HOSTILE)
    return empty_database_url


@pytest.mark.parametrize("role", ["superuser", "app"])
async def test_a_hostile_search_path_changes_nothing(hostile_url: str, role: str) -> None:
    for (place, schema), (kind, write) in [(a, b) for a in SCHEMAS.items() for b in STRANGERS.items()]:
        async with acting_as(role, hostile_url, "acme") as connection:
            await connection.execute("SET search_path = hostile, pg_catalog")
            with pytest.raises(asyncpg.ForeignKeyViolationError) as refused:
                await connection.execute(write.format(schema=schema))
            assert refused.value.constraint_name == "tenant_isolation", (place, kind)


async def test_a_temporary_table_imitates_nothing(hostile_url: str) -> None:
    async with acting_as("app", hostile_url, "acme") as connection:
        await connection.execute("CREATE TEMP TABLE memory_records AS SELECT * FROM hostile.memory_records")
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await connection.execute(STRANGERS["edge"].format(schema="public"))


# --- what validate notices --------------------------------------------------------------------------------------

FUNCTION = "CREATE OR REPLACE FUNCTION {} LANGUAGE plpgsql AS 'BEGIN RETURN {}; END'"
CHANGES = {
    "trigger disabled": (
        "ALTER TABLE memory_records DISABLE TRIGGER memory_guild_identity_guard",
        ("different", "trigger", "memory_records", "memory_guild_identity_guard"),
    ),
    "trigger dropped": (
        "DROP TRIGGER memory_guild_touch ON memory_access_policies",
        ("missing", "trigger", "memory_access_policies", "memory_guild_touch"),
    ),
    "policy dropped": (
        "DROP POLICY tenant_isolation ON memory_embeddings",
        ("missing", "policy", "memory_embeddings", "tenant_isolation"),
    ),
    "policy lets everybody in": (
        "ALTER POLICY tenant_isolation ON memory_records USING (true)",
        ("different", "policy", "memory_records", "tenant_isolation"),
    ),
    "policy accepts everything": (
        "ALTER POLICY tenant_isolation ON memory_relationships WITH CHECK (true)",
        ("different", "policy", "memory_relationships", "tenant_isolation"),
    ),
    "policy added": (
        "CREATE POLICY everybody ON memory_records USING (true)",
        ("unexpected", "policy", "memory_records", "everybody"),
    ),
    "not forced": (
        "ALTER TABLE memory_records NO FORCE ROW LEVEL SECURITY",
        ("different", "row security", "memory_records", "memory_records"),
    ),
    "disabled": (
        "ALTER TABLE memory_relationships DISABLE ROW LEVEL SECURITY",
        ("different", "row security", "memory_relationships", "memory_relationships"),
    ),
    "function that refuses no more": (
        FUNCTION.format("memory_guild_refuse_memory(refused_by TEXT) RETURNS BOOLEAN", "true"),
        ("different", "function", "", "memory_guild_refuse_memory(refused_by text)"),
    ),
    "guard that does nothing": (
        FUNCTION.format("memory_guild_edge_guard() RETURNS trigger", "NULL"),
        ("different", "function", "", "memory_guild_edge_guard()"),
    ),
    "grant revoked": (
        "REVOKE DELETE ON memory_records FROM memory_guild_app",
        ("missing", "grant", "memory_records", "DELETE TO memory_guild_app"),
    ),
    "grant of a column revoked": (
        "REVOKE INSERT (metadata) ON memory_records FROM memory_guild_app",
        ("missing", "grant", "memory_records", "INSERT (metadata) TO memory_guild_app"),
    ),
    "choice of ids granted": (
        "GRANT INSERT (memory_id) ON memory_records TO memory_guild_app",
        ("unexpected", "grant", "memory_records", "INSERT (memory_id) TO memory_guild_app"),
    ),
    "catalogue made writable": (
        "GRANT UPDATE ON data_sources TO memory_guild_app",
        ("unexpected", "grant", "data_sources", "UPDATE TO memory_guild_app"),
    ),
}


@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES)
async def test_validate_notices(database_url: str, change: str, expected: tuple[str, ...]) -> None:
    await run_statement(database_url, change)

    assert [(one.problem, one.kind, one.table, one.name) for one in (await validate(database_url)).differences] == [expected]
