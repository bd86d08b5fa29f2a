"""What the guards refuse, for every kind of role and past every check of the models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from memory_guild.database.engine import client
from memory_guild.errors import IdentityError, PermissionDeniedError
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import tenant_scope
from tests.databases import copied_database, run_statement
from tests.tenancy.logins import connected
from tests.tenancy.two_tenants import (
    ACME_1,
    ACME_2,
    ACME_3,
    BOLT_1,
    BOLT_2,
    MISSING,
    ROLES,
    ROWS,
    acting_as,
    everything,
)

if TYPE_CHECKING:
    pass

IDENTITY, FOREIGN_KEY, PERMISSION, NOT_SUPPORTED = "23001", "23503", "42501", "0A000"
EDGE = "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type)"
MOVE_EDGE = "UPDATE memory_relationships"
EMBEDDING = "INSERT INTO memory_embeddings (memory_id, vector_id, embedding_model)"


@pytest.fixture(scope="module")
def shared_url(server_url: str, template: str) -> Iterator[str]:
    """A database with two tenants, for the tests that undo what they do."""
    with copied_database(server_url, template, ROWS) as url:
        yield url


@pytest.fixture
async def tenants(database: str) -> str:
    """A database of the test's own with two tenants, Tortoise connected to it; its URL."""
    await run_statement(database, ROWS)
    return database


IDENTITY_CHANGES = [
    f"UPDATE memory_records SET tenant_id = 'bolt' WHERE memory_id = '{ACME_1}'",
    f"UPDATE memory_records SET tenant_id = 'nobody', updated_at = now() WHERE memory_id = '{ACME_1}'",
    "UPDATE memory_records SET tenant_id = 'nobody' WHERE tenant_id = 'acme'",
    f"MERGE INTO memory_records m USING (SELECT 1) one ON m.memory_id = '{ACME_1}'"
    " WHEN MATCHED THEN UPDATE SET tenant_id = 'bolt'",
]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("change", IDENTITY_CHANGES)
async def test_a_memory_keeps_its_tenant(shared_url: str, role: str, change: str) -> None:
    async with acting_as(role, shared_url, "acme") as writer:
        with pytest.raises(asyncpg.PostgresError) as refused:
            await writer.execute(change)

    assert refused.value.sqlstate == IDENTITY
    assert refused.value.constraint_name == "memory_guild_identity_guard"
    assert refused.value.table_name == "memory_records"


@pytest.mark.parametrize("role", ROLES)
async def test_a_memory_keeps_its_id(shared_url: str, role: str) -> None:
    async with acting_as(role, shared_url, "acme") as writer:
        with pytest.raises(asyncpg.PostgresError) as refused:
            await writer.execute(f"UPDATE memory_records SET memory_id = '{MISSING}' WHERE memory_id = '{ACME_3}'")

    assert refused.value.sqlstate == (PERMISSION if role == "app" else IDENTITY)


async def test_an_upsert_cannot_change_the_tenant(shared_url: str) -> None:
    upsert = (
        "INSERT INTO memory_records (memory_id, agent_id, tenant_id, source_type, content_text, content_hash)"
        f" SELECT memory_id, agent_id, 'bolt', source_type, content_text, 'x' FROM memory_records"
        f" WHERE memory_id = '{ACME_1}' ON CONFLICT (memory_id) DO UPDATE SET tenant_id = EXCLUDED.tenant_id"
    )
    async with acting_as("superuser", shared_url) as writer:
        with pytest.raises(asyncpg.RestrictViolationError):
            await writer.execute(upsert)


# Each would join two tenants, or reach another one's memory, or none.
EDGE_WRITES = {
    "to another tenant": f"{EDGE} VALUES ('{ACME_1}', '{BOLT_1}', 'related')",
    "from another tenant": f"{EDGE} VALUES ('{BOLT_1}', '{ACME_1}', 'related')",
    "within another tenant": f"{EDGE} VALUES ('{BOLT_2}', '{BOLT_1}', 'related')",
    "to a missing memory": f"{EDGE} VALUES ('{ACME_1}', '{MISSING}', 'related')",
    "one of many": f"{EDGE} VALUES ('{ACME_1}', '{ACME_3}', 'related'), ('{ACME_2}', '{BOLT_1}', 'related'),"
    f" ('{ACME_2}', '{ACME_3}', 'related')",
    "in bulk": f"{EDGE} SELECT id::uuid, '{BOLT_2}', 'related' FROM unnest(ARRAY['{ACME_1}', '{ACME_2}']) AS id",
    "target updated": f"{MOVE_EDGE} SET target_memory_id = '{BOLT_1}' WHERE source_memory_id = '{ACME_1}'",
    "source updated": f"{MOVE_EDGE} SET source_memory_id = '{BOLT_1}' WHERE source_memory_id = '{ACME_1}'",
    "both updated": f"UPDATE memory_relationships SET source_memory_id = '{BOLT_2}', target_memory_id = '{BOLT_1}'"
    f" WHERE source_memory_id = '{ACME_1}'",
    "upsert": f"{EDGE} VALUES ('{ACME_1}', '{ACME_2}', 'supports') ON CONFLICT ON CONSTRAINT unique_relationship"
    f" DO UPDATE SET target_memory_id = '{BOLT_1}'",
    "merge": f"MERGE INTO memory_relationships r USING (SELECT 1) one ON r.source_memory_id = '{ACME_1}'"
    f" WHEN MATCHED THEN UPDATE SET target_memory_id = '{BOLT_1}'",
}
EMBEDDING_WRITES = {
    "of another tenant": f"{EMBEDDING} VALUES ('{BOLT_2}', 'v', 'small')",
    "of a missing memory": f"{EMBEDDING} VALUES ('{MISSING}', 'v', 'small')",
    "one of many": f"{EMBEDDING} VALUES ('{ACME_2}', 'v', 'small'), ('{BOLT_2}', 'v', 'small')",
    "in bulk": f"{EMBEDDING} SELECT id::uuid, 'v', 'large' FROM unnest(ARRAY['{ACME_1}', '{BOLT_2}']) AS id",
    "updated": f"UPDATE memory_embeddings SET memory_id = '{BOLT_2}' WHERE memory_id = '{ACME_1}'",
    "upsert": f"{EMBEDDING} VALUES ('{ACME_1}', 'v', 'small') ON CONFLICT ON CONSTRAINT unique_memory_embedding"
    f" DO UPDATE SET memory_id = '{BOLT_2}'",
    "merge": f"MERGE INTO memory_embeddings e USING (SELECT 1) one ON e.memory_id = '{ACME_1}'"
    f" WHEN MATCHED THEN UPDATE SET memory_id = '{BOLT_2}'",
}


TENANTS_ROLES = [role for role in ROLES if role != "admin"]  # a maintenance scope has no tenant


@pytest.mark.parametrize("role", TENANTS_ROLES)
@pytest.mark.parametrize("write", EDGE_WRITES.values(), ids=EDGE_WRITES)
async def test_an_edge_stays_in_the_scopes_tenant(shared_url: str, role: str, write: str) -> None:
    await _refused_by_the_guard(shared_url, role, write, "memory_relationships")


@pytest.mark.parametrize("role", TENANTS_ROLES)
@pytest.mark.parametrize("write", EMBEDDING_WRITES.values(), ids=EMBEDDING_WRITES)
async def test_an_embedding_stays_in_the_scopes_tenant(shared_url: str, role: str, write: str) -> None:
    await _refused_by_the_guard(shared_url, role, write, "memory_embeddings")


async def _refused_by_the_guard(shared_url: str, role: str, write: str, table: str) -> None:
    async with acting_as(role, shared_url, "acme") as writer:
        with pytest.raises(asyncpg.ForeignKeyViolationError) as refused:
            await writer.execute(write)

    assert refused.value.table_name == table


ACROSS = [name for name in EDGE_WRITES if name not in ("within another tenant", "both updated")]


@pytest.mark.parametrize("role", ["superuser", "bypass", "admin"])
@pytest.mark.parametrize("write", [EDGE_WRITES[name] for name in ACROSS], ids=ACROSS)
async def test_without_a_tenant_an_edge_still_stays_in_one(shared_url: str, role: str, write: str) -> None:
    async with acting_as(role, shared_url) as writer:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await writer.execute(write)


@pytest.mark.parametrize("role", ["superuser", "bypass", "admin"])
async def test_without_a_tenant_maintenance_writes_every_tenants_rows(shared_url: str, role: str) -> None:
    async with acting_as(role, shared_url) as writer:
        await writer.execute(f"{EDGE} VALUES ('{ACME_1}', '{ACME_3}', 'related'), ('{BOLT_2}', '{BOLT_1}', 'related')")
        await writer.execute(f"{EMBEDDING} VALUES ('{ACME_2}', 'v', 'small'), ('{BOLT_2}', 'v', 'small')")

        assert [len(rows) for rows in (await everything(writer)).values()] == [5, 4, 4]


@pytest.mark.parametrize("role", ROLES)
async def test_what_belongs_together_is_written(shared_url: str, role: str) -> None:
    """The guards would prove nothing if they refused everything."""
    async with acting_as(role, shared_url, "acme") as writer:
        await writer.execute(f"{EDGE} VALUES ('{ACME_1}', '{ACME_3}', 'related')")
        await writer.execute(f"{EMBEDDING} VALUES ('{ACME_2}', 'v', 'small')")
        moved = f"UPDATE memory_relationships SET target_memory_id = '{ACME_3}' WHERE target_memory_id = '{ACME_2}'"
        assert await writer.execute(moved) == "UPDATE 1"
        moved = f"UPDATE memory_embeddings SET memory_id = '{ACME_3}' WHERE memory_id = '{ACME_1}'"
        assert await writer.execute(moved) == "UPDATE 1"


COPIES: list[tuple[str, tuple[str, ...], list[tuple[Any, ...]]]] = [
    (
        "memory_relationships",
        ("source_memory_id", "target_memory_id", "relationship_type"),
        [(ACME_1, ACME_3, "related"), (ACME_1, BOLT_1, "related")],
    ),
    ("memory_embeddings", ("memory_id", "vector_id", "embedding_model"), [(ACME_2, "v", "m"), (BOLT_2, "v", "m")]),
]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("table", "columns", "rows"), COPIES, ids=[table for table, *_ in COPIES])
async def test_copy_is_refused_or_guarded(
    shared_url: str, role: str, table: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]
) -> None:
    async with acting_as(role, shared_url, "acme") as writer:
        with pytest.raises(asyncpg.PostgresError) as refused:
            await writer.copy_records_to_table(table, records=rows, columns=list(columns))

    assert refused.value.sqlstate == (FOREIGN_KEY if role in ("superuser", "bypass") else NOT_SUPPORTED)


CHANGES: list[tuple[Any, type[Exception]]] = [
    (lambda: MemoryRecord.filter(memory_id=ACME_3).update(tenant_id="bolt"), IdentityError),
    (lambda: client().execute_query(f"UPDATE memory_records SET memory_id = '{MISSING}'"), PermissionDeniedError),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES, ids=["tenant", "id"])
async def test_a_scope_names_the_refusal(tenants: str, change: Any, expected: type[Exception]) -> None:
    with pytest.raises(expected):
        async with tenant_scope("acme"):
            await change()


async def test_a_bulk_load_looks_each_memory_up_by_its_key(database_url: str) -> None:
    """Also where the plan was made while the tables were empty, and nothing has been analyzed since."""
    async with connected(database_url) as superuser:
        await superuser.execute(
            """
            ALTER TABLE memory_records SET (autovacuum_enabled = false);
            ALTER TABLE memory_relationships SET (autovacuum_enabled = false);
            INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash)
            SELECT 'a', 'acme', 'document', n::text, md5(n::text) FROM generate_series(1, 2) AS n;
            INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type)
            SELECT source.memory_id, target.memory_id, 'follows' FROM memory_records source, memory_records target
            WHERE source.content_text = '1' AND target.content_text = '2';
            INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash)
            SELECT 'a', 'acme', 'document', n::text, md5(n::text) FROM generate_series(3, 3000) AS n;
            """
        )
        read = "SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'memory_records'"
        load = (
            "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type)"
            " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[])"
        )
        ids = [row["memory_id"] for row in await superuser.fetch("SELECT memory_id FROM memory_records")]
        async with superuser.transaction():
            before = await superuser.fetchval(read)
            for start in range(0, 1000, 100):
                sources, targets = ids[start : start + 100], ids[start + 1000 : start + 1100]
                await superuser.execute(load, sources, targets, ["related"] * 100)
            assert await superuser.fetchval(read) == before
            embeddings = (
                "INSERT INTO memory_embeddings (memory_id, vector_id, embedding_model)"
                " SELECT memory_id, 'v', 'small' FROM unnest($1::uuid[]) AS memory_id"
            )
            await superuser.execute(embeddings, ids[:100])
            assert await superuser.fetchval(read) == before
