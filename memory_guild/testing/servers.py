"""A server for tests: a new embedded one in a temporary folder, in memory where there is room, or one that is named."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from memory_guild import embedded

FAST_BUT_NOT_DURABLE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
}

_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a name that nobody can guess
_ROOM = 4 * 1024**3
"""Bytes for the servers of two processes that run tests, with what they write ahead. Containers often have 64 MB."""


@contextmanager
def server_folder() -> Iterator[Path]:
    """A new folder with a short path that all users can get through, as /var/lib is; deleted after the block.

    A server that root starts runs as another user, who must get through. On a disk, `CREATE DATABASE … TEMPLATE` takes
    nine times as long as in memory: it writes 300 files.
    """
    in_memory = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM
    folder = Path(tempfile.mkdtemp(prefix="mg-", dir=_MEMORY if in_memory else None))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server to make databases on: the one that ``MEMORY_GUILD_TEST_DATABASE_URL`` names, or a new one."""
    if url := os.environ.get("MEMORY_GUILD_TEST_DATABASE_URL"):
        yield url
        return
    with private_server() as url:
        yield url


@contextmanager
def private_server(options: Mapping[str, str] | None = None) -> Iterator[str]:
    """A superuser's URL of a new server, which is stopped and deleted after the block.

    Args:
        options: Settings of PostgreSQL beside those that make it fast.

    ``MEMORY_GUILD_TEST_EMBEDDED_VERSION`` chooses its major version.
    """
    version = int(os.environ.get("MEMORY_GUILD_TEST_EMBEDDED_VERSION", "0")) or None
    with server_folder() as folder:
        server = embedded.attach(folder / "pg", version, options={**FAST_BUT_NOT_DURABLE, **(options or {})})
        try:
            yield server.url
        finally:
            server.detach()
            embedded.stop(folder / "pg")
