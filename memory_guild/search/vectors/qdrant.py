"""Qdrant, on a server, in a folder or in memory, through its asynchronous client (extra ``qdrant``).

``QDRANT_API_KEY`` is the key of a server that wants one. A tenant's vectors have its id in their payload, with an index
that Qdrant keeps tenants apart by, and every request names it in a filter or is about ids that contain it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from math import ceil
from typing import TYPE_CHECKING
from uuid import UUID

from memory_guild.protocols import IndexedVector, IndexEntry, IndexFilters, VectorHit
from memory_guild.search.extras import require_extra
from memory_guild.search.vectors.calls import Calls, without_secrets
from memory_guild.search.vectors.stored import (
    COLLECTION_PREFIX,
    batches_of,
    batches_of_ids,
    collection_of,
    conditions_of,
    id_in_store,
    payload_of,
    prefix_of_collections,
)

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient
    from qdrant_client.models import Condition, Filter, PointStruct


class QdrantIndex:
    """The vectors in a Qdrant: one collection for each model and number of dimensions."""

    def __init__(
        self,
        store: str | AsyncQdrantClient,
        *,
        name: str = "qdrant:client",
        timeout_seconds: float = 10.0,
        page_size: int = 1_000,
    ) -> None:
        """An index that connects with the first call.

        Args:
            store: A URL, the path of a folder or ``:memory:``; or a client of your own, which is yours to close.
            name: The index's name, if ``store`` is a client.
            timeout_seconds: How long a request may take.
            page_size: How many entries :meth:`list` reads at a time.

        Raises:
            SettingsError: The extra is not installed.
        """
        require_extra("MEMORY_GUILD_VECTOR_INDEX", "qdrant", "qdrant_client")
        self._store = store
        self._opened: AsyncQdrantClient | None = None
        shown = f"qdrant:{without_secrets(store)}" if isinstance(store, str) else name
        self._calls = Calls(shown, "qdrant_client", timeout_seconds)
        self._page_size = page_size
        self._ready: set[str] = set()
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
                try:
                    await self._client().upsert(collection, [_point(tenant_id, vector) for vector in batch], wait=True)
                except Exception:
                    self._ready.discard(collection)  # somebody may have deleted it
                    raise
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
        from qdrant_client.models import FilterSelector

        is_first = True
        for collection in sorted(collections):
            async with self._calls.request(is_first=is_first):
                await self._client().delete(collection, FilterSelector(filter=_filter(tenant_id)), wait=True)
            is_first = False

    async def search(
        self, tenant_id: str, model: str, vector: Sequence[float], *, limit: int, filters: IndexFilters
    ) -> list[VectorHit]:
        """The vectors of a tenant that are most alike, best first."""
        collection = collection_of(model, len(vector))
        async with self._calls.request():
            try:
                found = await self._client().query_points(
                    collection,
                    query=list(vector),
                    query_filter=_filter(tenant_id, filters),
                    limit=limit,
                    with_payload=["memory_id"],
                )
            except Exception:
                if await self._client().collection_exists(collection):
                    raise
                return []
        return [VectorHit(UUID(point.payload["memory_id"]), point.score) for point in found.points if point.payload]

    async def count(self, tenant_id: str, model: str) -> int:
        """How many vectors it has of a tenant by a model."""
        async with self._calls.request():
            collections = await self._collections(prefix_of_collections(model))
            counts = [
                await self._client().count(collection, count_filter=_filter(tenant_id), exact=True)
                for collection in collections
            ]
        return sum(counted.count for counted in counts)

    async def list(self, tenant_id: str, model: str) -> AsyncIterator[IndexEntry]:
        """All that it has of a tenant by a model, a page at a time."""
        async with self._calls.request():
            collections = await self._collections(prefix_of_collections(model))
        for collection in sorted(collections):
            offset = None
            while True:
                async with self._calls.request():
                    page, offset = await self._client().scroll(
                        collection,
                        scroll_filter=_filter(tenant_id),
                        limit=self._page_size,
                        offset=offset,
                        with_payload=["memory_id", "fingerprint"],
                    )
                for payload in (point.payload for point in page if point.payload):
                    yield IndexEntry(UUID(payload["memory_id"]), payload["fingerprint"])
                if offset is None:
                    break

    async def close(self) -> None:
        """Close the connections that it opened."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    def _client(self) -> AsyncQdrantClient:
        if not isinstance(self._store, str):
            return self._store
        if self._opened is None:
            from qdrant_client import AsyncQdrantClient

            if "://" in self._store:
                self._opened = AsyncQdrantClient(
                    url=self._store,
                    api_key=os.environ.get("QDRANT_API_KEY") or None,
                    timeout=ceil(self._calls.timeout_seconds),
                    check_compatibility=False,  # it asks over the network and blocks the event loop meanwhile
                )
            elif self._store == ":memory:":
                self._opened = AsyncQdrantClient(location=":memory:")
            else:
                self._opened = AsyncQdrantClient(path=self._store)
        return self._opened

    async def _collections(self, prefix: str) -> set[str]:
        found = (await self._client().get_collections()).collections
        return {collection.name for collection in found if collection.name.startswith(prefix)}

    async def _make_ready(self, collection: str, dimensions: int) -> None:
        """Create a collection and its indexes, if they are not there. Each step can be repeated."""
        from qdrant_client.models import Distance, HnswConfigDiff, VectorParams

        async with self._creating:
            client = self._client()
            if collection in self._ready:
                return
            if not await client.collection_exists(collection):
                try:
                    await client.create_collection(
                        collection,
                        vectors_config=VectorParams(size=dimensions, distance=Distance.DOT),
                        hnsw_config=HnswConfigDiff(m=0, payload_m=16),  # a graph for each tenant, none for all
                    )
                except Exception:
                    if not await client.collection_exists(collection):  # somebody else was first
                        raise
            if not _is_local(client):
                await _create_payload_indexes(client, collection)
            self._ready.add(collection)

    async def _delete(
        self, tenant_id: str, collections: set[str], memory_ids: Sequence[UUID], *, is_first: bool
    ) -> None:
        from qdrant_client.models import PointIdsList

        for collection in sorted(collections):
            for batch in batches_of_ids(memory_ids):
                points = PointIdsList(points=[str(id_in_store(tenant_id, memory_id)) for memory_id in batch])
                async with self._calls.request(is_first=is_first):
                    await self._client().delete(collection, points, wait=True)
                is_first = False


def _is_local(client: AsyncQdrantClient) -> bool:
    """Whether it is a folder or in memory, where there are no indexes."""
    return client.init_options["location"] == ":memory:" or client.init_options["path"] is not None


async def _create_payload_indexes(client: AsyncQdrantClient, collection: str) -> None:
    from qdrant_client.models import FloatIndexParams, FloatIndexType, KeywordIndexParams, KeywordIndexType

    keyword, number = KeywordIndexType.KEYWORD, FloatIndexType.FLOAT
    schemas: dict[str, KeywordIndexParams | FloatIndexParams] = {
        "tenant_id": KeywordIndexParams(type=keyword, is_tenant=True),
        "agent_id": KeywordIndexParams(type=keyword),
        "source_type": KeywordIndexParams(type=keyword),
        "created_at": FloatIndexParams(type=number),
    }
    for field, schema in schemas.items():
        await client.create_payload_index(collection, field, field_schema=schema, wait=True)


def _point(tenant_id: str, vector: IndexedVector) -> PointStruct:
    from qdrant_client.models import PointStruct

    return PointStruct(
        id=str(id_in_store(tenant_id, vector.memory_id)),
        vector=list(vector.vector),
        payload=payload_of(tenant_id, vector),
    )


def _filter(tenant_id: str, filters: IndexFilters | None = None) -> Filter:
    from qdrant_client.models import FieldCondition, Filter, MatchValue, Range

    must: list[Condition] = []
    for field, operator, value in conditions_of(tenant_id, filters):
        if isinstance(value, str):
            must.append(FieldCondition(key=field, match=MatchValue(value=value)))
        else:
            limits = Range(gte=value) if operator == ">=" else Range(lt=value)
            must.append(FieldCondition(key=field, range=limits))
    return Filter(must=must)
