"""Databases whose search is that of an earlier version."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from aerich import Command

import memory_guild as guild
from memory_guild.database import migrations
from memory_guild.database.connecting import settings_for
from memory_guild.database.migrations import known_migrations
from memory_guild.database.tortoise import separate_tortoise


async def upgrade_to_before(name: str, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Install the search as it was before the migration with this end of a name; that one and the later ones."""
    known = known_migrations("search")
    number = next(number for number, migration in enumerate(known) if migration.endswith(name))
    earlier, later = known[:number], known[number:]
    shutil.copytree(migrations.migrations_folder(), folder / "migrations")
    for migration in later:
        (folder / "migrations" / "search" / migration).unlink()
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "migrations_folder", lambda: folder / "migrations")
        assert await guild.upgrade(url, search=True) == earlier
    return later


async def downgrade_to_before(name: str, url: str) -> list[str]:
    """Take back the search's migration with this end of a name, and all later ones; their names, the last one first."""
    number = next(number for number, migration in enumerate(known_migrations("search")) if migration.endswith(name))
    async with separate_tortoise():
        command = Command(
            settings_for(url, schema=None).tortoise_config(as_owner=True),
            app="search",
            location=str(migrations.migrations_folder()),
        )
        await command.init()
        return await command.downgrade(version=number, delete=False)
