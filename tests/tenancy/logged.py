"""Which statements the pool's connections send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from memory_guild.database.engine import client


@contextmanager
def logged_statements() -> Iterator[list[str]]:
    """Every statement of the open connections of the pool; complete one turn of the event loop later."""
    sent: list[str] = []

    def log(record: Any) -> None:
        sent.append(record.query)

    pool: Any = client()._pool
    connections = [holder._con for holder in pool._holders if holder._con is not None]
    assert connections
    for connection in connections:
        connection.add_query_logger(log)
    yield sent
    for connection in connections:
        connection.remove_query_logger(log)


async def sent_by_now() -> None:
    """Give asyncpg the turn in which it calls its loggers."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
