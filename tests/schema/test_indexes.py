"""The indexes that an operator may add: recommended, created, listed by validate and dropped, by whoever may."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from memory_guild.errors import (
    DatabaseError,
    InvalidInputError,
    MigrationsPendingError,
    PermissionDeniedError,
    SchemaError,
    SettingsError,
)
from memory_guild.schema import indexes
from memory_guild.schema.migrating import upgrade
from memory_guild.schema.validation import validate
from tests.schema.index_builds import AGENTS, DEFINITIONS, TENANT, outcomes, set_for_database, states
from tests.tenancy.logins import AGENT, login, owner, user_of

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


async def test_recommended_statements_make_the_indexes_valid(database_url: str, connection: Connection) -> None:
    found = await indexes.recommend(database_url)
    assert [(index.name, index.state) for index in found] == [(TENANT, "missing"), (AGENTS, "missing")]

    for statement in [statement for index in found for statement in index.statements]:
        await connection.execute(statement)

    assert [(index.state, index.statements) for index in await indexes.recommend(database_url)] == [("valid", ())] * 2


async def test_created_once_listed_by_validate_and_dropped(database_url: str) -> None:
    told: list[indexes.IndexChange] = []
    assert await indexes.create(database_url, progress=told.append) == [(TENANT, "created"), (AGENTS, "created")]
    assert told == [(TENANT, "created"), (AGENTS, "created")]
    assert await outcomes(database_url) == ["kept", "kept"]

    found = await validate(database_url)
    assert found.differences == ()
    assert [*found.deliberate_indexes] == [("memory_records", *index) for index in DEFINITIONS.items()]

    assert await indexes.drop(database_url, names=[AGENTS]) == [(AGENTS, "dropped")]
    assert await indexes.drop(database_url, progress=told.append) == [(TENANT, "dropped"), (AGENTS, "absent")]
    assert told[2:] == [(TENANT, "dropped"), (AGENTS, "absent")]
    assert (await validate(database_url)).deliberate_indexes == ()


async def test_validate_lists_apart_only_what_is_no_difference(database_url: str, connection: Connection) -> None:
    comment = "COMMENT ON INDEX {} IS 'deliberate: wanted'"
    await connection.execute(
        f"{comment.format('idx_memory_hash')}; CREATE UNIQUE INDEX unique_one ON data_sources ((1))"
    )
    await connection.execute(f"{comment.format('unique_one')}; CREATE INDEX broken ON data_sources (source_uri)")
    await connection.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass")
    await connection.execute(comment.format("broken"))

    found = await validate(database_url)

    assert [(difference.problem, difference.name) for difference in found.differences] == [("unexpected", "unique_one")]
    assert [*found.deliberate_indexes] == [
        ("data_sources", "broken", "CREATE INDEX broken ON data_sources USING btree (source_uri); not valid")
    ]


async def test_names_choose(database_url: str) -> None:
    assert [index.name for index in await indexes.recommend(database_url, names=[AGENTS])] == [AGENTS]
    with pytest.raises(InvalidInputError, match=f"'elsewhere'; choose from {TENANT}, {AGENTS}"):
        await indexes.create(database_url, names=[AGENTS, "elsewhere"])
    assert await states(database_url) == ["missing", "missing"]

    assert await indexes.create(database_url, names=[AGENTS]) == [(AGENTS, "created")]
    assert await states(database_url) == ["missing", "valid"]


@pytest.mark.parametrize("schema", ["guild", 'Guild "of" Memory\'s; ü%s'])
async def test_schema_is_the_one_that_is_given(schema: str, empty_database_url: str) -> None:
    for each in (schema, "public"):
        await upgrade(empty_database_url, schema=each)

    changes = await indexes.create(empty_database_url, schema=schema)

    assert [change.outcome for change in changes] == ["created", "created"]
    assert await states(empty_database_url, schema) == ["valid", "valid"]
    assert await states(empty_database_url, "public") == ["missing", "missing"]
    found = await validate(empty_database_url, schema=schema)
    assert found.differences == ()
    assert [index.name for index in found.deliberate_indexes] == [AGENTS, TENANT]
    changes = await indexes.drop(empty_database_url, schema=schema)
    assert [change.outcome for change in changes] == ["dropped", "dropped"]


async def test_an_index_without_the_comment_gets_it(database_url: str, connection: Connection) -> None:
    await indexes.create(database_url)
    await connection.execute(
        f"COMMENT ON INDEX {TENANT} IS NULL; COMMENT ON INDEX {AGENTS} IS 'deliberate: my own words'"
    )
    assert [difference.name for difference in (await validate(database_url)).differences] == [TENANT]

    assert await outcomes(database_url) == ["marked", "kept"]

    assert (await validate(database_url)).differences == ()
    assert await connection.fetchval(f"SELECT obj_description('{AGENTS}'::regclass)") == "deliberate: my own words"


async def test_session_that_quotes_every_identifier(database_url: str, connection: Connection) -> None:
    await set_for_database(connection, "quote_all_identifiers = on")

    assert await outcomes(database_url) == ["created", "created"]
    assert await states(database_url) == ["valid", "valid"]


@pytest.mark.parametrize(
    "taken",
    [
        f"CREATE TABLE {AGENTS} ()",
        f"CREATE INDEX {AGENTS} ON data_sources (source_uri)",
        f"CREATE UNIQUE INDEX {AGENTS} ON memory_records (tenant_id, agent_id, created_at DESC, memory_id DESC)"
        " WHERE is_deleted IS NOT TRUE",
    ],
    ids=["table", "index elsewhere", "unique index"],
)
async def test_what_else_has_the_name_is_left_alone(database_url: str, connection: Connection, taken: str) -> None:
    await connection.execute(taken)

    for change in (indexes.create, indexes.drop):
        with pytest.raises(SchemaError, match=f"something else in this schema is called {AGENTS}"):
            await change(database_url)

    assert await states(database_url) == ["missing", "different"]
    assert await connection.fetchval(f"SELECT to_regclass('{AGENTS}') IS NOT NULL")


# --- who may, and where -----------------------------------------------------------------------------------------


async def test_an_agents_login_may_look_but_not_build(database_url: str) -> None:
    async with login(database_url, AGENT) as url:
        with pytest.raises(PermissionDeniedError, match=r"must be owner.*`memory-guild upgrade` and owns the tables"):
            await indexes.create(url)
        assert await states(url) == ["missing", "missing"]
        await indexes.create(database_url)
        with pytest.raises(PermissionDeniedError, match="must be owner"):
            await indexes.drop(url)
        assert await outcomes(url) == ["kept", "kept"]


async def test_the_owner_may_build_without_being_an_agent(database_url: str, connection: Connection) -> None:
    async with owner(database_url) as url:
        with pytest.raises(PermissionDeniedError, match="permission denied for schema public"):
            await indexes.create(url)
        await connection.execute(f"GRANT CREATE ON SCHEMA public TO {user_of(url)}")

        assert await outcomes(url) == ["created", "created"]


async def test_read_only_server(database_url: str, connection: Connection) -> None:
    await set_for_database(connection, "default_transaction_read_only = on")

    with pytest.raises(SchemaError, match="read-only; connect to the primary"):
        await indexes.create(database_url)


async def test_behind_a_pooler_it_only_recommends(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_POOLER", "1")

    for change in (indexes.create, indexes.drop):
        with pytest.raises(SettingsError, match="MEMORY_GUILD_POOLER: is set, but building an index needs a session"):
            await change(database_url)
    assert await states(database_url) == ["missing", "missing"]


async def test_a_database_without_the_tables(empty_database_url: str) -> None:
    with pytest.raises(MigrationsPendingError, match="memory-guild upgrade"):
        await indexes.create(empty_database_url)


async def test_an_error_of_which_nothing_is_known_has_its_sqlstate(database_url: str, connection: Connection) -> None:
    await connection.execute(
        "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$;"
        "CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION refuse()"
    )

    with pytest.raises(DatabaseError) as caught:
        await indexes.create(database_url)
    assert (type(caught.value), caught.value.sqlstate) == (DatabaseError, "P0001")
