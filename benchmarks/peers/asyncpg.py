"""Raw asyncpg: the statements that a careful person writes by hand, their rows as the driver gives them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from benchmarks.peers import NEWEST, Item
from memory_guild.database.quoting import quote_literal
from memory_guild.database.statements import statement
from memory_guild.models import hash_content

Row: TypeAlias = tuple[str, str, str, str, str, str]

COLUMNS = ("agent_id", "tenant_id", "source_type", "content_text", "content_hash", "metadata")

_RESET = "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;"
"""What asyncpg's pool sends when a connection comes back."""

GET = "SELECT * FROM memory_records WHERE memory_id = $1 AND tenant_id = $2 AND is_deleted IS NOT TRUE"

REMEMBER = statement("memories/remember_memory")
UPSERT = (
    "INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash, metadata)"
    " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (agent_id, tenant_id, content_hash)"
    " DO UPDATE SET updated_at = EXCLUDED.updated_at RETURNING *"
)

BY_KEY = "SELECT * FROM memory_records WHERE agent_id = $1 AND tenant_id = $2 AND content_hash = $3"

_NEWEST = (
    "SELECT * FROM memory_records WHERE tenant_id = $1 AND is_deleted IS NOT TRUE"
    f" ORDER BY created_at DESC, memory_id DESC LIMIT {NEWEST}"
)
_EMBEDDINGS = "SELECT * FROM memory_embeddings WHERE memory_id = ANY ($1)"
_EDGES = "SELECT * FROM memory_relationships WHERE source_memory_id = ANY ($1)"

_SQL = Path(__file__).parent / "sql"


def _hops(columns: str) -> dict[str, str]:
    return {
        direction: (_SQL / f"hops_{direction}_{columns}.sql").read_text(encoding="utf-8")
        for direction in ("outgoing", "both")
    }


_HOPS_ROWS, _HOPS_IDS = _hops("rows"), _hops("ids")


def opening(tenant_id: str) -> str:
    """The statements that begin a transaction for a tenant, for one round trip."""
    return f"BEGIN; SET LOCAL ROLE memory_guild_app; SET LOCAL memory_guild.tenant_id = {quote_literal(tenant_id)}"


class AsyncpgPeer:
    """By hand.

    Attributes:
        pool: The connections.
        connection: The one with the open transaction: its own, or one that was lent.
    """

    name = "raw asyncpg"

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], closing: str) -> None:
        self.context: Context = copy_context()
        self.pool = pool
        self._closing = closing
        self.connection: Any = None

    async def begin(self, tenant_id: str) -> None:
        """Open a transaction for a tenant."""
        self.connection = await self.pool.acquire()
        await self.connection.execute(opening(tenant_id))

    async def roll_back(self) -> None:
        """Undo it."""
        await self.connection.execute("ROLLBACK")
        await self.pool.release(self.connection)

    async def get(self, tenant_id: str, memory_id: UUID) -> dict[str, Any]:
        """Read a memory."""
        return dict(await self.connection.fetchrow(GET, memory_id, tenant_id))

    async def get_alone(self, tenant_id: str, memory_id: UUID) -> dict[str, Any]:
        """Read a memory in a transaction of its own."""
        row = await self._fetch_alone(tenant_id, GET, memory_id, tenant_id)
        assert row is not None
        return dict(row)

    async def remember_alone(self, item: Item) -> asyncpg.Record | None:
        """Store a memory in a transaction of its own, with the package's statement."""
        (row,) = rows([item])
        return await self._fetch_alone(item["tenant_id"], REMEMBER, *row, None)  # created now

    async def upsert_alone(self, item: Item) -> asyncpg.Record | None:
        """Store a memory, or write it anew, in a transaction of its own."""
        (row,) = rows([item])
        return await self._fetch_alone(item["tenant_id"], UPSERT, *row)

    async def _fetch_alone(self, tenant_id: str, statement: str, *arguments: Any) -> asyncpg.Record | None:
        async with self.pool.acquire() as connection:
            await connection.execute(opening(tenant_id))
            row: asyncpg.Record | None = await connection.fetchrow(statement, *arguments)
            await connection.execute(self._closing)
        return row

    async def newest(self, tenant_id: str) -> Sequence[asyncpg.Record]:
        """Read the newest 50 memories with their embeddings and edges: three queries."""
        memories: list[asyncpg.Record] = await self.connection.fetch(_NEWEST, tenant_id)
        memory_ids = [memory["memory_id"] for memory in memories]
        await self.connection.fetch(_EMBEDDINGS, memory_ids)
        await self.connection.fetch(_EDGES, memory_ids)
        return memories

    async def hops(self, tenant_id: str, start: UUID, direction: str, limit: int) -> Sequence[asyncpg.Record]:
        """Read the memories that are up to three hops from one, with one statement."""
        rows: list[asyncpg.Record] = await self.connection.fetch(_HOPS_ROWS[direction], start, tenant_id, limit)
        return rows

    async def hop_ids(self, tenant_id: str, start: UUID, direction: str, limit: int) -> Sequence[asyncpg.Record]:
        """Read no more of them than ids and depths."""
        rows: list[asyncpg.Record] = await self.connection.fetch(_HOPS_IDS[direction], start, tenant_id, limit)
        return rows

    async def store_many(self, items: Sequence[Item]) -> None:
        """Copy memories that are known to be new."""
        await self.copy(rows(items))

    async def copy(self, records: Sequence[Row]) -> None:
        """Copy rows that are known to be new."""
        async with self.pool.acquire() as connection:
            await connection.copy_records_to_table("memory_records", records=records, columns=COLUMNS)


def rows(items: Sequence[Item]) -> list[Row]:
    """The memories as asyncpg takes them."""
    return [
        (
            item["agent_id"],
            item["tenant_id"],
            item["source_type"],
            item["content_text"],
            hash_content(item["content_text"]),
            json.dumps(item["metadata"]),
        )
        for item in items
    ]


class _SparingConnection(asyncpg.Connection):
    """A connection that the pool does not reset."""

    def get_reset_query(self) -> str:
        """Nothing: it has been sent with the COMMIT."""
        return ""


@asynccontextmanager
async def connect(
    url: str, *, schema: str = "public", connections: int = 1, is_sparing: bool = False
) -> AsyncIterator[AsyncpgPeer]:
    """Open a pool; a sparing one sends COMMIT and reset in one round trip."""
    async with asyncpg.create_pool(
        url,
        min_size=connections,
        max_size=connections,
        server_settings={"search_path": schema},
        connection_class=_SparingConnection if is_sparing else asyncpg.Connection,
    ) as pool:
        yield AsyncpgPeer(pool, f"{_RESET} COMMIT" if is_sparing else "COMMIT")
