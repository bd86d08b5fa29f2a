"""Sealed scopes: whether a database is sealed, and how to seal it.

In a sealed database a transaction is a tenant's only after it was opened by somebody who has the key, so no statement,
whatever its text, can become another tenant. The migration ``2_…_sealed_scopes`` says how the database checks it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from memory_guild.database.citus import keeps_apart
from memory_guild.database.opening import Seal
from memory_guild.database.quoting import quote_identifier
from memory_guild.database.scripts import single_statements
from memory_guild.database.statements import statement
from memory_guild.errors import SchemaError
from memory_guild.settings import SealKey

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]


async def read_seal(connection: Connection, schema: str) -> Seal:
    """The seal of a schema; the owner of the tables may read the key."""
    return await seal_of(connection, schema, await state_of(connection, schema))


async def seal_of(connection: Connection, schema: str, state: Any) -> Seal:
    """The seal of a schema whose state was read."""
    if not state["is_sealed"] or not state["may_read_key"]:
        return Seal(state["is_sealed"], None)
    async with _inside(connection, schema):
        return Seal(True, await _stored_key(connection))


async def seal_where_possible(connection: Connection, schema: str, key: SealKey | None = None) -> Seal:
    """Seal a schema as the owner of its tables, unless it has no place for a key yet."""
    state = await state_of(connection, schema)
    if not state["can_be_sealed"]:
        return Seal(key is not None, key)
    return Seal(True, await seal(connection, schema, key))


async def seal(connection: Connection, schema: str, key: SealKey | None = None) -> SealKey:
    """Seal a schema, as the owner of its tables.

    Args:
        connection: A connection. If it is in a transaction, the seal is part of that.
        schema: The schema that holds the tables.
        key: The key; by default the one that is stored, or else a new one.

    Returns:
        The key that opens scopes from now on.

    Raises:
        SchemaError: The database lacks the migration.
    """
    state = await state_of(connection, schema)
    if not state["can_be_sealed"]:
        raise SchemaError("the database has no place for a key yet; run `memory-guild upgrade`")
    async with _inside(connection, schema):
        stored = await _stored_key(connection)
    if state["is_sealed"] and stored is not None and key in (None, stored):
        return stored
    async with _inside(connection, schema):
        # First of all: of two that seal at once, the second finds the key of the first.
        await connection.execute("LOCK TABLE memory_guild_seal IN ACCESS EXCLUSIVE MODE")
        chosen = key or await _stored_key(connection) or SealKey.new()
        await connection.execute("DELETE FROM memory_guild_seal")
        await connection.execute(
            "INSERT INTO memory_guild_seal (inner_key, outer_key) VALUES ($1, $2)", chosen.inner, chosen.outer
        )
        await _run(connection, schema, state, "seal_policies")
    return chosen


async def unseal(connection: Connection, schema: str) -> None:
    """Take the seal away and forget the key: the tenant is a setting again, which any statement can change."""
    state = await state_of(connection, schema)
    if not state["can_be_sealed"]:
        return
    async with _inside(connection, schema):
        await connection.execute("DELETE FROM memory_guild_seal")
        await _run(connection, schema, state, "unseal_policies")


async def _run(connection: Connection, schema: str, state: Any, script: str) -> None:
    """Run a script that changes the policies: on Citus another one, and its statements one by one."""
    if state["has_citus"] and await keeps_apart(connection, schema):
        for one in single_statements(statement(f"database/citus/{script}")):
            await connection.execute(one)
    else:
        await connection.execute(statement(f"database/{script}"))


@asynccontextmanager
async def _inside(connection: Connection, schema: str) -> AsyncIterator[None]:
    async with connection.transaction():
        await connection.execute(f"SET LOCAL search_path = {quote_identifier(schema)}")
        yield


async def state_of(connection: Connection, schema: str) -> Any:
    """What a schema's catalog says of its seal, and of the server: one row."""
    return await connection.fetchrow(statement("database/seal_state"), schema)


async def _stored_key(connection: Connection) -> SealKey | None:
    inner = await connection.fetchval("SELECT inner_key FROM memory_guild_seal ORDER BY created_at DESC LIMIT 1")
    return None if inner is None else SealKey.of_inner(inner)
