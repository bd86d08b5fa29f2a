"""``memory-guild indexes``: more indexes than the specification's, for those who want them."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from memory_guild.cli.console import errors, output
from memory_guild.schema import indexes as library

Names = Annotated[list[str] | None, typer.Argument(help="Which indexes; all of them by default.", show_default=False)]

commands = typer.Typer(
    name="indexes", help="More indexes than the specification's: recommend, create, drop.", no_args_is_help=True
)

_STATES = {
    "missing": "not there",
    "invalid": "there, but invalid: its build is under way or was interrupted",
    "unmarked": "there and valid, but `memory-guild validate` does not know that it is wanted",
    "valid": "there and valid",
    "different": "something else has this name; rename or drop it first",
}
_OUTCOMES = {
    "created": "created",
    "repaired": "built again: an interrupted build had left it invalid",
    "marked": "was there already, and is now marked as wanted",
    "kept": "was there already",
    "dropped": "dropped",
    "absent": "was not there",
}


@commands.command()
def recommend(names: Names = None) -> None:
    """Print what each index is for, whether it is there, and the statements that create would run, for psql."""
    for index in asyncio.run(library.recommend(names=names or ())):
        _print(f"-- {index.name}: {index.purpose}", f"-- {_STATES[index.state]}")
        _print(*(f"{text};" for text in index.statements), "")


@commands.command()
def create(names: Names = None) -> None:
    """Build what is missing, while agents go on reading and writing; repair what an interrupted build has left."""
    with errors.status("Building indexes, which waits for open transactions …"):
        asyncio.run(library.create(names=names or (), progress=_print_change))


@commands.command()
def drop(names: Names = None) -> None:
    """Drop what is there, while agents go on reading and writing."""
    with errors.status("Dropping indexes, which waits for open transactions …"):
        asyncio.run(library.drop(names=names or (), progress=_print_change))


def _print_change(change: library.IndexChange) -> None:
    _print(f"{change.name}: {_OUTCOMES[change.outcome]}")


def _print(*lines: str) -> None:
    for line in lines:
        output.print(line, markup=False, highlight=False)
