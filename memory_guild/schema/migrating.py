"""Upgrade the database to this version's migrations with Aerich, one process at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from memory_guild.database.connecting import connect_for_maintenance, settings_for
from memory_guild.database.engine import client
from memory_guild.database.migrations import (
    applied_migrations,
    known_migrations,
    migrations_folder,
    refuse_tables_of_others,
)
from memory_guild.database.statements import statement
from memory_guild.database.tortoise import separate_tortoise
from memory_guild.errors import SchemaTooNewError
from memory_guild.schema.rights import restore_rights

_SECONDS_BETWEEN_ATTEMPTS = 0.1


async def upgrade(
    database_url: str | None = None, *, schema: str | None = None, progress: Callable[[str], None] | None = None
) -> list[str]:
    """Apply the migrations that the database lacks, each in its own transaction.

    Several processes may call this at once: one applies the migrations, the others wait and find nothing to do. If the
    roles of the scopes are missing or lack what the migrations gave them, as after a restore on another server, they
    get it again.

    Args:
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that holds the tables, created if it is missing; by default ``MEMORY_GUILD_SCHEMA``.
        progress: Called with each statement that gave the roles what they lacked.

    Returns:
        The names of the migrations that this call applied, in order.

    Raises:
        SchemaTooNewError: The database has migrations that this code does not know; nothing was changed.
        TablesExistError: The database has tables of these names from elsewhere; nothing was changed.
        UnsupportedEncodingError: The database is not in UTF-8.
        ConnectionFailedError: The server cannot be used.
    """
    async with (
        connect_for_maintenance(database_url, schema=schema),
        client().dedicated_connection() as lock,
        lock.transaction(),
    ):
        # The lock has its own connection: a migration that commits or fails must not release it.
        await lock.execute("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
        while not await lock.fetchval(statement("schema/upgrade_lock")):  # noqa: ASYNC110 - another process ends it
            await asyncio.sleep(_SECONDS_BETWEEN_ATTEMPTS)
        known, present = known_migrations(), await applied_migrations()
        if unknown := [name for name in present if name not in known]:
            raise SchemaTooNewError(unknown)
        await refuse_tables_of_others([name for name in known if name not in present])
        from aerich import Command  # here: it takes a tenth of a second to import

        command = Command(
            settings_for(database_url, schema=schema).tortoise_config(as_owner=True),
            location=str(migrations_folder()),
        )
        async with separate_tortoise():
            await command.init()
            applied = await command.upgrade()
        for grant in await restore_rights(lock, client().schema):
            if progress is not None:
                progress(grant)
        return applied
