"""The command ``memory-guild``: one file per command. Each calls the library and prints."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from memory_guild import __version__
from memory_guild.cli import (
    audit,
    demo,
    doctor,
    embed,
    groups,
    indexes,
    ingest,
    policy,
    recall,
    seal,
    server,
    sync,
    upgrade,
    validate,
)
from memory_guild.cli.commands import Commands
from memory_guild.cli.console import errors, output
from memory_guild.errors import MemoryGuildError

app = Commands("memory-guild", "The data layer that AI agents trust with their memory.")
app.command("audit")(audit.run)
app.command("demo")(demo.run)
app.command("doctor")(doctor.run)
app.command("embed")(embed.run)
app.command("ingest")(ingest.run)
app.command("recall")(recall.run)
app.command("seal")(seal.run)
app.command("sync")(sync.run)
app.command("upgrade")(upgrade.run)
app.command("validate")(validate.run)
app.add_typer(groups.commands)
app.add_typer(indexes.commands)
app.add_typer(policy.commands)
app.add_typer(server.commands)


def _print_version(wanted: bool) -> None:
    if wanted:
        output.print(f"memory-guild {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options of the command itself."""


def main() -> None:
    """Run the command. An error of the package is one line on standard error, and exit code 1."""
    try:
        app()
    except MemoryGuildError as error:
        errors.print(f"memory-guild: {error}", style="red", markup=False, highlight=False)
        sys.exit(1)
