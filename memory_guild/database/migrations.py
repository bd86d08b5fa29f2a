"""The migrations of the code, and those that the database has applied."""

from __future__ import annotations

from pathlib import Path

from memory_guild.database.engine import client
from memory_guild.database.statements import statement
from memory_guild.errors import (
    MigrationsPendingError,
    PermissionDeniedError,
    RoleMissingError,
    SchemaTooNewError,
    TablesExistError,
)

TABLES, SEARCH, GROUPS = "models", "search", "groups"
"""The apps that have migrations: the five tables, and what a database may do without: the search, and groups."""

_TABLES_OF = {
    TABLES: [
        "memory_records",
        "memory_embeddings",
        "memory_relationships",
        "data_sources",
        "memory_access_policies",
        "memory_audit",
        "memory_sources",
    ],
    SEARCH: [
        "memory_words",
        "memory_word_counts",
        "memory_vectors",
        "memory_own_vectors",
        "memory_vector_models",
        "memory_vector_indexes",
        "memory_vector_outbox",
    ],
    GROUPS: ["memory_groups", "memory_placements"],
}
"""The tables of each app. A migration that describes the first one is of that app."""


def migrations_folder() -> Path:
    """Where the migrations are: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def server_folder(app: str = TABLES) -> Path:
    """Where the folder of an app's migrations for the task's database is: on Citus the tenants' tables have others."""
    is_other = client().pool.is_distributed and app != GROUPS
    return migrations_folder() / "citus" if is_other else migrations_folder()


def known_migrations(app: str = TABLES, folder: Path | None = None) -> list[str]:
    """The names of this version's migrations of an app, in order.

    Args:
        app: The app.
        folder: Where they are; by default those for plain PostgreSQL.
    """
    files = (path for path in ((folder or migrations_folder()) / app).glob("*_*.py"))
    numbered = {int(path.stem.split("_")[0]): path.name for path in files if path.stem.split("_")[0].isdigit()}
    return [name for _, name in sorted(numbered.items())]


def server_migrations(app: str = TABLES) -> list[str]:
    """The names of this version's migrations of an app for the task's database, in order."""
    return known_migrations(app, server_folder(app))


async def applied_migrations(app: str = TABLES) -> list[str]:
    """The names of an app's migrations that the database has, in order; those of a newer version too.

    Another application may keep account of its own migrations in the same table, under the same label. Those are left
    out.
    """
    database, known = client(), server_migrations(app)
    (found,) = await database.execute_query_dict(statement("database/history_exists"))
    if not found["history_exists"]:
        return []
    recorded = await database.execute_query_dict(statement("database/applied_migrations"), [app, known])
    return [
        row["version"]
        for row in recorded
        if row["version"] in known or _is_of_a_newer_version(app, row["version"], row["tables"], len(known))
    ]


def _is_of_a_newer_version(app: str, name: str, tables: list[str], known: int) -> bool:
    """Whether a migration that this code does not know is the package's.

    The label does not tell. The package's have a number after the last one that is known, and describe its own tables
    and no others.
    """
    number = name.partition("_")[0]
    is_later = number.isdecimal() and int(number) >= known
    are_ours = all(table and table.startswith(("memory_", "data_sources", "aerich")) for table in tables)
    return is_later and are_ours and (not tables or _TABLES_OF[app][0] in tables)


async def tables_that_exist(app: str = TABLES) -> list[str]:
    """Which of an app's tables exist, whoever created them."""
    rows = await client().execute_query_dict(statement("database/tables_that_exist"), [_TABLES_OF[app]])
    return [row["name"] for row in rows]


async def is_empty() -> bool:
    """Whether the package has nothing in the database: none of its tables, and no migration that was ever applied."""
    return not await tables_that_exist() and not await applied_migrations()


async def refuse_tables_of_others(pending: list[str], app: str = TABLES) -> None:
    """Raise where an app's first migration would create tables that are there already.

    Raises:
        TablesExistError: They are.
    """
    if server_migrations(app)[:1] == pending[:1] and (tables := await tables_that_exist(app)):
        raise TablesExistError(tables)


async def check_catalogue() -> None:
    """Compare the migrations of the catalogue of groups with the code's.

    Raises:
        MigrationsPendingError: The catalogue lacks some.
        SchemaTooNewError: It has some that the code does not know.
        RoleMissingError: The login may not ask, because it does not inherit from the application role.
    """
    await _compare([GROUPS])


async def check_migrations() -> None:
    """Compare the database's migrations with the code's; those of the search only where it is installed.

    Raises:
        MigrationsPendingError: The database lacks some.
        TablesExistError: The database has the tables, and not from the package's migrations.
        SchemaTooNewError: The database has some that the code does not know.
        RoleMissingError: The login may not ask, because it does not inherit from the application role.
    """
    await _compare([TABLES, SEARCH])


async def _compare(apps: list[str]) -> None:
    known: list[str] = []
    applied: list[str] = []
    try:
        for app in apps:
            of_app = await applied_migrations(app)
            if of_app or app == apps[0]:
                known += server_migrations(app)
                applied += of_app
    except PermissionDeniedError:
        raise RoleMissingError(
            "this login may not read which migrations the database has; let a DBA run: GRANT memory_guild_app TO the"
            " login, which must INHERIT"
        ) from None
    if unknown := [name for name in applied if name not in known]:
        raise SchemaTooNewError(unknown)
    if pending := [name for name in known if name not in applied]:
        await refuse_tables_of_others(pending, apps[0])
        raise MigrationsPendingError(pending)
