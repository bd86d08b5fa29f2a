"""``memory-guild upgrade``: apply this version's migrations to the database."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from memory_guild import schema
from memory_guild.cli.console import errors, output


def run(
    search: Annotated[bool, typer.Option("--search", help="Install what recall needs, too.")] = False,
    text_search: Annotated[
        str | None,
        typer.Option(help="How the search reads words, such as german; a change indexes all memories anew."),
    ] = None,
    all_groups: Annotated[
        bool, typer.Option("--all-groups", help="Upgrade the catalogue of groups, and each of its groups.")
    ] = False,
) -> None:
    """Create or upgrade the tables, and give the roles again what they lack. Several processes may run this at once."""
    if all_groups:
        if search or text_search is not None:
            raise typer.BadParameter("--all-groups takes no --search and no --text-search: those are of one group each")
        _upgrade_groups()
        return
    mended: list[str] = []
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=errors,
        disable=not search and text_search is None,
    ) as bar:
        task = bar.add_task("installing the search", total=None)

        def show(done: int) -> None:
            bar.update(task, description=f"{done:,} memories indexed")

        applied = asyncio.run(
            schema.upgrade(search=search, text_search=text_search, progress=show, granted=mended.append)
        )
    for name in applied:
        output.print(f"applied {name}", highlight=False)
    for grant in mended:
        output.print(f"mended: {grant}", markup=False, highlight=False)
    if not applied and not mended:
        output.print("nothing to do: the database has every migration")


def _upgrade_groups() -> None:
    """Upgrade all groups, and print what is where. Exit code 1 if one of them failed."""
    with errors.status("Upgrading the groups …") as status:
        done: list[str] = []

        def show(upgraded: schema.groups.GroupUpgrade) -> None:
            done.append(upgraded.group)
            status.update(f"Upgrading the groups: {len(done):,} done …")

        upgrades = asyncio.run(schema.groups.upgrade_all(progress=show))
    table = Table("group", "applied", "state")
    for upgraded in upgrades:
        state = "has every migration" if upgraded.error is None else str(upgraded.error)
        table.add_row(*map(Text, (upgraded.group, ", ".join(upgraded.applied) or "nothing", state)))
    output.print(table, soft_wrap=False)
    if any(upgraded.error for upgraded in upgrades):
        raise typer.Exit(1)
