"""The code's migrations, and those that the database has."""

from __future__ import annotations

from pathlib import Path

from memory_guild.database.engine import client
from memory_guild.database.statements import statement
from memory_guild.errors import MigrationsPendingError, PermissionDeniedError, RoleMissingError, SchemaTooNewError


def migrations_folder() -> Path:
    """Where the migrations are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def known_migrations() -> list[str]:
    """The names of this version's migrations, in order."""
    files = (path for path in (migrations_folder() / "models").glob("*_*.py") if path.stem.split("_")[0].isdigit())
    return [path.name for path in sorted(files, key=lambda path: int(path.stem.split("_")[0]))]


async def applied_migrations() -> list[str]:
    """The names of the migrations that the database has, in order; empty for a database that has none."""
    database = client()
    (found,) = await database.execute_query_dict(statement("database/history_exists"))
    if not found["history_exists"]:
        return []
    return [row["version"] for row in await database.execute_query_dict(statement("database/applied_migrations"))]


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
