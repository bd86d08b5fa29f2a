"""Whether the pool's connections come back as they were lent."""

from __future__ import annotations

import asyncio
from typing import Any

from memory_guild.database.engine import client


async def assert_pool_is_clean(size: int) -> None:
    """Borrow all connections at once: each is the login's, without tenant, transaction or settings of a scope."""
    pool: Any = client()._pool
    async with asyncio.timeout(10):
        borrowed = [await pool.acquire() for _ in range(size)]
    for connection in borrowed:
        assert not connection.is_in_transaction()
        row = await connection.fetchrow(
            "SELECT current_user = session_user AS login, current_setting('memory_guild.tenant_id', true) AS tenant,"
            " current_setting('plan_cache_mode') AS plans,"
            " current_setting('idle_in_transaction_session_timeout') AS idle"
        )
        assert (row["login"], row["tenant"] or "", row["plans"], row["idle"]) == (True, "", "auto", "0")
        await pool.release(connection)
