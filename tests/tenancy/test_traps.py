"""The known traps of tenant isolation on PostgreSQL: that each is really there, and that none of them catches us."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.errors import TenantMismatchError, TenantNotSetError, UnknownMemoryError
from memory_guild.models import MemoryEmbedding, MemoryRelationship
from memory_guild.schema.validation import validate
from memory_guild.tenancy import tenant_scope
from tests.databases import copied_database
from tests.tenancy.logins import connected, login
from tests.tenancy.two_tenants import ACME_1, ACME_3, BOLT_1, MISSING, ROLES, ROWS, acting_as, everything

if TYPE_CHECKING:
    from tests.tenancy.logins import Connection

SETTING = "SELECT current_setting('memory_guild.tenant_id', true)"
NEW_MEMORY = (
    "INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash)"
    " VALUES ('agent-1', '{}', 'document', 'new', md5('new'))"
)
NEW_EDGE = (
    "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type)"
    f" VALUES ('{ACME_1}', '{{}}', 'related')"
)

NEW_EMBEDDING = "INSERT INTO memory_embeddings (memory_id, vector_id, embedding_model) VALUES ('{}', 'v', 'm')"


@pytest.fixture(scope="module")
def shared_url(server_url: str, template: str) -> Iterator[str]:
    """A database with two tenants, for the tests that undo what they do."""
    with copied_database(server_url, template, ROWS) as url:
        yield url


@pytest.fixture
async def tortoise(shared_url: str) -> AsyncIterator[str]:
    """Tortoise, connected to that database by one connection; its URL."""
    async with connect(shared_url):
        yield shared_url


# --- the setting ------------------------------------------------------------------------------------------------


async def test_the_setting_reads_empty_after_the_first_transaction(shared_url: str) -> None:
    """Not NULL: without NULLIF the policies would look for a tenant whose name is empty."""
    async with connected(shared_url) as connection:
        before = await connection.fetchval(SETTING)
        await connection.execute("BEGIN; SET LOCAL memory_guild.tenant_id = 'acme'; COMMIT")
        after = await connection.fetchval(SETTING)

    assert (before, after) == (None, "")


@pytest.mark.parametrize("owner", ["", "ALTER TABLE memory_records OWNER TO memory_guild_app;"], ids=["app", "owner"])
@pytest.mark.parametrize("setting", ["", "SET LOCAL memory_guild.tenant_id = '';"], ids=["never set", "empty"])
async def test_no_tenant_is_no_row(shared_url: str, owner: str, setting: str) -> None:
    """Not even the rows of a tenant whose name is empty, which no CHECK forbids."""
    async with acting_as("superuser", shared_url) as connection:
        await connection.execute(f"{NEW_MEMORY.format('')}; {owner} {setting} SET LOCAL ROLE memory_guild_app")

        assert list((await everything(connection)).values()) == [[], [], []]
        assert await connection.execute("UPDATE memory_records SET is_deleted = true") == "UPDATE 0"
        assert await connection.execute("DELETE FROM memory_records") == "DELETE 0"


@pytest.mark.parametrize("role", ["app", "owner"])
@pytest.mark.parametrize(
    ("write", "sqlstate"),
    [
        (NEW_MEMORY.format(""), "MG003"),
        (NEW_MEMORY.format("acme"), "MG003"),
        (NEW_EDGE.format(ACME_3), "23503"),
        (
            f"INSERT INTO memory_embeddings (memory_id, vector_id, embedding_model) VALUES ('{ACME_1}', 'v', 'm')",
            "23503",
        ),
    ],
    ids=["memory of nobody", "memory of a tenant", "edge", "embedding"],
)
async def test_no_tenant_writes_nothing(shared_url: str, role: str, write: str, sqlstate: str) -> None:
    async with acting_as(role, shared_url) as writer:
        await writer.execute("SET LOCAL memory_guild.tenant_id = ''")
        with pytest.raises(asyncpg.PostgresError) as refused:
            await writer.execute(write)

    assert refused.value.sqlstate == sqlstate


async def test_no_tenant_is_our_error_through_the_client(shared_url: str) -> None:
    async with login(shared_url) as url, connect(url):
        with pytest.raises(TenantNotSetError):
            await client().execute_query(NEW_MEMORY.format("acme"))


async def test_a_setting_survives_the_savepoint_that_made_it(tortoise: str) -> None:
    """Why another tenant does not nest: after the inner scope, the outer one would be the inner one's tenant."""
    async with connected(tortoise) as connection:
        await connection.execute("BEGIN; SET LOCAL memory_guild.tenant_id = 'acme'; SAVEPOINT inner_scope")
        await connection.execute("SELECT set_config('memory_guild.tenant_id', 'bolt', true); RELEASE inner_scope")
        assert await connection.fetchval(SETTING) == "bolt"

    async with tenant_scope("acme") as outer:
        with pytest.raises(TenantMismatchError):
            async with tenant_scope("bolt"):
                pytest.fail("another tenant's scope began")
        async with tenant_scope("acme"):
            pass
        assert await outer.transaction._connection.fetchval(SETTING) == "acme"


# --- foreign keys -----------------------------------------------------------------------------------------------


async def test_a_foreign_key_alone_accepts_a_strangers_memory(shared_url: str) -> None:
    async with acting_as("superuser", shared_url) as connection:
        await connection.execute(
            "ALTER POLICY tenant_isolation ON memory_relationships WITH CHECK (true);"
            "SET LOCAL ROLE memory_guild_app; SET LOCAL memory_guild.tenant_id = 'acme'"
        )
        assert await connection.fetchval(f"SELECT count(*) FROM memory_records WHERE memory_id = '{BOLT_1}'") == 0

        assert await connection.execute(NEW_EDGE.format(BOLT_1)) == "INSERT 0 1"


@pytest.mark.parametrize("role", ["app", "owner"])
@pytest.mark.parametrize("insert", [NEW_EDGE, NEW_EMBEDDING], ids=["edge", "embedding"])
async def test_a_strangers_memory_and_a_missing_one_are_one_error(shared_url: str, role: str, insert: str) -> None:
    errors = []
    for memory_id in (BOLT_1, MISSING):
        async with acting_as(role, shared_url, "acme") as writer:
            with pytest.raises(asyncpg.PostgresError) as refused:
                await writer.execute(insert.format(memory_id))
        errors.append(refused.value.as_dict())

    assert errors[0] == errors[1]
    assert errors[0]["constraint_name"] == "tenant_isolation"


CREATES: list[Any] = [
    lambda to: MemoryRelationship.create(source_memory_id=ACME_1, target_memory_id=to, relationship_type="related"),
    lambda to: MemoryRelationship.create(source_memory_id=to, target_memory_id=ACME_1, relationship_type="related"),
    lambda to: MemoryEmbedding.create(memory_id=to, vector_id="v", embedding_model="m"),
]


@pytest.mark.parametrize("create", CREATES, ids=["edge to", "edge from", "embedding of"])
async def test_a_strangers_memory_and_a_missing_one_are_one_error_in_the_models(tortoise: str, create: Any) -> None:
    errors = []
    for memory_id in (BOLT_1, MISSING):
        with pytest.raises(UnknownMemoryError) as refused:
            async with tenant_scope("acme"):
                await create(memory_id)
        errors.append((str(refused.value), vars(refused.value)))

    assert errors[0] == errors[1]


# --- writing much -----------------------------------------------------------------------------------------------

MEMORY_AND_EMBEDDING = f"""
WITH memory AS ({NEW_MEMORY.format("acme")} RETURNING memory_id)
INSERT INTO memory_embeddings (memory_id, vector_id, embedding_model) SELECT memory_id, 'v', 'm' FROM memory
"""


async def test_one_statement_cannot_see_the_memory_that_it_inserts(shared_url: str) -> None:
    async with acting_as("superuser", shared_url) as superuser:  # the statement itself is fine
        assert await superuser.execute(MEMORY_AND_EMBEDDING) == "INSERT 0 1"

    async with acting_as("app", shared_url, "acme") as app:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await app.execute(MEMORY_AND_EMBEDDING)


async def test_two_statements_store_a_memory_and_its_embedding(shared_url: str) -> None:
    async with acting_as("app", shared_url, "acme") as app:
        memory_id = await app.fetchval(NEW_MEMORY.format("acme") + " RETURNING memory_id")
        insert = "INSERT INTO memory_embeddings (memory_id, vector_id, embedding_model) VALUES ($1, 'v', 'm')"
        assert await app.execute(insert, memory_id) == "INSERT 0 1"


COLUMNS = ("agent_id", "tenant_id", "source_type", "content_text", "content_hash")
MANY = [("agent-1", "acme", "document", f"text {number}", str(number)) for number in range(100)]


@pytest.mark.parametrize("role", ["app", "admin", "owner"])
async def test_copy_is_refused(shared_url: str, role: str) -> None:
    async with acting_as(role, shared_url, "acme") as writer:
        with pytest.raises(asyncpg.FeatureNotSupportedError, match="COPY FROM not supported with row-level security"):
            await writer.copy_records_to_table("memory_records", records=MANY, columns=COLUMNS)


@pytest.mark.parametrize("tenant_id", ["acme", "bolt"])
async def test_many_rows_through_a_temporary_table(shared_url: str, tenant_id: str) -> None:
    names = ", ".join(COLUMNS)
    async with acting_as("app", shared_url, tenant_id) as app:
        await app.execute(f"CREATE TEMP TABLE staged ON COMMIT DROP AS SELECT {names} FROM memory_records WITH NO DATA")
        await app.copy_records_to_table("staged", records=MANY, columns=COLUMNS)
        insert = f"INSERT INTO memory_records ({names}) SELECT {names} FROM staged"
        await _only_for_acme(app, tenant_id, insert)


@pytest.mark.parametrize("tenant_id", ["acme", "bolt"])
async def test_many_rows_through_unnest(shared_url: str, tenant_id: str) -> None:
    insert = f"INSERT INTO memory_records ({', '.join(COLUMNS)}) SELECT * FROM unnest($1::text[], $2, $3, $4, $5)"
    insert = insert.replace("$2, $3, $4, $5", ", ".join(f"${number}::text[]" for number in range(2, 6)))
    async with acting_as("app", shared_url, tenant_id) as app:
        await _only_for_acme(app, tenant_id, insert, *(list(column) for column in zip(*MANY, strict=True)))


async def _only_for_acme(app: Connection, tenant_id: str, insert: str, *columns: list[str]) -> None:
    if tenant_id == "acme":
        assert await app.execute(insert, *columns) == "INSERT 0 100"
        return
    with pytest.raises(asyncpg.PostgresError) as refused:
        await app.execute(insert, *columns)
    assert refused.value.sqlstate == "MG002"


# --- roles ------------------------------------------------------------------------------------------------------


async def test_a_superuser_bypasses_the_policies_but_its_scope_does_not(tortoise: str) -> None:
    who = "SELECT session_user AS login, current_user AS role, row_security_active('memory_records') AS active"
    async with acting_as("superuser", tortoise, "acme") as superuser:
        assert len((await everything(superuser))["memory_records"]) == 5

    async with tenant_scope("acme"):
        (found,) = await client().execute_query_dict(who)
        assert found["login"] != found["role"] == "memory_guild_app"
        assert found["active"]
        assert len(await client().execute_query_dict("SELECT FROM memory_records")) == 3
    assert (await client().execute_query_dict("SELECT current_user = session_user AS same")) == [{"same": True}]


async def test_an_owners_update_touches_no_row_and_says_nothing(shared_url: str) -> None:
    async with acting_as("owner", shared_url) as owner:
        assert await owner.execute("UPDATE memory_records SET is_deleted = true") == "UPDATE 0"

        await owner.execute("SET LOCAL row_security = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="would be affected by row-level security"):
            await owner.execute("UPDATE memory_records SET is_deleted = true")


@pytest.mark.parametrize("role", ROLES)
async def test_who_may_touch_every_row_still_may_with_row_security_off(shared_url: str, role: str) -> None:
    async with acting_as(role, shared_url, "acme") as writer:
        await writer.execute("SET LOCAL row_security = off")
        if role in ("superuser", "bypass"):
            assert await writer.execute("UPDATE memory_records SET is_deleted = true") == "UPDATE 5"
            return
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await writer.execute("UPDATE memory_records SET is_deleted = true")


# --- the catalog ------------------------------------------------------------------------------------------------


async def test_no_constraint_trigger(database_url: str, connection: Connection) -> None:
    """It would be a row in pg_constraint, and the constraints must be the specification's."""
    triggers = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'memory_records'::regclass AND NOT tgisinternal"
    assert await connection.fetchval(triggers) == 3
    assert await connection.fetchval("SELECT count(*) FROM pg_constraint WHERE contype = 't'") == 0
    assert (await validate(database_url)).differences == ()

    await connection.execute(
        "CREATE CONSTRAINT TRIGGER guard AFTER UPDATE ON memory_records"
        " FOR EACH ROW EXECUTE FUNCTION memory_guild_identity_guard()"
    )
    assert ("constraint", "guard") in {(one.kind, one.name) for one in (await validate(database_url)).differences}
