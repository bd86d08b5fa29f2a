"""SQLAlchemy's asyncio extension on asyncpg."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from uuid import UUID

import asyncpg
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import selectinload

from benchmarks.peers import HOPS, NEWEST, Item
from benchmarks.peers.models.sqlalchemy import Edge, Memory
from memory_guild.models import hash_content

_SET_TENANT = text(
    "SELECT set_config('role', 'memory_guild_app', true), set_config('memory_guild.tenant_id', :tenant_id, true)"
)
_PLAN_FOR_VALUES = text("SET LOCAL plan_cache_mode = force_custom_plan")


class SqlalchemyPeer:
    """SQLAlchemy: a short-lived session for each piece of work."""

    name = "SQLAlchemy"
    _connection: AsyncConnection

    def __init__(self, engine: AsyncEngine) -> None:
        self.context: Context = copy_context()
        self._engine = engine

    async def begin(self, tenant_id: str) -> None:
        """Open a transaction for a tenant."""
        self._connection = await self._engine.connect()
        await self._connection.begin()
        await self._connection.execute(_SET_TENANT, {"tenant_id": tenant_id})
        await self._connection.execute(_PLAN_FOR_VALUES)

    async def roll_back(self) -> None:
        """Undo it."""
        await self._connection.close()

    async def get(self, tenant_id: str, memory_id: UUID) -> Memory | None:
        """Read a memory."""
        async with self._session() as session:
            return await session.get(Memory, memory_id)

    async def get_alone(self, tenant_id: str, memory_id: UUID) -> Memory | None:
        """Read a memory in a transaction of its own."""
        async with AsyncSession(self._engine, expire_on_commit=False) as session, session.begin():
            await session.execute(_SET_TENANT, {"tenant_id": tenant_id})
            return await session.get(Memory, memory_id)

    async def newest(self, tenant_id: str) -> Sequence[Memory]:
        """Read the newest 50 memories with their embeddings and edges: selectinload."""
        newest = (
            select(Memory)
            .where(Memory.tenant_id == tenant_id, Memory.is_deleted.is_not(True))
            .order_by(Memory.created_at.desc(), Memory.memory_id.desc())
            .limit(NEWEST)
            .options(selectinload(Memory.embeddings), selectinload(Memory.outgoing))
        )
        async with self._session() as session:
            return (await session.scalars(newest)).all()

    async def hops(self, tenant_id: str, start: UUID, direction: str, limit: int) -> Sequence[Memory]:
        """Read the memories that are up to three hops from one: a query for each level, and one for the memories."""
        seen = frontier = {start}
        async with self._session() as session:
            for _ in range(HOPS):
                reached = await self._reached(session, tenant_id, frontier, direction)
                frontier = reached - seen
                seen = seen | frontier
            found = select(Memory).where(Memory.memory_id.in_(list(seen - {start})[:limit]))
            return (await session.scalars(found)).all()

    async def _reached(self, session: AsyncSession, tenant_id: str, frontier: set[UUID], direction: str) -> set[UUID]:
        found: set[UUID] = set()
        ends = [(Edge.source_memory_id, Edge.target_memory_id), (Edge.target_memory_id, Edge.source_memory_id)]
        for near, far in ends if direction == "both" else ends[:1]:
            edges = (
                select(far)
                .join(Memory, Memory.memory_id == far)
                .where(near.in_(frontier), Memory.tenant_id == tenant_id, Memory.is_deleted.is_not(True))
            )
            found.update(await session.scalars(edges))
        return found

    async def store_many(self, items: Sequence[Item]) -> int:
        """Store the memories that are not there yet: insertmanyvalues, with the ids of the new ones."""
        store = insert(Memory).on_conflict_do_nothing(constraint="unique_content_hash")
        values = [{**item, "content_hash": hash_content(item["content_text"])} for item in items]
        async with self._engine.begin() as connection:
            found = await connection.execute(store.returning(Memory.memory_id, Memory.content_hash), values)
            return len(found.all())

    def _session(self) -> AsyncSession:
        return AsyncSession(self._connection)


@asynccontextmanager
async def connect(url: str, *, schema: str = "public", connections: int = 1) -> AsyncIterator[SqlalchemyPeer]:
    """Create the engine."""
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(url, server_settings={"search_path": schema}),
        pool_size=connections,
        max_overflow=0,
    )
    try:
        yield SqlalchemyPeer(engine)
    finally:
        await engine.dispose()
