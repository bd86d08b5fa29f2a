"""The scripts of the migrations, to run them elsewhere than Aerich does: in a scratch schema."""

from __future__ import annotations

import asyncio

from memory_guild.database.engine import client
from memory_guild.database.migrations import SEARCH, TABLES, applied_migrations, server_folder, server_migrations
from memory_guild.database.statements import statement


async def upgrade_scripts() -> list[str]:
    """The SQL of all migrations that the database has or should have, in order; of the search only where it is.

    The first one is the specification itself. Behind those of the search comes what the database chose afterwards: its
    text search.
    """
    has_search = bool(await applied_migrations(SEARCH))
    apps = [TABLES, SEARCH] if has_search else [TABLES]
    scripts = [await _upgrade_script(app, name) for app in apps for name in server_migrations(app)]
    return [*scripts, await choosing_text_search(await _text_search())] if has_search else scripts


def scratch_settings(*, is_over: bool = False) -> list[str]:
    """What a transaction sets before it makes a scratch schema; or, once that is over, before it does anything else.

    On Citus a scratch schema is the coordinator's own: its tables have their rows there, and no worker hears of them.
    """
    if not client().pool.is_distributed:
        return []
    return [f"SET LOCAL citus.enable_ddl_propagation = {'on' if is_over else 'off'}"]


async def choosing_text_search(qualified: str) -> str:
    """The statement that chooses a configuration of the text search, named with its schema."""
    (row,) = await client().execute_query_dict(statement("schema/choosing_text_search"), [qualified])
    return str(row["format"])


async def _text_search() -> str:
    (row,) = await client().execute_query_dict(statement("schema/text_search"))
    return str(row["format"])


async def _upgrade_script(app: str, name: str) -> str:
    """The SQL of a migration, loaded as Aerich loads it."""
    from aerich.utils import import_py_file  # here: Aerich is slow to import

    migration = await asyncio.to_thread(import_py_file, server_folder(app) / app / name)
    return str(await migration.upgrade(None))
