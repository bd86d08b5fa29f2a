"""A statement's turn with a scope's connection, which concurrent tasks share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import asyncpg

from memory_guild.session import PooledConnection, Session, connection_lost


class Turn:
    """Waits for its turn, and refuses a transaction that ended meanwhile.

    Args:
        lock: Whoever holds it has the turn.
        session: The scope's.
        require_open: Raises where the transaction has ended.
    """

    def __init__(self, lock: asyncio.Lock, session: Session, require_open: Callable[[], None]) -> None:
        self._lock = lock
        self._session = session
        self._require_open = require_open

    async def __aenter__(self) -> PooledConnection:
        """Take the turn; the driver's connection."""
        await self._lock.acquire()
        try:
            self._require_open()
        except BaseException:
            self._lock.release()
            raise
        return self._session.driver

    async def __aexit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        """Leave it to the next one."""
        self._session.last_used = time.monotonic()
        self._lock.release()
        if isinstance(exc_val, asyncpg.InternalClientError):
            self._session.abandon()
            raise connection_lost() from None
