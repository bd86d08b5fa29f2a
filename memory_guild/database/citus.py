"""Citus: one schema is one group of tenants, on one worker, and agents reach it through the coordinator.

Whether a schema is such a one is asked of the server, never configured: :func:`keeps_apart`. ``travelling`` has what
scopes say there in another way, and the statements that differ are in the folders ``sql/citus``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_guild.database.statements import statement

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]

START_UP = {"citus.override_table_visibility": "off"}
"""Settings of each connection. Hiding the shards makes the driver's question about types take most of a second."""


async def keeps_apart(connection: Connection, schema: str) -> bool:
    """Whether a schema of a server that has Citus is distributed, or is to be: one that is missing.

    Args:
        connection: A connection to the coordinator.
        schema: The schema's name.
    """
    return bool(await connection.fetchval(statement("database/is_distributed"), schema))
