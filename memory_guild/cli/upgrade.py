"""``memory-guild upgrade``: apply this version's migrations to the database."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from memory_guild import schema
from memory_guild.cli.console import errors, output


def run(
    search: Annotated[bool, typer.Option("--search", help="Install what recall needs, too.")] = False,
    text_search: Annotated[
        str | None,
        typer.Option(help="How the search reads words, such as german; a change indexes all memories anew."),
    ] = None,
) -> None:
    """Create or upgrade the tables, and give the roles again what they lack. Several processes may run this at once."""
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
