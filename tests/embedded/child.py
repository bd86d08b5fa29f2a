"""What the other processes of these tests do: run as ``python child.py TASK ARGUMENT…``, answers are lines of JSON."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg

from memory_guild import embedded
from memory_guild.errors import EmbeddedServerError

FAST = {"fsync": "off"}


def tell(**answer: object) -> None:
    print(json.dumps(answer), flush=True)


def attach(folder: str) -> None:
    """Attach, answer, and stay until the input ends."""
    try:
        server = embedded.attach(Path(folder), options=FAST)
    except EmbeddedServerError as error:
        tell(error=str(error))
        return
    answer = asyncio.run(ask(server.url, "SELECT 6 * 7"))
    tell(url=server.url, server=embedded.status(Path(folder)).pid, answer=answer, user=os.geteuid())
    sys.stdin.read()


def fork(folder: str) -> None:
    """Attach, and leave the server to a forked child that never attached by itself."""
    server = embedded.attach(Path(folder), options=FAST)
    child = os.fork()
    if child:
        server.detach()
        tell(child=child, server=embedded.status(Path(folder)).pid)
        os._exit(0)
    sys.stdin.read()
    server.detach()
    os._exit(0)


def intrude(folder: str, url: str) -> None:
    """Try to read the data and to connect; answer with the names of the errors, or None where it worked."""
    tell(
        listed=failure(lambda: os.listdir(Path(folder) / "data")),
        connected=failure(lambda: asyncio.run(ask(url, "SELECT 1"))),
    )


async def ask(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def failure(action: Callable[[], object]) -> str | None:
    try:
        action()
    except (OSError, asyncpg.PostgresError) as error:
        return type(error).__name__
    return None


if __name__ == "__main__":
    tasks: dict[str, Callable[..., None]] = {"attach": attach, "fork": fork, "intrude": intrude}
    tasks[sys.argv[1]](*sys.argv[2:])
