"""What you can do with the embedded server: attach to it, start it, stop it, ask for its status."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from memory_guild.embedded import binaries, cluster, lease, watch
from memory_guild.embedded import folder as folders
from memory_guild.embedded.address import DATABASE, PORT, USER, psql_url
from memory_guild.embedded.description import EmbeddedServer, ServerStatus
from memory_guild.errors import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from memory_guild.embedded.account import Account
    from memory_guild.embedded.folder import ServerFolder


def attach(
    folder: Path | None = None, version: int | None = None, *, options: Mapping[str, str] | None = None
) -> EmbeddedServer:
    """Create, start or join the embedded server, and keep it running as long as this process lives.

    Blocks for up to a minute. May be called from any thread, and again in a forked child. Each call counts; see
    :meth:`EmbeddedServer.detach`.

    Args:
        folder: The server's folder; None for the user's data directory, or ``/var/lib/memory-guild/postgresql`` for
            root. PostgreSQL refuses to run as root, so root's server runs as the system account ``memory_guild``.
        version: The major version, 16 or 18; None for the version of the data in the folder, or 18 for new data.
        options: Settings of PostgreSQL, such as ``fsync``, if this call starts the server; a running one keeps its own.

    Raises:
        EmbeddedServerError: There can be no server; the message says what to do instead.
    """
    binaries.find(version or binaries.DEFAULT_VERSION)
    with _failures_explained():
        place, account = folders.prepare(folder)
        with lease.transition(place):
            lease.take(place)
            try:
                if not place.keep_running.exists():
                    lease.ensure_watcher(place, account)
                return _run(place, account, version, options or {})
            except BaseException:
                lease.release(place.path)
                raise


def start(
    folder: Path | None = None, version: int | None = None, *, options: Mapping[str, str] | None = None
) -> ServerStatus:
    """Start the server and keep it running until :func:`stop`, with or without users; a running one is kept.

    Arguments and errors are those of :func:`attach`. This process does not count as a user.
    """
    binaries.find(version or binaries.DEFAULT_VERSION)
    with _failures_explained():
        place, account = folders.prepare(folder)
        with lease.transition(place):
            marked = place.keep_running.exists()
            place.keep_running.touch()  # first: if this process is killed, the server is known to be wanted
            try:
                _run(place, account, version, options or {})
            except BaseException:
                if not marked:
                    place.keep_running.unlink()
                raise
    return status(folder)


def stop(folder: Path | None = None) -> bool:
    """Stop the server, even while processes use it; True if one was running.

    Connections are closed and open transactions rolled back. The data stays, and the next :func:`attach` starts the
    server again.

    Raises:
        EmbeddedServerError: It did not stop within about a minute.
    """
    with _failures_explained():
        place = folders.locate(folder)
        if not place.start_lock.exists():
            return False
        with lease.transition(place):
            place.keep_running.unlink(missing_ok=True)
            return lease.has_remains(place) and lease.stop_server(place)


def status(folder: Path | None = None) -> ServerStatus:
    """Whether a server is running, and where; nothing is created or started.

    Raises:
        EmbeddedServerError: The folder belongs to another user.
    """
    with _failures_explained():
        place = folders.locate(folder)
        running = place.is_listening()
        return ServerStatus(
            running=running,
            version=place.version(),
            pid=watch.server_process_id(str(place.path)) if running else None,
            url=psql_url(place.socket) if running else None,
            folder=place.path,
            kept_running=place.keep_running.exists(),
            account=place.owner(),
        )


def _run(place: ServerFolder, account: Account, version: int | None, options: Mapping[str, str]) -> EmbeddedServer:
    present = place.version()
    if present is not None and version not in (None, present):
        raise EmbeddedServerError(
            f"{place.path} contains the data of PostgreSQL {present}, not {version}; "
            f"choose version {present}, leave the version out, or choose another folder"
        )
    place.secure(account)
    wanted = present or version or binaries.DEFAULT_VERSION
    installed = binaries.find(wanted)
    if not cluster.is_ready(place, installed):
        programs = installed.usable_by(account, place.binaries)
        if present is None:
            cluster.create(place, account, programs, options)
        cluster.ensure_running(place, account, programs, options)
    return EmbeddedServer(str(place.socket), PORT, USER, DATABASE, wanted, place.path)


@contextmanager
def _failures_explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedServerError(
            f"the embedded PostgreSQL cannot be used: {error}; set MEMORY_GUILD_DATABASE_URL to use another server"
        ) from error
