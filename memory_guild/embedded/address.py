"""Where an embedded server listens, and which user and database it has."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

PORT = 5432
USER = "postgres"
DATABASE = "memory_guild"


def connection_url(socket_folder: Path | str) -> str:
    """The URL of the embedded database with the socket in `socket_folder`; the private socket needs no password."""
    return f"postgresql://{USER}@/{DATABASE}?host={quote(str(socket_folder), safe='')}"
