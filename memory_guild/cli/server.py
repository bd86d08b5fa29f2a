"""``memory-guild server``: the embedded PostgreSQL, which is used if no database is configured."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from memory_guild import embedded
from memory_guild.cli.commands import Commands
from memory_guild.cli.console import errors, output
from memory_guild.settings import Settings

commands = Commands("server", "The embedded PostgreSQL: start, stop, status, url.")


@commands.command()
def start() -> None:
    """Start the server and keep it running until `memory-guild server stop`."""
    settings = Settings.from_environment()
    _print_status(embedded.start(settings.embedded_folder, settings.embedded_version))


@commands.command()
def stop() -> None:
    """Stop the server, even while other processes use it. The data stays."""
    stopped = embedded.stop(Settings.from_environment().embedded_folder)
    output.print("stopped" if stopped else "not running")


@commands.command()
def status() -> None:
    """Say whether the server is running, and where. Exit code 3 if it is not."""
    found = _status()
    _print_status(found)
    if not found.running:
        raise typer.Exit(3)


@commands.command()
def url(
    agents: Annotated[bool, typer.Option("--agents", help="That of the agents' login, which owns nothing.")] = False,
) -> None:
    """Print the URL of the running server, for psql and pg_dump: that of the owner, a superuser."""
    found = _status()
    if found.url is None:
        errors.print("memory-guild: the embedded server is not running; start it with `memory-guild server start`")
        raise typer.Exit(3)
    for name in filter(os.environ.get, embedded.NOT_OVERRIDDEN):
        errors.print(
            f"memory-guild: {name} is set, and may send psql elsewhere; "
            f'use `env -u {name} psql "$(memory-guild server url)"`'
        )
    output.print(found.agents_url if agents else found.url, markup=False, highlight=False)


def _status() -> embedded.ServerStatus:
    return embedded.status(Settings.from_environment().embedded_folder)


def _use() -> str:
    configured = Settings.from_environment().database_url
    if configured is None:
        return "yes, because no MEMORY_GUILD_DATABASE_URL is set"
    return f"no: MEMORY_GUILD_DATABASE_URL is set, so {configured} is used instead"


def _print_status(found: embedded.ServerStatus) -> None:
    lines = {
        "running": "yes" if found.running else "no",
        "version": found.version or "none yet",
        "pid": found.pid or "none",
        "url": found.url or "none",
        "folder": found.folder,
        "runs as": found.account or "none yet",
        "used": _use(),
        "runs until stopped": "yes" if found.kept_running else "no, until the last process that uses it ends",
    }
    for name, value in lines.items():
        output.print(f"{name:<19} {value}", markup=False, highlight=False)
