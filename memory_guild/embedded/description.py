"""What a caller learns about an embedded server: its address and its status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory_guild.embedded.address import as_login, connection_url

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class EmbeddedServer:
    """A running server that this process keeps alive until :meth:`detach` or its own end.

    Attributes:
        host: The folder of the Unix socket, absolute; the server listens nowhere else.
        port: The number in the socket's name; no TCP port is open.
        user: The superuser role, the only role of a new server.
        database: The database, created empty together with the server.
        version: PostgreSQL's major version.
        folder: The server's folder, with its data.
    """

    host: str
    port: int
    user: str
    database: str
    version: int
    folder: Path

    @property
    def url(self) -> str:
        """The owner's connection URL for asyncpg; no variable of the environment changes where it leads."""
        return connection_url(self.host)

    def url_of(self, login: str) -> str:
        """The connection URL of ``agents`` or ``maintenance``, logins that exist once agents connected."""
        return as_login(self.url, login)

    def detach(self) -> None:
        """Undo one :func:`~memory_guild.embedded.attach`; after the last one the server may stop at any time.

        Returns at once: the server stops a moment later if no other process uses it. Extra calls do no harm.
        """
        from memory_guild.embedded import lease  # here: Windows lacks the modules that it needs

        lease.release(self.folder)


@dataclass(frozen=True)
class ServerStatus:
    """The status of an embedded server.

    Attributes:
        running: Whether a server answers at its socket.
        version: PostgreSQL's major version; None if no server has been created in the folder.
        pid: The process id of the server while it runs.
        url: The owner's connection URL while it runs, for psql and other programs started from this environment.
        folder: The server's folder.
        kept_running: Whether it was started to run without users until it is stopped.
        account: The name of the account that owns the data and runs the server; None if there is no data yet. For root
            it is ``memory_guild``, because PostgreSQL refuses to run as root.
    """

    running: bool
    version: int | None
    pid: int | None
    url: str | None
    folder: Path
    kept_running: bool
    account: str | None

    @property
    def agents_url(self) -> str | None:
        """The URL of the agents' login, which owns nothing, while it runs."""
        return None if self.url is None else as_login(self.url, "agents")
