"""What the grants refuse, what the maintenance role may, and the updated_at that the database keeps."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import pytest

from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.errors import PermissionDeniedError, TenantNotSetError
from memory_guild.models import DataSource, MemoryAccessPolicy, MemoryEmbedding, MemoryRecord, MemoryRelationship
from memory_guild.tenancy import admin_scope, tenant_scope
from tests.databases import copied_database, run_statement
from tests.tenancy.logins import MAINTAINER, connected, login, owner
from tests.tenancy.two_tenants import ACME_1, ACME_3, BOLT_1, MISSING, ROWS, acting_as, everything

if TYPE_CHECKING:
    from tests.tenancy.logins import Connection


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


# --- updated_at -------------------------------------------------------------------------------------------------

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def memory(tenants: str) -> AsyncIterator[MemoryRecord]:
    """A memory whose updated_at is long ago, in its tenant's scope."""
    async with tenant_scope("acme"):
        yield await MemoryRecord.get(memory_id=ACME_3)


async def _times(memory_id: Any) -> tuple[datetime, datetime]:
    query = "SELECT updated_at, now() AS now FROM memory_records WHERE memory_id = $1"
    (row,) = await client().execute_query_dict(query, [memory_id])
    return row["updated_at"], row["now"]


async def _save(memory: MemoryRecord) -> None:
    memory.content_text = "changed"
    await memory.save()


async def _save_one_column(memory: MemoryRecord) -> None:
    memory.content_text = "changed"
    await memory.save(update_fields=["content_text"])


async def _update(memory: MemoryRecord) -> None:
    await MemoryRecord.filter(memory_id=memory.memory_id).update(is_deleted=True)


async def _bulk_update(memory: MemoryRecord) -> None:
    memory.content_text = "changed"
    await MemoryRecord.bulk_update([memory], ["content_text"])


async def _raw(memory: MemoryRecord) -> None:
    await client().execute_query("UPDATE memory_records SET metadata = '{}' WHERE memory_id = $1", [memory.memory_id])


@pytest.mark.parametrize("change", [_save, _save_one_column, _update, _bulk_update, _raw])
async def test_updated_at_is_kept_by_the_database(memory: MemoryRecord, change: Any) -> None:
    assert memory.updated_at == LONG_AGO

    await change(memory)

    updated_at, now = await _times(memory.memory_id)
    assert updated_at == now


async def _set_and_save(memory: MemoryRecord) -> None:
    memory.updated_at = NOON
    await memory.save()


async def _set_by_update(memory: MemoryRecord) -> None:
    await MemoryRecord.filter(memory_id=memory.memory_id).update(is_deleted=True, updated_at=NOON)


async def _set_by_sql(memory: MemoryRecord) -> None:
    await client().execute_query(
        "UPDATE memory_records SET updated_at = $2 WHERE memory_id = $1", [memory.memory_id, NOON]
    )


@pytest.mark.parametrize("change", [_set_and_save, _set_by_update, _set_by_sql])
async def test_updated_at_that_the_statement_sets_is_left(memory: MemoryRecord, change: Any) -> None:
    await change(memory)

    assert (await _times(memory.memory_id))[0] == NOON


async def test_updated_at_of_a_policy(tenants: str) -> None:
    async with admin_scope("the test of updated_at"):
        policy = await MemoryAccessPolicy.get(policy_name="readers")
        await MemoryAccessPolicy.filter(policy_id=policy.policy_id).update(updated_at=LONG_AGO)
        await MemoryAccessPolicy.filter(policy_id=policy.policy_id).update(is_active=False)
        await policy.refresh_from_db()

    assert policy.updated_at is not None
    assert datetime.now(UTC) - policy.updated_at < timedelta(minutes=1)


# --- grants -----------------------------------------------------------------------------------------------------

STRANGERS, OWN, NOBODYS = UUID(BOLT_1), UUID(ACME_1), UUID(MISSING)
CHOSEN: dict[str, Any] = {
    "memory": lambda chosen: MemoryRecord.create(
        memory_id=chosen, agent_id="agent-1", source_type="document", content_text="new"
    ),
    "embedding": lambda chosen: MemoryEmbedding.create(
        embedding_id=chosen, memory_id=OWN, vector_id="v", embedding_model="large"
    ),
    "edge": lambda chosen: MemoryRelationship.create(
        relationship_id=chosen, source_memory_id=OWN, target_memory_id=ACME_3, relationship_type="related"
    ),
}


@pytest.mark.parametrize("create", CHOSEN.values(), ids=CHOSEN)
async def test_choosing_an_id_tells_nothing(tenants: str, create: Any) -> None:
    """The same refusal whether the id is a stranger's, the tenant's own or nobody's."""
    refusals = set()
    for chosen in (STRANGERS, OWN, NOBODYS):
        with pytest.raises(PermissionDeniedError) as refused:
            async with tenant_scope("acme"):
                await create(chosen)
        refusals.add(str(refused.value))

    assert len(refusals) == 1


async def test_an_unchanged_tenant_can_be_saved(memory: MemoryRecord) -> None:
    await memory.save(update_fields=["tenant_id", "agent_id"])

    assert (await MemoryRecord.get(memory_id=memory.memory_id)).tenant_id == "acme"


@pytest.mark.parametrize("table", ["memory_records", "memory_embeddings", "memory_relationships", "data_sources"])
@pytest.mark.parametrize("role", ["app", "admin"])
async def test_truncate_is_refused(shared_url: str, role: str, table: str) -> None:
    async with acting_as(role, shared_url, "acme") as writer:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await writer.execute(f"TRUNCATE {table} CASCADE")


@pytest.mark.parametrize("owned_by", ["superuser", "owner"])
async def test_deleting_a_memory_takes_its_edges_and_embeddings_along(
    tenants: str, connection: Connection, owned_by: str
) -> None:
    """Cascades run as the tables' owner, who is under the policies too."""
    async with owner(tenants) if owned_by == "owner" else connected(tenants):
        async with tenant_scope("acme"):
            await MemoryRelationship.create(
                source_memory_id=ACME_3, target_memory_id=ACME_1, relationship_type="follows"
            )
            await (await MemoryRecord.get(memory_id=ACME_1)).delete()
            left = [await model.all().count() for model in (MemoryRecord, MemoryEmbedding, MemoryRelationship)]

        assert left == [2, 0, 0]
        assert [len(rows) for rows in (await everything(connection)).values()] == [4, 1, 1]


CATALOGUE_WRITES: dict[str, Any] = {
    "source created": lambda: DataSource.create(source_name="feed", source_type="api"),
    "source updated": lambda: DataSource.filter(source_name="wiki").update(is_active=False),
    "source deleted": lambda: DataSource.filter(source_name="wiki").delete(),
    "policy created": lambda: MemoryAccessPolicy.create(policy_name="writers", policy_rules={}),
    "policy updated": lambda: MemoryAccessPolicy.filter(policy_name="readers").update(is_active=False),
    "policy deleted": lambda: MemoryAccessPolicy.filter(policy_name="readers").delete(),
}


@pytest.mark.parametrize("write", CATALOGUE_WRITES.values(), ids=CATALOGUE_WRITES)
async def test_the_catalogues_are_read_only_in_a_tenants_scope(
    tenants: str, connection: Connection, write: Any
) -> None:
    catalogues = "SELECT source_name, is_active FROM data_sources UNION SELECT policy_name, is_active" + (
        " FROM memory_access_policies ORDER BY 1"
    )
    before = await connection.fetch(catalogues)
    async with tenant_scope("acme"):
        assert await DataSource.all().count() == await MemoryAccessPolicy.all().count() == 1
    with pytest.raises(PermissionDeniedError):
        async with tenant_scope("acme"):
            await write()
    assert await connection.fetch(catalogues) == before

    async with admin_scope("the test of the catalogues"):
        await write()
    assert await connection.fetch(catalogues) != before


# --- the maintenance role ---------------------------------------------------------------------------------------

UNSEEN = [
    f"{verb} {table}{change}"
    for (verb, change), table in itertools.product(
        [("DELETE FROM", ""), ("SELECT FROM", ""), ("SELECT FROM", " FOR UPDATE")],
        ["memory_records", "memory_embeddings", "memory_relationships"],
    )
] + ["UPDATE memory_records SET is_deleted = true"]


@pytest.mark.parametrize("statement", UNSEEN)
async def test_a_login_that_inherits_from_the_maintenance_role_sees_nothing(shared_url: str, statement: str) -> None:
    async with login(shared_url, MAINTAINER) as url, connected(url) as connection:
        assert (await connection.execute(statement)).endswith(" 0")


async def test_a_login_that_inherits_from_the_maintenance_role_writes_nothing(tenants: str) -> None:
    async with login(tenants, MAINTAINER) as url, connect(url):
        insert = (
            "INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash)"
            " VALUES ('a', 'acme', 'document', 'new', 'x')"
        )
        with pytest.raises(TenantNotSetError):
            await client().execute_query(insert)
        async with admin_scope("the test of inheritance"):
            await client().execute_query(insert)
            assert await MemoryRecord.all().count() == 6
