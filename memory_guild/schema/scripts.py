"""The scripts of the migrations, to run them elsewhere than Aerich does: in a scratch schema."""

from __future__ import annotations

import asyncio

from memory_guild.database.migrations import migrations_folder


async def upgrade_script(name: str) -> str:
    """The SQL of a migration, loaded as Aerich loads it."""
    from aerich.utils import import_py_file  # here: Aerich is slow to import

    migration = await asyncio.to_thread(import_py_file, migrations_folder() / "models" / name)
    return str(await migration.upgrade(None))
