"""``memory-guild groups``: several schemas, each for some of the tenants."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from memory_guild.cli.commands import Commands
from memory_guild.cli.console import errors, output
from memory_guild.schema import groups as library

commands = Commands("groups", "Groups of tenants: create and list them, and move a tenant.")


@commands.command()
def create(
    name: Annotated[str, typer.Argument(help="The schema; it is created if it is missing.")],
    like: Annotated[
        str | None,
        typer.Option(
            help="The group to take data sources, access policies and search from; by default the oldest.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make the first group although others are connected to the database.")
    ] = False,
) -> None:
    """Create a group, to which new tenants go from now on. Stop your agents before the first one is created."""
    with errors.status("Creating the group …"):
        is_new = asyncio.run(library.create(name, like=like, force=force))
    output.print(f"{name}: {'created' if is_new else 'existed already'}", markup=False, highlight=False)


@commands.command("list")
def list_groups(
    tenant: Annotated[str | None, typer.Option(help="Print the group of this tenant only.", show_default=False)] = None,
) -> None:
    """Print the groups with their tenants and sizes, the oldest first."""
    if tenant is not None:
        group = asyncio.run(library.group_of(tenant))
        output.print("this tenant is in no group" if group is None else group, markup=False, highlight=False)
        return
    found = asyncio.run(library.list_all())
    if not found:
        output.print("this database has no groups")
        return
    table = Table("group", "tenants", "MB", "created")
    for group_found in found:
        table.add_row(
            Text(group_found.name),
            f"{group_found.tenants:,}",
            f"{group_found.size_bytes / 1_000_000:,.1f}",
            group_found.created_at.isoformat(timespec="seconds"),
        )
    output.print(table, soft_wrap=False)


@commands.command("move-tenant")
def move_tenant(
    tenant: Annotated[str, typer.Argument(help="The tenant.")],
    group: Annotated[str, typer.Argument(help="The group that it is to be in.")],
) -> None:
    """Move all that a tenant has to another group. Its agents wait meanwhile, and lose nothing."""
    with errors.status("Moving the tenant; this waits for its open scopes …"):
        move = asyncio.run(library.move_tenant(tenant, group))
    if move.source == move.target:
        output.print(f"{tenant}: is in {group} already", markup=False, highlight=False)
        return
    moved = ", ".join(f"{rows:,} of {table}" for table, rows in move.rows.items() if rows)
    output.print(f"{tenant}: moved from {move.source} to {group}; {moved or 'no rows'}", markup=False, highlight=False)
