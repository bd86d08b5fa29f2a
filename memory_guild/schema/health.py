"""The doctor: everything that decides whether this database works, and how to mend what does not."""

from __future__ import annotations

from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.database.isolation import Finding, findings, isolation_facts
from memory_guild.database.migrations import check_migrations
from memory_guild.errors import MigrationsPendingError, RoleMissingError, SchemaTooNewError


async def doctor(database_url: str | None = None, *, schema: str | None = None) -> list[Finding]:
    """Everything that decides whether tenants are isolated here, and how to mend what is not.

    Args:
        database_url: The server; by default ``MEMORY_GUILD_DATABASE_URL``, and without it the embedded one.
        schema: The schema that holds the tables; by default ``MEMORY_GUILD_SCHEMA``.

    Raises:
        ConnectionFailedError: The server cannot be used.
    """
    async with connect(database_url, schema=schema, check_schema=False):
        return [await _migrations(), *findings(await isolation_facts()), await _pooler()]


async def _migrations() -> Finding:
    try:
        await check_migrations()
    except MigrationsPendingError as error:
        return Finding("broken", "migrations", str(error), "run `memory-guild upgrade`")
    except SchemaTooNewError as error:
        return Finding("broken", "migrations", str(error), "install a newer memory-guild")
    except RoleMissingError as error:
        return Finding("broken", "migrations", str(error), "GRANT memory_guild_app TO the login, which must INHERIT")
    return Finding("ok", "migrations", "the database has this version's migrations")


async def _pooler() -> Finding:
    """A pooler announces a process id of its own when a client connects."""
    async with client().dedicated_connection() as connection:
        direct = connection.get_server_pid() == await connection.fetchval("SELECT pg_backend_pid()")
    told = client().settings.pooler
    if direct and told:
        return Finding("notice", "pooler", "MEMORY_GUILD_POOLER is set, but no pooler stands between", "unset it")
    if not direct and not told:
        return Finding(
            "broken",
            "pooler",
            "a pooler stands between, and prepared statements may reach the wrong connection",
            "set MEMORY_GUILD_POOLER=1",
        )
    return Finding("ok", "pooler", "none" if direct else "between, and MEMORY_GUILD_POOLER is set")
