"""``memory-guild embed``: bring a tenant's vectors up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from memory_guild.cli.console import errors, output
from memory_guild.database.connecting import connect
from memory_guild.search.embedding import embed_pending


def run(
    tenant: Annotated[str, typer.Option(help="The tenant whose memories to embed.", show_default=False)],
    embedder: Annotated[
        str | None, typer.Option(help="The embedder; by default MEMORY_GUILD_EMBEDDER.", show_default=False)
    ] = None,
) -> None:
    """Embed the memories of a tenant that have no vector of their present text. If it is interrupted, run it again."""
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=errors) as bar:
        task = bar.add_task("loading the model", total=None)

        def show(done: int) -> None:
            bar.update(task, description=f"{done:,} vectors stored")

        stored = asyncio.run(_embed(tenant, embedder, show))
    output.print(f"vectors stored  {stored:,}", highlight=False)


async def _embed(tenant: str, embedder: str | None, progress: Callable[[int], None]) -> int:
    async with connect(embedder=embedder):
        return await embed_pending(tenant, progress=progress)
