"""Every refusal of the server and of the driver is an error of the package's tree, wherever it is met."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
import pytest
from tortoise.exceptions import IntegrityError, OperationalError, TransactionManagementError
from tortoise.transactions import in_transaction

from memory_guild import errors, find, tenant_scope
from memory_guild.database.engine import client
from memory_guild.database.sqlstate import translate
from memory_guild.errors import (
    AuthenticationError,
    CheckError,
    ConstraintError,
    DatabaseError,
    DataError,
    EmbedderUnavailableError,
    InsufficientResourcesError,
    InternalError,
    InvalidInputError,
    LockNotAvailableError,
    MemoryGuildError,
    PermissionDeniedError,
    ProgrammingError,
    ReadOnlyError,
    SchemaChangedError,
    ScopeAbortedError,
    ScopeIdleError,
    ServerUnreachableError,
    StatementCanceledError,
    TenantMovedError,
    TenantMovingError,
    TransactionConflictError,
    TransactionStateError,
    UndefinedObjectError,
    VectorIndexError,
    is_retryable,
)

SECRET = "what nobody may read in a log"

MEANINGS: dict[str, type[MemoryGuildError]] = {
    "22012": DataError,
    "22P02": DataError,
    "23000": ConstraintError,
    "23514": CheckError,
    "25001": TransactionStateError,
    "25006": ReadOnlyError,
    "25P03": ScopeIdleError,
    "25P04": StatementCanceledError,
    "28000": AuthenticationError,
    "2D000": TransactionStateError,
    "40001": TransactionConflictError,
    "40003": TransactionConflictError,
    "40P01": TransactionConflictError,
    "42501": PermissionDeniedError,
    "42601": ProgrammingError,
    "42P01": UndefinedObjectError,
    "42703": UndefinedObjectError,
    "3F000": UndefinedObjectError,
    "0A000": ProgrammingError,
    "44000": ConstraintError,
    "53100": InsufficientResourcesError,
    "53200": InsufficientResourcesError,
    "53300": InsufficientResourcesError,
    "54000": DataError,
    "55P03": LockNotAvailableError,
    "55006": DatabaseError,
    "57014": StatementCanceledError,
    "57P01": ServerUnreachableError,
    "57P05": ServerUnreachableError,
    "58030": InternalError,
    "P0001": DatabaseError,
    "XX000": InternalError,
    "XX001": InternalError,
    "ZZ999": DatabaseError,
}

RETRYABLE = {
    EmbedderUnavailableError,
    InsufficientResourcesError,
    LockNotAvailableError,
    ReadOnlyError,
    SchemaChangedError,
    ServerUnreachableError,
    TenantMovedError,
    TenantMovingError,
    TransactionConflictError,
    VectorIndexError,
}


def tree(base: type[MemoryGuildError] = MemoryGuildError) -> Iterator[type[MemoryGuildError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from tree(kind)


def raised_with(sqlstate: str) -> str:
    # `query_canceled` and `assert_failure` are codes too: EXECUTE, as a DO block of its own refuses none of them.
    return f"DO $$ BEGIN RAISE EXCEPTION '{SECRET}' USING ERRCODE = '{sqlstate}', DETAIL = '{SECRET}'; END $$"


def test_the_errors_worth_a_retry_are_these() -> None:
    assert {kind for kind in tree() if kind.retryable} == RETRYABLE
    assert not is_retryable(ValueError())


def test_every_error_that_the_driver_has_a_class_for_is_translated() -> None:
    kinds = [kind for kind in vars(asyncpg.exceptions).values() if isinstance(kind, type)]
    servers = [kind for kind in kinds if issubclass(kind, asyncpg.PostgresError)]
    assert len(servers) > 200
    for kind in servers:
        error = translate(kind(SECRET))
        assert isinstance(error, MemoryGuildError)
        assert isinstance(error, DatabaseError) or type(error) in (
            AuthenticationError,
            ScopeAbortedError,
            ScopeIdleError,
            ServerUnreachableError,
        )
        if kind.sqlstate and kind.sqlstate not in ("42P01", "42703", "42704", "42883", "3F000"):
            assert SECRET not in str(error)


@pytest.mark.parametrize("where", ["outside", "in a transaction", "in a scope", "in a nested scope"])
async def test_what_the_server_raises_has_a_meaning(shared_database: str, where: str) -> None:
    for sqlstate, kind in MEANINGS.items():
        with pytest.raises(MemoryGuildError) as caught:
            match where:
                case "outside":
                    await client().execute_script(raised_with(sqlstate))
                case "in a transaction":
                    async with in_transaction():
                        await client().execute_query(raised_with(sqlstate))
                case "in a scope":
                    async with tenant_scope("acme"):
                        await client().execute_query_dict(raised_with(sqlstate))
                case _:
                    async with tenant_scope("acme"), tenant_scope("acme"):
                        await client().execute_script(raised_with(sqlstate))
        assert type(caught.value) is kind, sqlstate
        assert caught.value.__cause__ is None
        if kind is not UndefinedObjectError:
            assert SECRET not in str(caught.value)
        if isinstance(caught.value, DatabaseError):
            assert caught.value.sqlstate == sqlstate
    async with tenant_scope("acme"):
        assert (await find()).memories == []


REFUSED: list[tuple[str, type[MemoryGuildError], type[Exception]]] = [
    ("SELEC 1", ProgrammingError, OperationalError),
    ("SELECT * FROM no_such_table", UndefinedObjectError, OperationalError),
    ("SELECT no_such_column FROM memory_records", UndefinedObjectError, OperationalError),
    ("SELECT no_such_function()", UndefinedObjectError, OperationalError),
    ("SELECT 'x'::int", DataError, OperationalError),
    ("SELECT 1 / 0", DataError, ValueError),
    ("SELECT (SELECT generate_series(1, 2))", ProgrammingError, OperationalError),
    ("INSERT INTO data_sources (source_name, source_type) VALUES ('a', 'rumour')", CheckError, IntegrityError),
    ("SET TRANSACTION READ ONLY; CREATE TABLE new_table ()", ReadOnlyError, OperationalError),
    ("SELECT 'date'::timestamp; VACUUM", DataError, OperationalError),
    ("SELECT '20000-01-01'::timestamp", DataError, ValueError),
    ("SELECT '\ud800'", DataError, ValueError),
]


@pytest.mark.parametrize(("statement", "kind", "beside"), REFUSED, ids=[row[0][:30] for row in REFUSED])
async def test_the_errors_of_statements_are_also_those_of_tortoise(
    shared_database: str, statement: str, kind: type[MemoryGuildError], beside: type[Exception]
) -> None:
    run = "execute_script" if ";" in statement else "execute_query_dict"
    async with in_transaction() as transaction:
        with pytest.raises(kind) as caught:
            await getattr(transaction, run)(statement)
        await transaction.rollback()
    assert isinstance(caught.value, beside)
    assert not caught.value.retryable or kind is ReadOnlyError


async def test_a_statement_outside_the_transaction_that_it_needs(shared_database: str) -> None:
    for statement in ("VACUUM memory_records; VACUUM memory_records", "SAVEPOINT here; SELECT 1", "LOCK TABLE aerich"):
        with pytest.raises(TransactionManagementError) as caught:
            await client().execute_script(statement)
        assert type(caught.value) is TransactionStateError


async def test_wrong_arguments_of_a_statement(shared_database: str) -> None:
    with pytest.raises(ProgrammingError, match="argument"):
        await client().execute_query("SELECT $1::int", [1, 2])
    with pytest.raises(InvalidInputError, match=r"\$1") as caught:
        await client().execute_query("SELECT $1::int", [SECRET])
    assert SECRET not in str(caught.value)


async def test_a_lock_that_somebody_holds(shared_database: str, superuser: asyncpg.Connection[asyncpg.Record]) -> None:
    async with superuser.transaction():
        await superuser.execute("LOCK TABLE memory_records")
        with pytest.raises(LockNotAvailableError) as caught:
            async with tenant_scope("acme"):
                await client().execute_script("SET LOCAL lock_timeout = '10ms'")
                await find()
    assert caught.value.retryable
    async with tenant_scope("acme"):
        assert (await find()).memories == []


async def test_a_server_that_became_read_only_is_connected_to_anew(shared_database: str) -> None:
    async def pid() -> int:
        return int((await client().execute_query_dict("SELECT pg_backend_pid() AS pid"))[0]["pid"])

    before: set[int] = set()
    for _ in range(3):
        before.add(await pid())
    with pytest.raises(ReadOnlyError):
        async with tenant_scope("acme"):
            before.add(await pid())
            await client().execute_script("SET LOCAL transaction_read_only = on")
            await client().execute_script("DELETE FROM memory_records")
    assert await pid() not in before

    before.add(await pid())
    with pytest.raises(ReadOnlyError):
        await client().execute_script("SET LOCAL transaction_read_only = on; DELETE FROM memory_records")
    assert await pid() not in before


async def test_a_value_that_the_server_itself_cannot_hold(shared_database: str) -> None:
    with pytest.raises(DatabaseError) as caught:  # 16 numbers of 64 MB each; PostgreSQL calls it an internal error
        await client().execute_query("SELECT repeat(repeat('x', 100000000), 11)::text")
    assert type(caught.value) in (InternalError, DataError)


def test_messages_are_for_people() -> None:
    for kind in vars(asyncpg.exceptions).values():
        if isinstance(kind, type) and issubclass(kind, asyncpg.PostgresError):
            text = str(translate(kind("")))
            for stiff in ("is there already", "is undone", "what the transaction did"):
                assert stiff not in text


def test_every_error_says_what_it_is() -> None:
    for kind in tree():
        assert kind.__doc__
        assert kind.__module__ == errors.__name__
