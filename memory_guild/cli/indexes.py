"""``memory-guild indexes``: optional indexes beside the specification's."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from memory_guild.cli.commands import Commands
from memory_guild.cli.console import errors, output
from memory_guild.schema import indexes as library

Names = Annotated[list[str] | None, typer.Argument(help="Which indexes; all of them by default.", show_default=False)]

MinVectors = Annotated[
    int,
    typer.Option("--min-vectors", min=1, help="From how many vectors by one model on a tenant gets an index for them."),
]

commands = Commands("indexes", "Optional indexes: recommend, create, drop.")

_STATES = {
    "missing": "missing",
    "invalid": "invalid: it is being built, or its build was interrupted",
    "unmarked": "valid, but without the comment that tells `memory-guild validate` that it is wanted",
    "valid": "valid",
    "different": "something else has this name; rename or drop it first",
    "leftover": "the vectors that it was for are gone; drop it",
}
_OUTCOMES = {
    "created": "created",
    "repaired": "built again, because an interrupted build had left it invalid",
    "marked": "existed already; now marked as wanted",
    "kept": "existed already",
    "dropped": "dropped",
    "absent": "did not exist",
}


@commands.command()
def recommend(names: Names = None, min_vectors: MinVectors = library.MIN_VECTORS) -> None:
    """Print what each index is for, its state, and the statements that create would run, as a script for psql."""
    for index in asyncio.run(library.recommend(names=names or (), min_vectors=min_vectors)):
        _print(f"-- {index.name}: {index.purpose}", f"-- {_STATES[index.state]}")
        _print(*(f"{text};" for text in index.statements), "")


@commands.command()
def create(names: Names = None, min_vectors: MinVectors = library.MIN_VECTORS) -> None:
    """Build the missing indexes and repair invalid ones, while agents keep reading and writing."""
    with errors.status("Building indexes; each build waits for open transactions …"):
        asyncio.run(library.create(names=names or (), min_vectors=min_vectors, progress=_print_change))


@commands.command()
def drop(names: Names = None) -> None:
    """Drop the optional indexes, while agents keep reading and writing."""
    with errors.status("Dropping indexes; this waits for open transactions …"):
        asyncio.run(library.drop(names=names or (), progress=_print_change))


def _print_change(change: library.IndexChange) -> None:
    _print(f"{change.name}: {_OUTCOMES[change.outcome]}")


def _print(*lines: str) -> None:
    for line in lines:
        output.print(line, markup=False, highlight=False)
