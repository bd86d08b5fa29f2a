"""The server ends connections between any two statements: each error is one of ours, and the pool stays whole."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import pytest
import stamina
from tortoise.transactions import in_transaction

from memory_guild import DataSource, count, find, remember, schema, tenant_scope, upgrade
from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.errors import (
    ConnectionFailedError,
    InvalidInputError,
    MemoryGuildError,
    ServerUnreachableError,
    is_retryable,
)
from tests.databases import run_statement
from tests.tenancy.pool import assert_pool_is_clean

KILL = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""

Work = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


@pytest.fixture
def two_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "2")


@pytest.fixture
def unhandled() -> Iterator[list[dict[str, Any]]]:
    """What no task retrieved, and what the event loop was told of."""
    seen: list[dict[str, Any]] = []
    yield seen
    assert seen == []


@asynccontextmanager
async def killer(url: str, seconds: float) -> AsyncGenerator[None, None]:
    """Every so often, all other connections to the database are ended."""

    async def kill() -> None:
        connection = await asyncpg.connect(url)
        try:
            while True:
                await asyncio.sleep(seconds)
                await connection.execute(KILL)
        finally:
            connection.terminate()

    task = asyncio.create_task(kill())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def outside(kill: Callable[[], Awaitable[Any]]) -> None:
    await DataSource.all()
    await kill()
    await DataSource.all()


async def in_one(kill: Callable[[], Awaitable[Any]]) -> None:
    async with in_transaction():
        await DataSource.all()
        await kill()
        await DataSource.all()


async def beginning(kill: Callable[[], Awaitable[Any]]) -> None:
    await DataSource.all()
    await kill()
    async with in_transaction():
        await DataSource.all()


async def in_nested(kill: Callable[[], Awaitable[Any]]) -> None:
    async with in_transaction(), in_transaction():
        await kill()
        await DataSource.all()


async def ending(kill: Callable[[], Awaitable[Any]]) -> None:
    async with in_transaction():
        await DataSource.all()
        await kill()


async def in_scope(kill: Callable[[], Awaitable[Any]]) -> None:
    async with tenant_scope("acme"):
        await find()
        await kill()
        await find()


async def beginning_scope(kill: Callable[[], Awaitable[Any]]) -> None:
    await DataSource.all()
    await kill()
    async with tenant_scope("acme"):
        await find()


@pytest.mark.parametrize(
    "work", [outside, in_one, beginning, in_nested, ending, in_scope, beginning_scope], ids=lambda work: work.__name__
)
@pytest.mark.parametrize("is_noticed", [True, False], ids=["noticed", "unnoticed"])
async def test_a_connection_that_ends_between_two_statements(
    database_url: str, two_connections: None, work: Work, is_noticed: bool
) -> None:
    other = await asyncpg.connect(database_url)

    async def kill() -> None:
        await other.execute(KILL)
        if is_noticed:  # the event loop reads the server's last words before the next statement
            await asyncio.sleep(0.01)

    async with connect(database_url):
        for _ in range(3):
            with suppress(ServerUnreachableError):
                await work(kill)
            await asyncio.sleep(0.01)
        await assert_pool_is_clean(2)
        assert await DataSource.all() == []
    await other.close()


@pytest.mark.long
async def test_a_scope_is_run_again_until_it_succeeds(database: str) -> None:
    attempts: list[int] = []

    @stamina.retry(on=is_retryable, attempts=3, wait_initial=0.001)
    async def work(kills: int, source_type: str) -> None:
        attempts.append(kills)
        async with tenant_scope("acme", agent_id="a"):
            if len(attempts) <= kills:
                await run_statement(database, KILL)
            await remember("once", source_type=source_type)

    await work(2, "document")
    assert len(attempts) == 3
    async with tenant_scope("acme"):
        assert await count() == 1
    attempts.clear()
    with pytest.raises(InvalidInputError):
        await work(0, "rumour")
    assert len(attempts) == 1
    attempts.clear()
    with pytest.raises(ServerUnreachableError):
        await work(5, "document")
    assert len(attempts) == 3


@pytest.mark.parametrize(
    "work",
    [
        lambda url: upgrade(url),
        lambda url: schema.validate(url),
        lambda url: schema.doctor(url),
        lambda url: schema.indexes.create(url),
    ],
    ids=["upgrade", "validate", "doctor", "indexes"],
)
async def test_what_operators_do_while_connections_end(
    database_url: str, work: Callable[[str], Awaitable[Any]], unhandled: list[dict[str, Any]]
) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    ended = runs = 0
    async with killer(database_url, 0.013):
        while runs < 12 or (ended == 0 and runs < 500):  # where there is nothing to do, few connections are met
            runs += 1
            try:
                await work(database_url)
            except MemoryGuildError:
                ended += 1
    assert ended > 0
    await work(database_url)


async def test_connecting_while_connections_end(database_url: str) -> None:
    ended = 0
    async with killer(database_url, 0.007):
        for _ in range(30):
            try:
                async with connect(database_url):
                    await DataSource.all()
            except ConnectionFailedError:
                ended += 1
    assert ended > 0
    async with connect(database_url):
        await DataSource.all()


async def in_a_scope() -> AsyncGenerator[int, None]:
    async with tenant_scope("acme", agent_id="a"):
        await remember("one", source_type="document")
        yield 1


async def in_nested_scopes() -> AsyncGenerator[int, None]:
    async with tenant_scope("acme", agent_id="a"), tenant_scope("acme"):
        await remember("one", source_type="document")
        yield 1


async def in_a_transaction() -> AsyncGenerator[int, None]:
    async with in_transaction():
        await DataSource.create(source_name="one", source_type="api")
        yield 1


async def in_a_savepoint() -> AsyncGenerator[int, None]:
    async with in_transaction(), in_transaction():
        await DataSource.create(source_name="one", source_type="api")
        yield 1


@pytest.mark.parametrize(
    "generate", [in_a_scope, in_nested_scopes, in_a_transaction, in_a_savepoint], ids=lambda made: made.__name__
)
@pytest.mark.parametrize("is_closed_inside", [True, False], ids=["closed before", "closed after"])
async def test_connect_ends_though_a_generator_still_has_a_scope(
    database_url: str, generate: Callable[[], AsyncGenerator[int, None]], is_closed_inside: bool
) -> None:
    async with connect(database_url):
        pool: Any = client()
        generator = generate()
        assert await anext(generator) == 1
        opened = pool._pool
        if is_closed_inside:
            await generator.aclose()
    assert opened.is_closing()
    assert pool._pool is None
    with suppress(MemoryGuildError):
        await generator.aclose()

    async with connect(database_url):
        assert await DataSource.all() == []
        async with tenant_scope("acme"):
            assert await count() == 0


async def test_a_failed_attempt_to_connect_again_is_one_line(
    server_url: str, database_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_POOL_MIN", "2")
    name = re.split(r"[/?]", database_url)[3]
    async with connect(database_url):
        await run_statement(server_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            await run_statement(
                server_url, f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
            )
            for _ in range(100):
                with suppress(MemoryGuildError):
                    await DataSource.all()
                await asyncio.sleep(0.02)
                if records := [record for record in caplog.records if record.name == "asyncpg.pool"]:
                    break
        finally:
            await run_statement(server_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    assert records
    for record in records:
        assert record.levelno == logging.WARNING
        assert record.exc_info is None
        assert name in record.getMessage()
        assert "\n" not in record.getMessage()
