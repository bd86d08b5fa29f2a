"""Give the roles of the scopes again what the migrations gave them: after a restore on a server without the roles.

A dump names the roles and does not create them. Where they are missing, the restore leaves out all that is about them.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from memory_guild.database.sqlstate import translated_errors
from memory_guild.database.statements import statement
from memory_guild.schema.scripts import scratch_settings, upgrade_scripts

if TYPE_CHECKING:
    import asyncpg


async def restore_rights(connection: asyncpg.Connection[asyncpg.Record], schema: str) -> list[str]:
    """Create the roles where they are missing, and grant what they lack, inside the connection's transaction.

    The migrations themselves say what that is: they run once more, in a scratch schema that is dropped again. What
    somebody has granted beyond it stays.

    Args:
        connection: The owner's, with the schema as its search_path, in a transaction.
        schema: The schema that holds the tables.

    Returns:
        The statements that were run; empty where nothing was lacking.

    Raises:
        RoleMissingError: The login may not create the roles; the message has what a DBA must run.
        PermissionDeniedError: The login may not create a schema, or does not own the tables.
    """
    if not await connection.fetchval(statement("schema/rights_are_lacking")):
        return []
    scripts = await upgrade_scripts()
    scratch = f"memory_guild_rights_{secrets.token_hex(8)}"
    with translated_errors():
        for setting in scratch_settings():
            await connection.execute(setting)
        await connection.execute(f"CREATE SCHEMA {scratch}")
        await _search(connection, scratch)
        for script in scripts:
            await connection.execute(script)
        lacking = [
            row["statement"] for row in await connection.fetch(statement("schema/lacking_rights"), scratch, schema)
        ]
        await connection.execute(f"DROP SCHEMA {scratch} CASCADE")
        for setting in scratch_settings(is_over=True):
            await connection.execute(setting)
        await _search(connection, schema)
        for grant in lacking:
            await connection.execute(grant)
    return lacking


async def _search(connection: asyncpg.Connection[asyncpg.Record], schema: str) -> None:
    await connection.execute("SELECT set_config('search_path', quote_ident($1::text), true)", schema)
