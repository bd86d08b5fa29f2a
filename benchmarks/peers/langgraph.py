"""LangGraph's AsyncPostgresStore: items in a table of its own, without row-level security."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import Context, copy_context

from langgraph.store.base import Item as StoredItem
from langgraph.store.base import PutOp
from langgraph.store.postgres import AsyncPostgresStore
from langgraph.store.postgres.base import PoolConfig
from psycopg.conninfo import make_conninfo

from benchmarks.peers import Item
from memory_guild.models import hash_content

_BATCH = 5000


class LanggraphPeer:
    """LangGraph: the tenant and the agent are the namespace, the text's hash is the key.

    Attributes:
        store: The store, which sends a batch as a pipeline.
    """

    name = "LangGraph"

    def __init__(self, store: AsyncPostgresStore) -> None:
        self.context: Context = copy_context()
        self.store = store

    async def get_alone(self, tenant_id: str, agent_id: str, content_hash: str) -> StoredItem | None:
        """Read an item."""
        return await self.store.aget((tenant_id, agent_id), content_hash)

    async def remember_alone(self, item: Item) -> None:
        """Store an item."""
        operation = _operation(item)
        await self.store.aput(operation.namespace, operation.key, operation.value or {})

    async def store_many(self, items: Sequence[Item]) -> None:
        """Store the items, again those that are there: abatch."""
        for start in range(0, len(items), _BATCH):
            await self.store.abatch([_operation(item) for item in items[start : start + _BATCH]])


def _operation(item: Item) -> PutOp:
    value = {name: item[name] for name in ("content_text", "source_type", "metadata")}
    return PutOp((item["tenant_id"], item["agent_id"]), hash_content(item["content_text"]), value)


@asynccontextmanager
async def connect(url: str, *, schema: str = "langgraph", connections: int = 1) -> AsyncIterator[LanggraphPeer]:
    """Connect, with a pool for more than one connection, and create the store's table where it is missing."""
    pool = PoolConfig(min_size=connections, max_size=connections) if connections > 1 else None
    where = make_conninfo(url, options=f"-c search_path={schema}")
    async with AsyncPostgresStore.from_conn_string(where, pool_config=pool) as store:
        await store.setup()
        yield LanggraphPeer(store)
