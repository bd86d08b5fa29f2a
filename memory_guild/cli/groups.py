"""``memory-guild groups``: several schemas, each for some of the tenants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from memory_guild.cli.commands import Commands
from memory_guild.cli.console import errors, output
from memory_guild.schema import groups as library

commands = Commands("groups", "Groups of tenants: create and list them, move a tenant, or on Citus a whole group.")

Online = Annotated[
    bool, typer.Option("--online", help="Let writes go on; they wait only for a moment at the end. It takes longer.")
]


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
    has_nodes = any(group_found.node is not None for group_found in found)
    table = Table("group", *["worker"] * has_nodes, "tenants", "MB", "created")
    for group_found in found:
        table.add_row(
            Text(group_found.name),
            *[Text(group_found.node or "")] * has_nodes,
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


@commands.command()
def move(
    group: Annotated[str, typer.Argument(help="The group.")],
    node: Annotated[str, typer.Argument(help="The worker, as host:port; `groups list` shows them.")],
    online: Online = False,
) -> None:
    """Move a group to another worker of Citus. Writes to it wait meanwhile, reads go on."""
    with _bars() as show:
        moved = asyncio.run(library.move(group, node, online=online, progress=show))
    if moved.source == moved.target:
        output.print(f"{group}: is on {node} already", markup=False, highlight=False)
    else:
        _print_move(moved)


@commands.command()
def rebalance(online: Online = False) -> None:
    """Move groups until the workers of Citus have about as much each, as after a worker was added."""
    with _bars() as show:
        moves = asyncio.run(library.rebalance(online=online, progress=show))
    for moved in moves:
        _print_move(moved)
    if not moves:
        output.print("nothing to do: the workers have about as much each")


def _print_move(moved: library.GroupMove) -> None:
    output.print(f"{moved.group}: moved from {moved.source} to {moved.target}", markup=False, highlight=False)


@contextmanager
def _bars() -> Iterator[Callable[[library.GroupMove], None]]:
    """A progress bar for each group that moves."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors) as bars:
        tasks: dict[str, TaskID] = {}

        def show(moving: library.GroupMove) -> None:
            if moving.group not in tasks:
                tasks[moving.group] = bars.add_task(f"{moving.group} to {moving.target}", total=1.0)
            bars.update(tasks[moving.group], completed=moving.fraction)

        yield show
