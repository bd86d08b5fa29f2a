"""What a caller learns about an embedded server: where it listens, and how it is doing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_guild.embedded.address import connection_url

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server that this process keeps alive until :meth:`detach` or its own end.

    Attributes:
        host: The folder of the Unix socket, absolute; the server listens nowhere else.
        port: The number in the socket's name; no TCP port is open.
        user: The superuser role, the only role of a new server.
        database: Created empty, together with the server.
        version: PostgreSQL's major version.
        folder: What belongs to the server, its data included.
    """

    host: str
    port: int
    user: str
    database: str
    version: int
    folder: Path

    @property
    def url(self) -> str:
        """The same as a connection URL that asyncpg and libpq understand."""
        return connection_url(self.host)

    def detach(self) -> None:
        """Give back one :func:`~memory_guild.embedded.attach`; after the last one the server may stop at any time.

        Returns at once: the server stops a moment later, if no other process uses it. Too many calls do no harm.
        """
        from memory_guild.embedded import lease  # here, because it needs what Windows does not have

        lease.release(self.folder)


@dataclass(frozen=True)
class ServerStatus:
    """A look at an embedded server that changes nothing.

    Attributes:
        running: Whether something answers at its socket.
        version: PostgreSQL's major version; None where no server has been created in the folder.
        pid: The process id of the server while it runs.
        url: The connection URL while it runs.
        folder: What belongs to the server.
        kept_running: Whether it was started to run on without users, until it is told to stop.
    """

    running: bool
    version: int | None
    pid: int | None
    url: str | None
    folder: Path
    kept_running: bool
