"""Connecting: what an agent gets, what each failure says, and what the pool does afterwards."""

from __future__ import annotations

import asyncio
import socket
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tortoise import Tortoise
from tortoise.exceptions import DBConnectionError
from tortoise.transactions import in_transaction

from memory_guild.database import engine
from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.database.migrations import applied_migrations, check_migrations, known_migrations
from memory_guild.errors import (
    AuthenticationError,
    ConnectionFailedError,
    MigrationsPendingError,
    SchemaTooNewError,
    ServerTooOldError,
    ServerUnreachableError,
    SettingsError,
    StatementCanceledError,
    UnknownDatabaseError,
)
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import tenant_scope
from tests.databases import SpareDatabases, run_statement, with_database
from tests.rows import SECRET, stored_memory, valid_row

pytestmark = pytest.mark.usefixtures("below_the_scopes")


async def value_of(statement: str) -> Any:
    (row,) = await client().execute_query_dict(f"SELECT ({statement}) AS value")
    return row["value"]


@asynccontextmanager
async def plain_tortoise() -> AsyncIterator[None]:
    """What an agent's own start-up does."""
    from memory_guild.settings import TORTOISE_ORM

    await Tortoise.init(config=TORTOISE_ORM)
    try:
        yield
    finally:
        await Tortoise.close_connections()


# --- both ways in -----------------------------------------------------------------------------------------------


async def test_connect_by_argument(database_url: str) -> None:
    async with connect(database_url):
        memory_id = await stored_memory()
        assert await MemoryRecord.exists(memory_id=memory_id)


async def test_connect_by_environment(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)

    async with connect():
        memory_id = await stored_memory()
    async with connect():
        assert await MemoryRecord.exists(memory_id=memory_id)


async def test_tortoise_init_needs_nothing_else(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)

    async with plain_tortoise():
        memory_id = await stored_memory()
        async with in_transaction():
            assert (await MemoryRecord.get()).memory_id == memory_id


async def test_connection_is_closed_at_the_end(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

    async with connect(database_url):
        assert await connection.fetchval(count) >= 1
    with pytest.raises(ZeroDivisionError):
        async with connect(database_url):
            raise ZeroDivisionError
    for _ in range(200):
        if await connection.fetchval(count) == 0:
            break
        await asyncio.sleep(0.01)  # the server notices a closed socket on its own time
    assert await connection.fetchval(count) == 0


# --- settings that the server sees ------------------------------------------------------------------------------


async def test_settings_reach_the_server(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_APPLICATION_NAME", "librarian")
    monkeypatch.setenv("MEMORY_GUILD_STATEMENT_TIMEOUT_SECONDS", "12.5")

    async with connect(database_url):
        assert await value_of("SELECT setting FROM pg_settings WHERE name = 'application_name'") == "librarian"
        assert await value_of("SELECT setting FROM pg_settings WHERE name = 'statement_timeout'") == "12500"
        assert (
            await value_of("SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()") == "librarian"
        )
        assert await value_of("current_setting('search_path')") == '"public"'


async def test_defaults_reach_the_server(database_url: str) -> None:
    async with connect(database_url):
        assert await value_of("current_setting('application_name')") == "memory-guild"
        assert await value_of("current_setting('statement_timeout')") == "0"


async def test_pool_has_the_size_that_was_asked_for(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_POOL_MIN", "2")
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "3")

    async with connect(database_url, check_schema=False):
        pool = client()._pool
        assert pool is not None
        assert (pool.get_min_size(), pool.get_max_size(), pool.get_size()) == (2, 3, 2)

        pids = await asyncio.gather(*(value_of("SELECT pg_backend_pid() FROM pg_sleep(0.05)") for _ in range(12)))
        assert len(set(pids)) <= 3
        assert pool.get_size() == 3


async def test_pool_of_one_serves_many_tasks(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "1")

    async with connect(database_url):
        await asyncio.gather(*(stored_memory() for _ in range(20)))
        assert await MemoryRecord.all().count() == 20


# --- failures ---------------------------------------------------------------------------------------------------


async def failure(
    url: str, kind: type[ConnectionFailedError], monkeypatch: pytest.MonkeyPatch
) -> ConnectionFailedError:
    """The error of connect(), which plain Tortoise must raise too, with its first query."""
    with pytest.raises(ConnectionFailedError) as caught:
        async with connect(url):
            pass
    assert type(caught.value) is kind
    assert isinstance(caught.value, DBConnectionError)
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", url)
    with pytest.raises(ConnectionFailedError) as again:
        async with plain_tortoise():
            await MemoryRecord.all().count()
    assert (type(again.value), str(again.value)) == (kind, str(caught.value))
    assert "swordfish" not in "".join(
        traceback.format_exception(caught.value) + traceback.format_exception(again.value)
    )
    return caught.value


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_closed_port(monkeypatch: pytest.MonkeyPatch) -> None:
    port = closed_port()

    error = await failure(f"postgresql://guild:swordfish@127.0.0.1:{port}/m", ServerUnreachableError, monkeypatch)

    assert str(error).startswith(f"nothing answers at postgresql://guild@127.0.0.1:{port}/m (")
    assert str(error).endswith("); start the server, or unset MEMORY_GUILD_DATABASE_URL to use the embedded one")


async def test_missing_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"postgresql://guild:swordfish@/m?host={tmp_path}"

    error = await failure(url, ServerUnreachableError, monkeypatch)

    assert str(error).startswith(
        f"nothing answers at postgresql://guild@/m?host={tmp_path} (No such file or directory)"
    )


async def test_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    error = await failure("postgresql://guild:swordfish@host.invalid/m", ServerUnreachableError, monkeypatch)

    assert "nothing answers at postgresql://guild@host.invalid/m" in str(error)


async def test_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_CONNECT_TIMEOUT_SECONDS", "0.2")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"postgresql://guild:swordfish@127.0.0.1:{port}/m?sslmode=disable"
        error = await failure(url, ServerUnreachableError, monkeypatch)

    assert str(error) == (
        f"postgresql://guild@127.0.0.1:{port}/m?sslmode=disable did not answer in time;"
        " is it up, and is a firewall in between?"
    )


async def test_server_that_is_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await writer.wait_closed()

    other = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    try:
        url = f"postgresql://guild:swordfish@127.0.0.1:{port}/m?sslmode=disable"
        error = await failure(url, ServerUnreachableError, monkeypatch)
    finally:
        other.close()

    assert str(error) == (
        f"postgresql://guild@127.0.0.1:{port}/m?sslmode=disable ended the connection at once (08003);"
        " is it a PostgreSQL, and is it up yet?"
    )


async def test_unknown_database(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = with_database(server_url, "no_such_database")

    error = await failure(url, UnknownDatabaseError, monkeypatch)

    assert str(error).endswith(": the server has no such database; create it with `createdb`")
    assert "/no_such_database" in str(error)


async def test_unknown_role(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"postgresql://no_such_role:swordfish@{server_url.rpartition('@')[2]}"

    error = await failure(url, AuthenticationError, monkeypatch)

    assert "no_such_role@" in str(error)
    assert str(error).endswith(" refused the login; check user and password, and pg_hba.conf")


@pytest.mark.parametrize("query", ["sslmode=perhaps", "sslmode", "port=x", "host=a,b&port=1,2,3"])
async def test_query_that_the_driver_refuses(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = await failure(f"postgresql://guild:swordfish@/m?{query}", ConnectionFailedError, monkeypatch)

    assert "cannot be used as given; check the URL's query" in str(error)


async def test_setting_that_the_server_refuses(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = await failure(f"{database_url}&colour=red", ConnectionFailedError, monkeypatch)

    assert 'refused the connection: unrecognized configuration parameter "colour" (42704)' in str(error)


async def test_server_that_is_too_old(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "OLDEST_SERVER_VERSION", 99)

    error = await failure(database_url, ServerTooOldError, monkeypatch)

    assert isinstance(error, ServerTooOldError)
    assert str(error) == f"the server is PostgreSQL {error.server_version}; 99 or newer is needed"
    assert float(error.server_version) >= 15


async def test_bad_url_is_a_settings_error() -> None:
    with pytest.raises(SettingsError):
        async with connect("mysql://guild:swordfish@h/m"):
            pass


# --- statements that do not come back ---------------------------------------------------------------------------


async def test_statement_that_takes_too_long_is_canceled(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_STATEMENT_TIMEOUT_SECONDS", "0.05")

    async with connect(database_url):
        with pytest.raises(StatementCanceledError) as caught:
            await client().execute_query("SELECT pg_sleep(30)")
        assert isinstance(caught.value, TimeoutError)
        assert str(caught.value) == (
            "the server canceled the statement; MEMORY_GUILD_STATEMENT_TIMEOUT_SECONDS sets how long one may take"
        )
        assert await value_of("SELECT 1") == 1


KILL = "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(30)"


async def test_killed_backend_is_an_error_and_the_pool_recovers(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "2")

    async with connect(database_url):
        for _ in range(3):
            with pytest.raises(ServerUnreachableError) as caught:
                await client().execute_query(KILL)
            assert "run it again" in str(caught.value)
        await stored_memory()
        assert await MemoryRecord.all().count() == 1


async def test_killed_backend_undoes_its_transaction(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "2")

    async with connect(database_url):
        row = await valid_row(MemoryRecord)
        for _ in range(3):
            with pytest.raises(ServerUnreachableError):
                async with in_transaction():
                    await MemoryRecord.create(**row)
                    await client().execute_query(KILL)
            assert await MemoryRecord.all().count() == 0
        await MemoryRecord.create(**row)
        assert await MemoryRecord.all().count() == 1


async def until_the_pool_has_noticed() -> None:
    """Let the driver read that its idle connections are gone; it sets no event."""
    for _ in range(50):
        await asyncio.sleep(0.01)


async def test_idle_connection_that_was_killed_is_replaced(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    async with connect(database_url):
        await stored_memory()
        killed = await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert killed >= 1
        await until_the_pool_has_noticed()
        for _ in range(2):
            await stored_memory()
        assert await MemoryRecord.all().count() == 3


# --- the schema against the code --------------------------------------------------------------------------------


async def test_empty_database_lacks_every_migration(empty_database_url: str) -> None:
    with pytest.raises(MigrationsPendingError) as caught:
        async with connect(empty_database_url):
            pass

    assert caught.value.pending == known_migrations() != []
    assert str(caught.value) == (
        f"the database lacks migrations: {', '.join(known_migrations())}; run `memory-guild upgrade`"
    )
    async with connect(empty_database_url, check_schema=False):
        assert await applied_migrations() == []


async def test_other_schema_lacks_every_migration(database_url: str) -> None:
    with pytest.raises(MigrationsPendingError):
        async with connect(database_url, schema="elsewhere"):
            pass


async def test_database_that_is_newer_is_refused(
    database_url: str, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    newer = ["98_later.py", "99_much_later.py"]
    for name in newer:
        await connection.execute("INSERT INTO aerich (version, app, content) VALUES ($1, 'models', '{}')", name)
    await connection.execute("INSERT INTO aerich (version, app, content) VALUES ('1_theirs.py', 'another', '{}')")

    with pytest.raises(SchemaTooNewError) as caught:
        async with connect(database_url):
            pass

    assert caught.value.unknown == newer
    assert str(caught.value) == (
        "the database is newer than this version of memory-guild: it has 98_later.py, 99_much_later.py;"
        " upgrade the package"
    )


async def test_migrated_database_is_accepted(database_url: str) -> None:
    async with connect(database_url):
        await check_migrations()
        assert await applied_migrations() == known_migrations()


# --- several databases in one process ---------------------------------------------------------------------------


@pytest.fixture
async def other_database_url(spare_databases: SpareDatabases) -> AsyncIterator[str]:
    """A second migrated database."""
    url = await spare_databases.take()
    yield url
    await spare_databases.give_back(url)


async def test_nested_blocks_have_a_database_each(database_url: str, other_database_url: str) -> None:
    async with connect(database_url):
        outer = await value_of("current_database()")
        await stored_memory()
        async with connect(other_database_url):
            assert await value_of("current_database()") != outer
            assert await MemoryRecord.all().count() == 0
            await stored_memory(content_text=SECRET)
        assert await value_of("current_database()") == outer
        assert await MemoryRecord.filter(content_text=SECRET).count() == 0


async def test_concurrent_tasks_have_a_database_each(database_url: str, other_database_url: str) -> None:
    barrier = asyncio.Barrier(2)

    async def work(url: str, rows: int) -> tuple[str, int]:
        async with connect(url):
            await barrier.wait()
            await asyncio.gather(*(stored_memory() for _ in range(rows)))
            await barrier.wait()
            return await value_of("current_database()"), await MemoryRecord.all().count()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(url, rows)) for url, rows in ((database_url, 3), (other_database_url, 5))]
    (first, three), (second, five) = [task.result() for task in tasks]

    assert first != second
    assert (three, five) == (3, 5)


async def test_tasks_inside_the_block_share_its_database(database_url: str) -> None:
    async with connect(database_url):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(stored_memory()) for _ in range(5)]
        assert await MemoryRecord.filter(memory_id__in=[task.result() for task in tasks]).count() == 5


async def test_connection_that_the_pool_cannot_open_later(
    database_url: str, server_url: str, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    name = await connection.fetchval("SELECT current_database()")
    async with connect(database_url):
        await stored_memory()
        await run_statement(server_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await until_the_pool_has_noticed()
        with pytest.raises(ConnectionFailedError, match=name):
            await MemoryRecord.all().count()
        with pytest.raises(ConnectionFailedError, match=name):
            async with tenant_scope("acme"):
                pass
        await run_statement(server_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        async with tenant_scope("tenant-1"):
            assert await MemoryRecord.all().count() == 1
