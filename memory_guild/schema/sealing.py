"""Seal a database, so that no statement can become another tenant, whatever its text; or take the seal away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from memory_guild.database import seal as seals
from memory_guild.database.connecting import connect_for_maintenance
from memory_guild.database.engine import client
from memory_guild.database.groups import catalogue_lock, schemas_with_tables
from memory_guild.database.sqlstate import translated_errors
from memory_guild.errors import InvalidInputError, NoGroupError
from memory_guild.schema.shards import quicken
from memory_guild.settings import SealKey

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]


async def seal(database_url: str | None = None, *, schema: str | None = None, key: str | None = None) -> str:
    """Seal the database as the owner of its tables, and return the key that agents need to open scopes.

    Where it has several groups of tenants, all of them get the same key.

    A sealed database keeps its key, so calling this again only returns it. A running agent without the key cannot open
    scopes any more: give it the key first, or restart it with it. The embedded server is sealed by itself.

    Args:
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that holds the tables; by default ``MEMORY_GUILD_SCHEMA``.
        key: A key to use from now on, 64 hexadecimal digits; by default ``MEMORY_GUILD_SEAL_KEY``, or else the one that
            the database has, or else a new one.

    Returns:
        The key, as ``MEMORY_GUILD_SEAL_KEY`` takes it.

    Raises:
        InvalidInputError: The key is not 64 hexadecimal digits.
        SchemaError: The database lacks migrations.
        PermissionDeniedError: The login does not own the tables.
    """
    try:
        chosen = None if key is None else SealKey.parse(key)
    except ValueError:
        raise InvalidInputError("key", "must be 64 hexadecimal digits") from None
    async with (
        connect_for_maintenance(database_url, schema=schema),
        client().dedicated_connection() as connection,
    ):
        settings = client().settings
        wanted = chosen or settings.seal_key
        async with _all_groups(connection, settings.schema) as groups:
            for group in groups:
                wanted = await seals.seal(connection, group, wanted)
        for group in groups:
            await quicken(connection, group)
    if wanted is None:
        raise NoGroupError
    return wanted.text


async def unseal(database_url: str | None = None, *, schema: str | None = None) -> None:
    """Take the seal away and delete the key, as the owner of the tables: agents need none any more.

    Any statement that changes a setting can then become another tenant. The embedded server is sealed again by the next
    agent that connects.

    Args:
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that holds the tables; by default ``MEMORY_GUILD_SCHEMA``.

    Raises:
        PermissionDeniedError: The login does not own the tables.
    """
    async with (
        connect_for_maintenance(database_url, schema=schema),
        client().dedicated_connection() as connection,
    ):
        async with _all_groups(connection, client().schema) as groups:
            for group in groups:
                await seals.unseal(connection, group)
        for group in groups:
            await quicken(connection, group)


@asynccontextmanager
async def _all_groups(connection: Connection, home: str) -> AsyncIterator[list[str]]:
    """A transaction that changes the seal of all groups, or of none: agents have one key for all of them."""
    with translated_errors():
        async with connection.transaction():
            # Of two that seal at once the second one waits, and who creates a group finds the new key.
            await connection.execute(f"SELECT pg_advisory_xact_lock({catalogue_lock(home)})")
            yield await schemas_with_tables(connection, home)
