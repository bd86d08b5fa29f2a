"""The command ``memory-guild``: one file per command. Each calls the library and prints."""

from __future__ import annotations

import sys

import typer

from memory_guild.cli import demo, doctor, indexes, ingest, seal, server, upgrade, validate
from memory_guild.cli.console import errors
from memory_guild.errors import MemoryGuildError

app = typer.Typer(
    name="memory-guild",
    help="The data layer that AI agents trust with their memory.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.run)
app.command("doctor")(doctor.run)
app.command("ingest")(ingest.run)
app.command("seal")(seal.run)
app.command("upgrade")(upgrade.run)
app.command("validate")(validate.run)
app.add_typer(indexes.commands)
app.add_typer(server.commands)


def main() -> None:
    """Run the command. An error of the package is one line on standard error, and exit code 1."""
    try:
        app()
    except MemoryGuildError as error:
        errors.print(f"memory-guild: {error}", style="red", markup=False, highlight=False)
        sys.exit(1)
