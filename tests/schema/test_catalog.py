"""Validate notices every way in which the live catalog can leave the specification, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import pytest

from memory_guild.database.statements import statement
from memory_guild.errors import SchemaError
from memory_guild.schema.catalog import compare_catalog
from tests.schema.additions import ADDITIONS, SINCE_18, WITH_ADDITIONS, WITHOUT_ADDITIONS
from tests.schema.cases import COLUMNS, CONSTRAINTS, INDEXES, TABLES, Row, missing

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

SPECIFICATION = statement("schema/specification")


async def create_live(connection: Connection, *additions: str, schema: str = "live") -> None:
    """The five tables as specified, in a schema that stays the connection's search_path."""
    create = await connection.fetchval("SELECT format('CREATE SCHEMA %1$I; SET search_path = %1$I', $1::text)", schema)
    for script in (create, SPECIFICATION, *additions):
        await connection.execute(script)


async def differences(connection: Connection, *additions: str, schema: str = "live") -> list[Row]:
    found = await compare_catalog(connection, schema, additions=additions)
    assert (tuple(found), len(found)) == (found.differences, len(found.differences))
    return [astuple(difference) for difference in found]


async def scratch_schemas(connection: Connection) -> list[str]:
    rows = await connection.fetch("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%validate%'")
    return [row["nspname"] for row in rows]


@pytest.mark.parametrize(("change", "expected"), [*TABLES, *COLUMNS, *CONSTRAINTS, *INDEXES, *WITHOUT_ADDITIONS])
async def test_difference_from_the_specification(connection: Connection, change: str, expected: list[Row]) -> None:
    await create_live(connection)
    await connection.execute(change)

    assert await differences(connection) == expected


@pytest.mark.parametrize(("change", "expected"), SINCE_18)
async def test_difference_that_postgresql_18_knows(connection: Connection, change: str, expected: list[Row]) -> None:
    if connection.get_server_version().major < 18:
        pytest.skip("the statement needs PostgreSQL 18")
    await create_live(connection)
    await connection.execute(change)

    assert await differences(connection) == expected


@pytest.mark.parametrize(("change", "expected"), WITH_ADDITIONS)
async def test_difference_from_the_additions(connection: Connection, change: str, expected: list[Row]) -> None:
    await create_live(connection, ADDITIONS)
    await connection.execute(change)

    assert await differences(connection, ADDITIONS) == expected


async def test_migrated_tables_are_the_specification(connection: Connection) -> None:
    """Later migrations add triggers, policies and grants, but nothing to columns, constraints and indexes."""
    kinds = {difference.kind for difference in (await compare_catalog(connection, "public")).differences}

    assert kinds <= {"trigger", "policy", "row security"}


@pytest.mark.parametrize("schema", ['we"ird Schema', "it's", "select", "Ü"])
async def test_schema_name_that_needs_quoting(connection: Connection, schema: str) -> None:
    await create_live(connection, ADDITIONS, schema=schema)

    assert await differences(connection, ADDITIONS, schema=schema) == []


async def test_session_that_quotes_every_identifier(connection: Connection) -> None:
    await create_live(connection, ADDITIONS)
    await connection.execute("SET quote_all_identifiers = on")

    assert await differences(connection, ADDITIONS) == []


async def test_schema_that_does_not_exist_lacks_every_table(connection: Connection) -> None:
    found = await differences(connection, schema="nowhere")

    assert [(problem, kind) for problem, kind, *_ in found] == [("missing", "table")] * 5


async def test_checks_restored_from_a_dump_are_no_difference(connection: Connection) -> None:
    """A dump prints the CHECK, and the server prints what it parsed from that in another way: once, then no more."""
    await create_live(connection)
    constraint = (
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'memory_records_source_type_check'"
    )
    dumped = [await connection.fetchval(f"{constraint} AND connamespace = 'live'::regnamespace")]
    for _ in range(2):
        await connection.execute(
            "ALTER TABLE memory_records DROP CONSTRAINT memory_records_source_type_check,"
            f" ADD CONSTRAINT memory_records_source_type_check {dumped[-1]}"
        )
        dumped.append(await connection.fetchval(f"{constraint} AND connamespace = 'live'::regnamespace"))
        assert await differences(connection) == []

    assert dumped[0] != dumped[1] == dumped[2]


async def test_nothing_is_left_behind(connection: Connection) -> None:
    await create_live(connection)
    settings = "SELECT array[current_setting('search_path'), current_setting('lock_timeout')]"
    before = await connection.fetchval(settings)

    await compare_catalog(connection, "live", additions=[ADDITIONS])

    assert await scratch_schemas(connection) == []
    assert not connection.is_in_transaction()
    assert await connection.fetchval(settings) == before


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN ISOLATION LEVEL SERIALIZABLE"])
async def test_in_a_transaction_it_is_a_savepoint(connection: Connection, begin: str) -> None:
    await create_live(connection)
    await connection.execute(f"{begin}; ALTER TABLE data_sources DROP source_uri")

    assert await differences(connection) == [missing("column", "data_sources", "source_uri", "text")]
    assert await scratch_schemas(connection) == []
    await connection.execute("COMMIT")

    assert await differences(connection) == [missing("column", "data_sources", "source_uri", "text")]


async def test_a_broken_addition_is_rolled_back(connection: Connection) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError):
        await compare_catalog(connection, "public", additions=["SELECT 1/0"])

    assert not connection.is_in_transaction()
    assert await scratch_schemas(connection) == []


async def test_a_lost_connection_is_reported_as_such(connection: Connection) -> None:
    with pytest.raises(asyncpg.ConnectionDoesNotExistError):
        await compare_catalog(connection, "public", additions=["SELECT pg_terminate_backend(pg_backend_pid())"])


class Interrupted:
    """A connection whose user is cancelled at the n-th statement, while it runs, and at some that follow."""

    def __init__(self, connection: Connection, first: int, last: int) -> None:
        self.connection = connection
        self.first = first
        self.last = last
        self.statements = 0
        self.task: asyncio.Task[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.connection, name)
        return self.interrupted(method) if name in {"execute", "fetch", "fetchrow"} else method

    def interrupted(self, method: Any) -> Any:
        def call(*arguments: Any) -> Any:
            self.statements += 1
            if self.first <= self.statements <= self.last and self.task is not None:
                self.task.cancel()
            return method(*arguments)

        return call


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("nested", [False, True], ids=["alone", "nested"])
@pytest.mark.long
async def test_cancelled_at_any_statement_it_leaves_nothing_behind(
    connection: Connection, times: int, nested: bool
) -> None:
    await create_live(connection)
    for first in range(1, 100):
        if nested:
            await connection.execute("BEGIN")
        interrupted = Interrupted(connection, first, first + times - 1)
        interrupted.task = asyncio.create_task(compare_catalog(cast("Connection", interrupted), "live"))
        await asyncio.wait([interrupted.task])
        if others := asyncio.all_tasks() - {asyncio.current_task()}:  # a rollback that outlives its task
            await asyncio.wait(others)
        if nested:
            await connection.execute("ROLLBACK")
        assert not connection.is_in_transaction()
        assert await scratch_schemas(connection) == []
        if not interrupted.task.cancelled():
            break

    assert interrupted.statements == first - 1 > 20


async def test_role_that_may_not_create_a_schema(connection: Connection) -> None:
    await connection.execute("SET ROLE pg_monitor")

    with pytest.raises(SchemaError, match=r"`GRANT CREATE ON DATABASE \w+ TO pg_monitor`"):
        await compare_catalog(connection, "public")
    assert not connection.is_in_transaction()


async def test_role_that_may_create_a_schema_and_use_the_live_one(connection: Connection) -> None:
    await create_live(connection)
    grant = await connection.fetchval("SELECT format('GRANT CREATE ON DATABASE %I TO pg_monitor', current_database())")
    await connection.execute(f"{grant}; GRANT USAGE ON SCHEMA live TO pg_monitor; SET ROLE pg_monitor")

    assert await differences(connection) == []
    with pytest.raises(SchemaError, match="as the role that runs the migrations"):
        await compare_catalog(connection, "live", additions=["CREATE ROLE somebody"])


async def test_role_that_may_not_use_the_live_schema(connection: Connection) -> None:
    await create_live(connection)
    await connection.execute("SET ROLE pg_monitor")

    with pytest.raises(SchemaError, match=r"`GRANT USAGE ON SCHEMA live TO pg_monitor`"):
        await compare_catalog(connection, "live")


async def test_read_only_server(connection: Connection) -> None:
    await connection.execute("SET default_transaction_read_only = on")

    with pytest.raises(SchemaError, match="read-only; connect to the primary"):
        await compare_catalog(connection, "public")


async def test_locked_tables(connection: Connection, database_url: str) -> None:
    """Behind a migration it reads what the catalog has, or says why it cannot; it never waits for long."""
    await create_live(connection)
    migration = await asyncpg.connect(database_url)
    try:
        await migration.execute("BEGIN; LOCK live.memory_records, live.memory_embeddings IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(5):
            with pytest.raises(SchemaError, match="locked, probably by a migration"):
                await compare_catalog(connection, "live")
    finally:
        await migration.close()
