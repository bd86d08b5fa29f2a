"""The scripts of the migrations, to run them elsewhere than Aerich does: in a scratch schema."""

from __future__ import annotations

import asyncio

from memory_guild.database.migrations import SEARCH, TABLES, applied_migrations, known_migrations, migrations_folder


async def upgrade_scripts() -> list[str]:
    """The SQL of all migrations that the database has or should have, in order; of the search only where it is.

    The first one is the specification itself.
    """
    apps = [TABLES, SEARCH] if await applied_migrations(SEARCH) else [TABLES]
    return [await _upgrade_script(app, name) for app in apps for name in known_migrations(app)]


async def _upgrade_script(app: str, name: str) -> str:
    """The SQL of a migration, loaded as Aerich loads it."""
    from aerich.utils import import_py_file  # here: Aerich is slow to import

    migration = await asyncio.to_thread(import_py_file, migrations_folder() / app / name)
    return str(await migration.upgrade(None))
