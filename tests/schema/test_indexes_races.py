"""Indexes that several build at the same time, or whose build is interrupted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from memory_guild.errors import ServerUnreachableError, StatementCanceledError
from memory_guild.schema import indexes
from memory_guild.schema.validation import validate
from tests.schema.index_builds import (
    BUILDING,
    DEFINITIONS,
    REFUSED,
    TENANT,
    outcomes,
    set_for_database,
    states,
    until,
    writing,
)
from tests.tenancy.logins import connected, owner, user_of

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


async def test_two_that_create_at_once_build_each_index_once(database_url: str, connection: Connection) -> None:
    """The second has asked for the lock, and been refused, while the first builds; then the first can finish."""
    async with writing(database_url) as writer:
        both = [asyncio.create_task(outcomes(database_url)) for _ in range(2)]
        await until(connection, BUILDING)
        await until(connection, REFUSED)
        await writer.execute("COMMIT")
        found = await asyncio.gather(*both)

    assert sorted(found) == [["created", "created"], ["kept", "kept"]]
    assert await states(database_url) == ["valid", "valid"]


async def test_what_a_dba_builds_at_the_same_time_is_kept(database_url: str, connection: Connection) -> None:
    """It is invalid until it is finished, and must not be taken for what an interrupted build has left."""
    (index,) = await indexes.recommend(database_url, names=[TENANT])
    async with owner(database_url) as url, writing(database_url) as writer, connected(database_url) as dba:
        await connection.execute(f"GRANT CREATE ON SCHEMA public TO {user_of(url)}")
        by_hand = asyncio.create_task(dba.execute(index.statements[0]))
        await until(connection, BUILDING)
        assert await states(url) == ["invalid", "missing"]
        oid = await connection.fetchval(f"SELECT '{TENANT}'::regclass::oid")
        creating = asyncio.create_task(outcomes(url))
        await until(connection, REFUSED)
        await writer.execute("COMMIT")
        await by_hand

        assert await creating == ["marked", "created"]
        assert await connection.fetchval(f"SELECT '{TENANT}'::regclass::oid") == oid


async def test_what_an_interrupted_build_has_left_is_repaired(database_url: str, connection: Connection) -> None:
    async with writing(database_url):
        creating = asyncio.create_task(outcomes(database_url))
        await until(connection, BUILDING)
        creating.cancel()
        await asyncio.wait([creating])
        assert creating.cancelled()

    assert await states(database_url) == ["invalid", "missing"]
    (difference,) = (await validate(database_url)).differences
    assert difference.found == f"{DEFINITIONS[TENANT]}; not valid; not ready"

    assert await outcomes(database_url) == ["repaired", "created"]
    assert await states(database_url) == ["valid", "valid"]
    assert (await validate(database_url)).differences == ()


@pytest.mark.parametrize(
    ("interrupt", "error", "message"),
    [
        ("pg_cancel_backend", StatementCanceledError, "somebody canceled the statement; run this again"),
        ("pg_terminate_backend", ServerUnreachableError, "ended the connection"),
    ],
)
async def test_a_build_that_the_server_stops_is_an_error(
    database_url: str, connection: Connection, interrupt: str, error: type[Exception], message: str
) -> None:
    async with writing(database_url):
        creating = asyncio.create_task(outcomes(database_url))
        (pid,) = await until(connection, BUILDING)
        await connection.execute(f"SELECT {interrupt}({pid})")
        with pytest.raises(error, match=message):
            await creating

    assert await outcomes(database_url) == ["repaired", "created"]


async def test_no_time_limit_stops_a_build(
    database_url: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_STATEMENT_TIMEOUT_SECONDS", "0.2")
    await set_for_database(connection, "lock_timeout = '200ms'")
    if connection.get_server_version().major >= 17:
        await set_for_database(connection, "transaction_timeout = '200ms'")

    async with connected(database_url) as writer:
        await writer.execute(
            "SET transaction_timeout = 0" if connection.get_server_version().major >= 17 else "SELECT 1"
        )
        await writer.execute("BEGIN; LOCK TABLE memory_records IN ROW EXCLUSIVE MODE")
        creating = asyncio.create_task(outcomes(database_url))
        await until(connection, f"{BUILDING} AND clock_timestamp() - query_start > interval '500ms'")
        await writer.execute("COMMIT")

        assert await creating == ["created", "created"]
