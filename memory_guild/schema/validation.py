"""Validate the database that the settings name: its catalog against the specification and the migrations after it."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import asyncpg

from memory_guild.database.connecting import connect, settings_for
from memory_guild.database.engine import client
from memory_guild.database.migrations import known_migrations, migrations_folder
from memory_guild.database.sqlstate import translate
from memory_guild.schema.catalog import Comparison, compare_catalog


async def validate(database_url: str | None = None, *, schema: str | None = None) -> Comparison:
    """Compare the live catalog of the five tables with what the specification and the migrations make of it.

    Nothing is changed: the specification runs in a scratch schema of the same server, which is rolled back.

    Args:
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that holds the tables; by default ``MEMORY_GUILD_SCHEMA``.

    Returns:
        The differences, by table, kind and name; empty if there are none. Its ``deliberate_indexes`` are those that
        somebody added on purpose, such as with ``memory-guild indexes create``.

    Raises:
        SchemaError: The login may not create the scratch schema.
        RoleMissingError: The server lacks the roles of the tenant scopes, and the login may not create them.
        ConnectionFailedError: The server cannot be used.
    """
    additions = [await _upgrade_script(name) for name in known_migrations()[1:]]
    async with (
        connect(database_url, schema=schema, check_schema=False),
        client().dedicated_connection() as connection,
    ):
        try:
            return await compare_catalog(
                connection, settings_for(database_url, schema=schema).schema, additions=additions
            )
        except asyncpg.PostgresError as error:
            if (ours := translate(error)) is not None:
                raise ours from None
            raise


async def _upgrade_script(name: str) -> str:
    """The SQL of a migration after the first, which is the specification itself."""
    path = migrations_folder() / "models" / name
    return await asyncio.to_thread(_read_script, path)


def _read_script(path: Path) -> str:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(asyncio.run(module.upgrade(None)))
