"""``memory-guild seal``: no statement becomes another tenant, whatever its text."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from memory_guild import schema
from memory_guild.cli.console import errors, output
from memory_guild.settings import SealKey


def run(
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Replace the key; the old one opens nothing more.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the seal away, and delete the key.")] = False,
) -> None:
    """Seal the database and print the key that agents need, for MEMORY_GUILD_SEAL_KEY.

    A sealed database keeps its key, and the command prints it again. Run it as the owner of the tables.
    """
    if remove:
        asyncio.run(schema.unseal())
        errors.print("the seal is removed: a statement that changes the tenant's setting reaches another tenant")
    else:
        key = asyncio.run(schema.seal(key=SealKey.new().text if new_key else None))
        output.print(key, markup=False, highlight=False)
