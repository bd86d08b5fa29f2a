"""``memory-guild upgrade``: apply this version's migrations to the database."""

from __future__ import annotations

import asyncio

from memory_guild import schema
from memory_guild.cli.console import output


def run() -> None:
    """Create or upgrade the tables, and give the roles again what they lack. Several processes may run this at once."""
    mended: list[str] = []
    applied = asyncio.run(schema.upgrade(progress=mended.append))
    for name in applied:
        output.print(f"applied {name}", highlight=False)
    for grant in mended:
        output.print(f"mended: {grant}", markup=False, highlight=False)
    if not applied and not mended:
        output.print("nothing to do: the database has every migration")
