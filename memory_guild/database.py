"""Connecting: Tortoise set up from the environment, the pool opened, and the schema checked against the code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from tortoise.context import TortoiseContext

from memory_guild.engine import client
from memory_guild.errors import MigrationsPendingError, PermissionDeniedError, RoleMissingError, SchemaTooNewError
from memory_guild.isolation import check_isolation
from memory_guild.settings import DatabaseUrl, Settings
from memory_guild.sql import statement


def settings_for(database_url: str | None = None, *, schema: str | None = None) -> Settings:
    """The environment's settings, with what the caller says instead."""
    settings = Settings.from_environment()
    if database_url is not None:
        settings = replace(settings, database_url=DatabaseUrl.parse(database_url))
    return settings if schema is None else replace(settings, schema=schema)


@asynccontextmanager
async def connect(
    database_url: str | None = None, *, schema: str | None = None, check_schema: bool = True
) -> AsyncIterator[TortoiseContext]:
    """Set up Tortoise, open the pool, check the schema; close it all at the end.

    An agent that calls ``Tortoise.init(config=TORTOISE_ORM)`` itself does not need this.

    Args:
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that holds the tables; by default ``MEMORY_GUILD_SCHEMA``.
        check_schema: Whether to refuse a database whose migrations are not the code's, or that isolates no tenants.

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
        await context.init(config=settings_for(database_url, schema=schema).tortoise_config())
        await client().create_connection(with_db=True)
        if check_schema:
            await check_migrations()
            await check_isolation()
        yield context


def migrations_folder() -> Path:
    """Where the migrations are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def known_migrations() -> list[str]:
    """The names of this version's migrations, in order."""
    files = (path for path in (migrations_folder() / "models").glob("*_*.py") if path.stem.split("_")[0].isdigit())
    return [path.name for path in sorted(files, key=lambda path: int(path.stem.split("_")[0]))]


async def applied_migrations() -> list[str]:
    """The names of the migrations that the database has, in order; empty for a database that has none."""
    database = client()
    (found,) = await database.execute_query_dict(statement("history_exists"))
    if not found["history_exists"]:
        return []
    return [row["version"] for row in await database.execute_query_dict(statement("applied_migrations"))]


async def check_migrations() -> None:
    """Compare the database's migrations with the code's.

    Raises:
        MigrationsPendingError: The database lacks some.
        SchemaTooNewError: The database has some that the code does not know.
        RoleMissingError: The login may not ask, because it does not inherit from the application role.
    """
    try:
        known, applied = known_migrations(), await applied_migrations()
    except PermissionDeniedError:
        raise RoleMissingError(
            "this login may not read which migrations the database has; let a DBA run: GRANT memory_guild_app TO the"
            " login, which must INHERIT"
        ) from None
    if unknown := [name for name in applied if name not in known]:
        raise SchemaTooNewError(unknown)
    if pending := [name for name in known if name not in applied]:
        raise MigrationsPendingError(pending)
