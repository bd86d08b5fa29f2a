"""Milvus, on a server or in a file, through its client in threads (extra ``milvus``).

The client's asynchronous class is experimental, and does not create collections in a file, so it is not used.
``MILVUS_TOKEN`` is the token of a server that wants one. Texts that filters compare are stored as keys, because
expressions cannot quote any text safely. A tenant's key is the partition key, and every request names it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from memory_guild.protocols import IndexedVector, IndexEntry, IndexFilters, VectorHit
from memory_guild.search.extras import require_extra
from memory_guild.search.vectors.calls import NOT_SENT, Calls, without_secrets
from memory_guild.search.vectors.stored import (
    COLLECTION_PREFIX,
    batches_of,
    batches_of_ids,
    collection_of,
    conditions_of,
    id_in_store,
    key_of,
    payload_of,
    prefix_of_collections,
)

if TYPE_CHECKING:
    from pymilvus import MilvusClient

T = TypeVar("T")

_KEYS = ("tenant_id", "agent_id", "source_type")
_OPERATORS = {"=": "==", ">=": ">=", "<": "<"}


class MilvusIndex:
    """The vectors in a Milvus: one collection for each model and number of dimensions."""

    def __init__(
        self,
        store: str | MilvusClient,
        *,
        name: str = "milvus:client",
        timeout_seconds: float = 10.0,
        page_size: int = 1_000,
    ) -> None:
        """An index that connects with the first call.

        Args:
            store: A URL or the path of a file that ends with ``.db``; or a client of your own, which is yours to close.
            name: The index's name, if ``store`` is a client.
            timeout_seconds: How long a request may take.
            page_size: How many entries :meth:`list` reads at a time.

        Raises:
            SettingsError: The extra is not installed.
        """
        packages = ["milvus_lite"] if isinstance(store, str) and "://" not in store else []
        require_extra("MEMORY_GUILD_VECTOR_INDEX", "milvus", "pymilvus", *packages)
        self._store = store
        self._opened: MilvusClient | None = None
        shown = f"milvus:{without_secrets(store)}" if isinstance(store, str) else name
        self._calls = Calls(shown, "pymilvus", timeout_seconds, _status_of)
        self._page_size = page_size
        # In a file one call after the other, also where its caller has given up: there the library opens its log of
        # changes with the first write, and two at once would each begin it anew.
        self._threads = ThreadPoolExecutor(1, "memory-guild-milvus") if packages else None
        self._opening = asyncio.Lock()
        self._creating = asyncio.Lock()

    @property
    def name(self) -> str:
        """What tells it from others, without a password."""
        return self._calls.name

    async def upsert(self, tenant_id: str, model: str, vectors: Sequence[IndexedVector]) -> None:
        """Store vectors of a tenant by a model. A read that begins afterwards sees them."""
        is_first = True
        for dimensions, batch in batches_of(vectors):
            collection = collection_of(model, dimensions)
            async with self._calls.request(is_first=is_first):
                others = await self._collections(prefix_of_collections(model)) - {collection}
                await self._make_ready(collection, dimensions)
                await self._do("upsert", collection, [_row(tenant_id, vector) for vector in batch])
            is_first = False
            await self._delete(tenant_id, others, [vector.memory_id for vector in batch], is_first=False)

    async def delete(self, tenant_id: str, model: str, memory_ids: Sequence[UUID]) -> None:
        """Delete vectors. Those that it does not have are no error."""
        async with self._calls.request():
            collections = await self._collections(prefix_of_collections(model))
        await self._delete(tenant_id, collections, memory_ids, is_first=True)

    async def delete_tenant(self, tenant_id: str) -> None:
        """Delete all that it has of a tenant, of all models."""
        async with self._calls.request():
            collections = await self._collections(COLLECTION_PREFIX)
        is_first = True
        for collection in sorted(collections):
            async with self._calls.request(is_first=is_first):
                await self._do("delete", collection, filter=_filter(tenant_id))
            is_first = False

    async def search(
        self, tenant_id: str, model: str, vector: Sequence[float], *, limit: int, filters: IndexFilters
    ) -> list[VectorHit]:
        """The vectors of a tenant that are most alike, best first."""
        collection = collection_of(model, len(vector))
        async with self._calls.request():
            try:
                (found,) = await self._do(
                    "search",
                    collection,
                    [list(vector)],
                    filter=_filter(tenant_id, filters),
                    limit=limit,
                    output_fields=["memory_id"],
                )
            except Exception:
                if await self._do("has_collection", collection):
                    raise
                return []
        return [VectorHit(UUID(hit["entity"]["memory_id"]), hit["distance"]) for hit in found]

    async def count(self, tenant_id: str, model: str) -> int:
        """How many vectors it has of a tenant by a model."""
        async with self._calls.request():
            collections = await self._collections(prefix_of_collections(model))
            counts = [
                await self._do("query", collection, filter=_filter(tenant_id), output_fields=["count(*)"])
                for collection in collections
            ]
        return sum(int(counted[0]["count(*)"]) for counted in counts)

    async def list(self, tenant_id: str, model: str) -> AsyncIterator[IndexEntry]:
        """All that it has of a tenant by a model, a page at a time."""
        async with self._calls.request():
            collections = await self._collections(prefix_of_collections(model))
        for collection in sorted(collections):
            async with self._calls.request():
                pages = await self._do(
                    "query_iterator",
                    collection,
                    batch_size=self._page_size,
                    filter=_filter(tenant_id),
                    output_fields=["memory_id", "fingerprint"],
                )
            while True:
                async with self._calls.request():
                    page = await self._in_thread(pages.next)
                for row in page:
                    yield IndexEntry(UUID(row["memory_id"]), row["fingerprint"])
                if not page:
                    break

    async def close(self) -> None:
        """Close the connections that it opened."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await asyncio.to_thread(opened.close)

    async def _client(self) -> MilvusClient:
        if not isinstance(self._store, str):
            return self._store
        async with self._opening:
            if self._opened is None:
                self._opened = await asyncio.to_thread(_open, self._store, self._calls.timeout_seconds)
        return self._opened

    async def _do(self, method: str, *arguments: Any, **named: Any) -> Any:
        client = await self._client()
        call: Callable[..., Any] = getattr(client, method)
        return await self._in_thread(partial(call, *arguments, timeout=self._calls.timeout_seconds, **named))

    async def _in_thread(self, call: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def _collections(self, prefix: str) -> set[str]:
        return {name for name in await self._do("list_collections") if name.startswith(prefix)}

    async def _make_ready(self, collection: str, dimensions: int) -> None:
        """Create a collection and load it, if it is not there."""
        async with self._creating:
            if await self._do("has_collection", collection):
                return
            schema, index = await asyncio.to_thread(_schema, dimensions)
            try:
                await self._do(
                    "create_collection", collection, schema=schema, index_params=index, consistency_level="Strong"
                )
            except Exception:
                if not await self._do("has_collection", collection):  # somebody else was first
                    raise

    async def _delete(
        self, tenant_id: str, collections: set[str], memory_ids: Sequence[UUID], *, is_first: bool
    ) -> None:
        for collection in sorted(collections):
            for batch in batches_of_ids(memory_ids):
                ids = ", ".join(f'"{id_in_store(tenant_id, memory_id)}"' for memory_id in batch)
                async with self._calls.request(is_first=is_first):
                    await self._do("delete", collection, filter=f"{_filter(tenant_id)} and id in [{ids}]")
                is_first = False


def _open(store: str, timeout_seconds: float) -> MilvusClient:
    from pymilvus import MilvusClient

    return MilvusClient(store, token=os.environ.get("MILVUS_TOKEN", ""), timeout=timeout_seconds)


def _schema(dimensions: int) -> tuple[Any, Any]:
    """What a collection has, and how vectors are found in it."""
    from pymilvus import DataType, MilvusClient

    text = DataType.VARCHAR
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", text, is_primary=True, max_length=36)
    schema.add_field("tenant_id", text, max_length=32, is_partition_key=True)
    schema.add_field("memory_id", text, max_length=36)
    schema.add_field("fingerprint", text, max_length=1_000)
    schema.add_field("agent_id", text, max_length=32)
    schema.add_field("source_type", text, max_length=32)
    schema.add_field("created_at", DataType.DOUBLE, nullable=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimensions)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
    return schema, index


def _status_of(error: BaseException) -> int | None:
    """Milvus has codes of its own. Those of gRPC below them say whether there was a connection."""
    from pymilvus.exceptions import MilvusException

    if isinstance(error, MilvusException):
        if "Fail connecting to server" in error.message:
            return NOT_SENT
        if error.is_input_error:
            return 400
    return None


def _row(tenant_id: str, vector: IndexedVector) -> dict[str, Any]:
    payload = payload_of(tenant_id, vector)
    keyed = {field: key_of(str(value)) if field in _KEYS else value for field, value in payload.items()}
    identity = {"id": str(id_in_store(tenant_id, vector.memory_id)), "created_at": None}
    return identity | keyed | {"vector": list(vector.vector)}


def _filter(tenant_id: str, filters: IndexFilters | None = None) -> str:
    """An expression of keys and numbers only."""
    return " and ".join(
        f"{field} {_OPERATORS[operator]} " + (f'"{key_of(value)}"' if isinstance(value, str) else repr(value))
        for field, operator, value in conditions_of(tenant_id, filters)
    )
