"""Where an embedded server listens, and as whom one logs in."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

PORT = 5432
USER = "postgres"
DATABASE = "memory_guild"


def connection_url(socket_folder: Path | str) -> str:
    """The URL of the embedded database whose socket is in `socket_folder`; the private socket needs no password."""
    return f"postgresql://{USER}@/{DATABASE}?host={quote(str(socket_folder), safe='')}"
