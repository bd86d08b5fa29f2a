"""``memory-guild recall``: the memories that answer a question, and why."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.table import Table

from memory_guild.cli.console import output
from memory_guild.database.connecting import connect
from memory_guild.search.recalling import RecalledMemories, recall


def run(
    query: Annotated[str, typer.Argument(help="A question, or any words.", show_default=False)],
    tenant: Annotated[str, typer.Option(help="The tenant whose memories to search.", show_default=False)],
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many memories to show.")] = 10,
    embedder: Annotated[
        str | None, typer.Option(help="The embedder; by default MEMORY_GUILD_EMBEDDER.", show_default=False)
    ] = None,
) -> None:
    """Show the memories of a tenant that answer a question best, with the parts of their scores."""
    results = asyncio.run(_recall(query, tenant, limit, embedder))
    table = Table("score", "words", "vector", "flags", "agent", "memory", "because of")
    for result in results:
        lent = sorted({word for words in result.neighbor_words.values() for word in words})
        reasons = [*result.own_words, *([f"(neighbors: {' '.join(lent)})"] if lent else [])]
        table.add_row(
            f"{result.score:.2f}",
            f"{result.lexical:.2f}",
            f"{result.vector:.2f}",
            " ".join(f"{name} {value:+.1f}" for name, value in result.flags.items()),
            result.agent_id,
            result.content_text,
            " ".join(reasons),
        )
    output.print(table if results else "no memory has a word of it")


async def _recall(query: str, tenant: str, limit: int, embedder: str | None) -> RecalledMemories:
    async with connect(embedder=embedder):
        return await recall(query, tenant_id=tenant, limit=limit)
