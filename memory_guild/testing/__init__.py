"""A pytest plugin for applications that are built on the package: each test has a database of its own.

``pytest_plugins = ["memory_guild.testing"]`` in the ``conftest.py`` at the top of your tests turns it on.
"""

from memory_guild.testing.plugin import (
    memory_guild_database,
    memory_guild_prepare,
    memory_guild_server,
    memory_guild_template,
    pytest_configure,
    pytest_unconfigure,
)

__all__ = [
    "memory_guild_database",
    "memory_guild_prepare",
    "memory_guild_server",
    "memory_guild_template",
    "pytest_configure",
    "pytest_unconfigure",
]
