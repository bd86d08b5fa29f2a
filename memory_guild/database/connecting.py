"""Connecting: Tortoise set up from the environment, the pool opened, and the schema checked against the code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from tortoise.context import TortoiseContext

from memory_guild.database.engine import client
from memory_guild.database.isolation import check_isolation
from memory_guild.database.migrations import check_migrations
from memory_guild.settings import DatabaseUrl, Settings


def settings_for(database_url: str | None = None, *, schema: str | None = None) -> Settings:
    """The environment's settings, with what the caller says instead."""
    settings = Settings.from_environment()
    if database_url is not None:
        settings = replace(settings, database_url=DatabaseUrl.parse(database_url))
    return settings if schema is None else replace(settings, schema=schema)


@asynccontextmanager
async def connect(
    database_url: str | None = None,
    *,
    schema: str | None = None,
    check_schema: bool = True,
    as_owner: bool = False,
) -> AsyncIterator[TortoiseContext]:
    """Set up Tortoise, open the pool, check the schema; close it all at the end.

    An agent that calls ``Tortoise.init(config=TORTOISE_ORM)`` itself does not need this.

    Args:
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that holds the tables; by default ``MEMORY_GUILD_SCHEMA``.
        check_schema: Whether to refuse a database whose migrations are not the code's, or that isolates no tenants.
        as_owner: Whether to connect to the embedded server as the owner of the tables, a superuser, instead of the
            agents' login. It changes nothing where a database is configured.

    Yields:
        Tortoise's context, which the tasks started inside the block share.

    Raises:
        SettingsError: The environment or the URL cannot be used.
        ConnectionFailedError: The server cannot be used.
        EmbeddedServerError: The embedded server cannot be started.
        MigrationsPendingError: The database needs ``memory-guild upgrade``.
        SchemaTooNewError: The code is older than the database.
        RoleMissingError: This login has nothing of the application role.
        IsolationError: This login's scopes would not isolate tenants; the error lists why.
    """
    async with TortoiseContext() as context:
        await context.init(config=settings_for(database_url, schema=schema).tortoise_config(as_owner=as_owner))
        await client().create_connection(with_db=True)
        if check_schema:
            await check_migrations()
            await check_isolation()
        yield context
