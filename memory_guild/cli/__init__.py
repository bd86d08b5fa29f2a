"""The command ``memory-guild``: one file per command, each of which calls the library and prints."""

from __future__ import annotations

import sys

import typer

from memory_guild.cli.console import errors
from memory_guild.cli.demo import demo
from memory_guild.cli.doctor import doctor
from memory_guild.cli.indexes import indexes
from memory_guild.cli.ingest import ingest
from memory_guild.cli.server import server
from memory_guild.cli.upgrade import upgrade
from memory_guild.cli.validate import validate
from memory_guild.errors import MemoryGuildError

app = typer.Typer(
    name="memory-guild",
    help="The data layer that AI agents trust with their memory.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(doctor)
app.command()(ingest)
app.command()(upgrade)
app.command()(validate)
app.add_typer(indexes)
app.add_typer(server)


def main() -> None:
    """Run the command; an error that the package raises on purpose is one line on standard error, and exit code 1."""
    try:
        app()
    except MemoryGuildError as error:
        errors.print(f"memory-guild: {error}", style="red", markup=False, highlight=False)
        sys.exit(1)
