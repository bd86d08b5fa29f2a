"""``memory-guild upgrade``: apply this version's migrations to the database."""

from __future__ import annotations

import asyncio

from memory_guild import schema
from memory_guild.cli.console import output


def run() -> None:
    """Create or upgrade the tables. Several processes may run this at once."""
    applied = asyncio.run(schema.upgrade())
    for name in applied:
        output.print(f"applied {name}", highlight=False)
    if not applied:
        output.print("nothing to do: the database has every migration")
