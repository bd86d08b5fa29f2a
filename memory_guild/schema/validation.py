"""Validate the database that the settings name against the specification and the later migrations."""

from __future__ import annotations

from memory_guild.database.connecting import connect_for_maintenance, settings_for
from memory_guild.database.engine import client
from memory_guild.database.migrations import is_empty, server_migrations
from memory_guild.database.seal import read_seal
from memory_guild.database.sqlstate import translated_errors
from memory_guild.database.statements import statement
from memory_guild.errors import MigrationsPendingError
from memory_guild.schema.catalog import Comparison, compare_catalog
from memory_guild.schema.scripts import scratch_settings, upgrade_scripts


async def validate(database_url: str | None = None, *, schema: str | None = None) -> Comparison:
    """Compare the live catalog of the five tables with what the specification and the migrations create.

    Nothing is changed: both run in a scratch schema of the same server, which is rolled back.

    Args:
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that holds the tables; by default ``MEMORY_GUILD_SCHEMA``.

    Returns:
        The differences, and the indexes that were added on purpose, as by ``memory-guild indexes create``.

    Raises:
        MigrationsPendingError: The database has no table yet.
        SchemaError: The login may not create the scratch schema.
        RoleMissingError: The server lacks the roles of the tenant scopes, and the login may not create them.
        ConnectionFailedError: The server cannot be used.
    """
    settings = settings_for(database_url, schema=schema)
    async with (
        connect_for_maintenance(database_url, schema=schema),
        client().dedicated_connection() as connection,
    ):
        if await is_empty():
            raise MigrationsPendingError(server_migrations())
        _, *additions = await upgrade_scripts()
        with translated_errors():
            if (await read_seal(connection, settings.schema)).is_sealed:
                additions.append(statement(f"database/{'citus/' * client().pool.is_distributed}seal_policies"))
            return await compare_catalog(connection, settings.schema, additions=additions, settings=scratch_settings())
