"""Windows has no embedded server: it lacks ``flock``, and PostgreSQL's private Unix sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from memory_guild.errors import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def _unavailable() -> NoReturn:
    raise EmbeddedServerError(
        "the embedded PostgreSQL does not run on Windows; "
        "set MEMORY_GUILD_DATABASE_URL to the address of a PostgreSQL server (15 to 18)"
    )


def attach(
    folder: Path | None = None, version: int | None = None, *, options: Mapping[str, str] | None = None
) -> NoReturn:
    """Raise :class:`~memory_guild.errors.EmbeddedServerError`."""
    _unavailable()


def start(
    folder: Path | None = None, version: int | None = None, *, options: Mapping[str, str] | None = None
) -> NoReturn:
    """Raise :class:`~memory_guild.errors.EmbeddedServerError`."""
    _unavailable()


def stop(folder: Path | None = None) -> NoReturn:
    """Raise :class:`~memory_guild.errors.EmbeddedServerError`."""
    _unavailable()


def status(folder: Path | None = None) -> NoReturn:
    """Raise :class:`~memory_guild.errors.EmbeddedServerError`."""
    _unavailable()
