"""Where a benchmark runs: a private embedded server, or the one that a URL names, and a database of its own on it."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import asyncpg

from memory_guild import embedded

BUFFERS = {"shared_buffers": "512MB"}
"""Everything that a benchmark reads fits in memory. Otherwise the private server has the embedded one's defaults: it is
durable (``fsync`` and ``synchronous_commit`` are on)."""


@contextmanager
def server(url: str | None = None) -> Iterator[str]:
    """A superuser's URL of a server to measure on.

    Args:
        url: A server to use; by default ``MEMORY_GUILD_DATABASE_URL``, and without it a private one in a temporary
            folder, which is stopped and deleted at the end.
    """
    if url := url or os.environ.get("MEMORY_GUILD_DATABASE_URL"):
        yield url
        return
    folder = Path(tempfile.mkdtemp(prefix="mg-"))
    folder.chmod(0o711)  # a server started by root runs as another user, who must get through
    try:
        private = embedded.attach(folder / "pg", options=BUFFERS)
        try:
            yield private.url
        finally:
            private.detach()
            embedded.stop(folder / "pg")
    finally:
        shutil.rmtree(folder)


@asynccontextmanager
async def new_database(server_url: str, *, template: str | None = None) -> AsyncIterator[str]:
    """A database for one benchmark, dropped at the end; yields its URL.

    Args:
        server_url: The server.
        template: The URL of a database there to copy.
    """
    name = f"mg_benchmark_{uuid4().hex[:8]}"
    copied = "" if template is None else f' TEMPLATE "{template.partition("?")[0].rpartition("/")[2]}"'
    await _execute(server_url, f'CREATE DATABASE "{name}"{copied}')
    try:
        yield _with_database(server_url, name)
    finally:
        await _execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


async def versions(url: str) -> dict[str, str]:
    """What the figures depend on besides the code: the server, the libraries, the machine."""
    connection = await asyncpg.connect(url)
    try:
        settings = await connection.fetchrow(
            "SELECT current_setting('server_version') AS server_version, current_setting('fsync') AS fsync,"
            " current_setting('shared_buffers') AS shared_buffers"
        )
    finally:
        await connection.close()
    assert settings is not None
    return {
        "PostgreSQL": f"{settings['server_version'].split()[0]}"
        f" (fsync {settings['fsync']}, shared_buffers {settings['shared_buffers']})",
        "Python": platform.python_version(),
        "asyncpg": version("asyncpg"),
        "Tortoise ORM": version("tortoise-orm"),
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
    }


def _with_database(url: str, name: str) -> str:
    before, _, query = url.partition("?")
    return f"{before.rpartition('/')[0]}/{name}{'?' + query if query else ''}"


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
