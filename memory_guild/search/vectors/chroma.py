"""Chroma, on a server or in a folder, through its client in threads (extra ``chroma``).

Its asynchronous client shares connections between servers and does not check certificates, so it is not used. The
client itself reads the key of a server that wants one: ``CHROMA_CLIENT_AUTH_PROVIDER`` and
``CHROMA_CLIENT_AUTH_CREDENTIALS``. A tenant's vectors have its id in their metadata, and every request names it in a
filter or is about ids that contain it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from heapq import nlargest
from itertools import count
from operator import mul
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from memory_guild.protocols import IndexedVector, IndexEntry, IndexFilters, VectorHit
from memory_guild.search.extras import require_extra
from memory_guild.search.vectors.calls import Calls, status_code_of, without_secrets
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
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection

T = TypeVar("T")

_COLLECTIONS_PAGE = 100
_OPERATORS = {"=": "$eq", ">=": "$gte", "<": "$lt"}


class ChromaIndex:
    """The vectors in a Chroma: one collection for each model and number of dimensions."""

    def __init__(
        self,
        store: str | ClientAPI,
        *,
        name: str = "chroma:client",
        timeout_seconds: float = 10.0,
        page_size: int = 1_000,
    ) -> None:
        """An index that connects with the first call.

        Args:
            store: A URL or the path of a folder; or a client of your own, which is yours to close.
            name: The index's name, if ``store`` is a client.
            timeout_seconds: How long a request may take.
            page_size: How many entries :meth:`list` reads at a time.

        Raises:
            SettingsError: The extra is not installed.
        """
        require_extra("MEMORY_GUILD_VECTOR_INDEX", "chroma", "chromadb")
        self._store = store
        self._opened: Any = None
        shown = f"chroma:{without_secrets(store)}" if isinstance(store, str) else name
        self._calls = Calls(shown, "chromadb", timeout_seconds, _status_of)
        self._page_size = page_size
        self._opening = asyncio.Lock()

    @property
    def name(self) -> str:
        """What tells it from others, without a password."""
        return self._calls.name

    async def upsert(self, tenant_id: str, model: str, vectors: Sequence[IndexedVector]) -> None:
        """Store vectors of a tenant by a model. A read that begins afterwards sees them."""
        is_first = True
        for dimensions, batch in batches_of(vectors):
            name = collection_of(model, dimensions)
            async with self._calls.request(is_first=is_first):
                others = await self._collections(prefix_of_collections(model))
                others.pop(name, None)
                collection = await self._make_ready(name)
                await self._do(
                    collection.upsert,
                    ids=[str(id_in_store(tenant_id, vector.memory_id)) for vector in batch],
                    embeddings=[list(vector.vector) for vector in batch],
                    # Chroma keeps the old values that it is not told to drop.
                    metadatas=[{"created_at": None, **payload_of(tenant_id, vector)} for vector in batch],
                )
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
        for collection in collections.values():
            async with self._calls.request(is_first=is_first):
                await self._do(collection.delete, where=_filter(tenant_id))
            is_first = False

    async def search(
        self, tenant_id: str, model: str, vector: Sequence[float], *, limit: int, filters: IndexFilters
    ) -> list[VectorHit]:
        """The vectors of a tenant that are most alike, best first."""
        async with self._calls.request():
            from chromadb.errors import NotFoundError

            client = await self._client()
            try:
                collection = await self._do(
                    client.get_collection, collection_of(model, len(vector)), embedding_function=None
                )
            except NotFoundError:
                return []
            found: Any = await self._do(
                collection.query,
                query_embeddings=[list(vector)],
                n_results=limit,
                where=_filter(tenant_id, filters),
                include=["metadatas", "distances"],
            )
        hits = [
            VectorHit(UUID(payload["memory_id"]), 1 - distance)
            for payload, distance in zip(found["metadatas"][0], found["distances"][0], strict=True)
            if payload  # Chroma answers nothing for what was deleted meanwhile
        ]
        return hits if len(hits) == limit else await self._compare_all(collection, vector, limit, tenant_id, filters)

    async def _compare_all(
        self, collection: Collection, vector: Sequence[float], limit: int, tenant_id: str, filters: IndexFilters
    ) -> list[VectorHit]:
        """What a search should have found: Chroma's graph of all tenants' vectors may not lead to a small tenant's."""
        hits: list[VectorHit] = []
        for offset in count(0, self._page_size):
            async with self._calls.request(is_first=False):
                page: Any = await self._do(
                    collection.get,
                    where=_filter(tenant_id, filters),
                    limit=self._page_size,
                    offset=offset,
                    include=["metadatas", "embeddings"],
                )
            found = [
                VectorHit(UUID(payload["memory_id"]), sum(map(mul, vector, other)))
                for payload, other in zip(page["metadatas"], page["embeddings"], strict=True)
                if payload
            ]
            hits = nlargest(limit, hits + found, key=lambda hit: hit.score)
            if len(page["ids"]) < self._page_size:
                break
        return hits

    async def count(self, tenant_id: str, model: str) -> int:
        """How many vectors it has of a tenant by a model. Chroma counts only whole collections, so it reads the ids."""
        async with self._calls.request():
            collections = await self._collections(prefix_of_collections(model))
            found = [
                await self._do(collection.get, where=_filter(tenant_id), include=[])
                for collection in collections.values()
            ]
        return sum(len(page["ids"]) for page in found)

    async def list(self, tenant_id: str, model: str) -> AsyncIterator[IndexEntry]:
        """All that it has of a tenant by a model, a page at a time."""
        async with self._calls.request():
            collections = await self._collections(prefix_of_collections(model))
        for collection in collections.values():
            offset = 0
            while True:
                async with self._calls.request():
                    page: Any = await self._do(
                        collection.get,
                        where=_filter(tenant_id),
                        limit=self._page_size,
                        offset=offset,
                        include=["metadatas"],
                    )
                for payload in filter(None, page["metadatas"]):
                    yield IndexEntry(UUID(payload["memory_id"]), payload["fingerprint"])
                offset += self._page_size
                if len(page["ids"]) < self._page_size:
                    break

    async def close(self) -> None:
        """Close the connections that it opened."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await asyncio.to_thread(opened.close)

    async def _client(self) -> ClientAPI:
        if not isinstance(self._store, str):
            return self._store
        async with self._opening:
            if self._opened is None:
                self._opened = await asyncio.to_thread(_open, self._store, self._calls.timeout_seconds)
            opened: ClientAPI = self._opened
        return opened

    async def _do(self, method: Callable[..., T], *arguments: Any, **named: Any) -> T:
        return await asyncio.to_thread(method, *arguments, **named)

    async def _collections(self, prefix: str) -> dict[str, Collection]:
        client = await self._client()
        found: dict[str, Collection] = {}
        for offset in range(0, await self._do(client.count_collections), _COLLECTIONS_PAGE):
            page = await self._do(client.list_collections, _COLLECTIONS_PAGE, offset)
            found |= {collection.name: collection for collection in page if collection.name.startswith(prefix)}
        return found

    async def _make_ready(self, name: str) -> Collection:
        """The collection of a name, created if it is not there."""
        client = await self._client()
        return await self._do(
            client.get_or_create_collection,
            name,
            configuration={"hnsw": {"space": "ip"}},
            embedding_function=None,
        )

    async def _delete(
        self, tenant_id: str, collections: dict[str, Collection], memory_ids: Sequence[UUID], *, is_first: bool
    ) -> None:
        for collection in collections.values():
            for batch in batches_of_ids(memory_ids):
                async with self._calls.request(is_first=is_first):
                    await self._do(
                        collection.delete, ids=[str(id_in_store(tenant_id, memory_id)) for memory_id in batch]
                    )
                is_first = False


def _open(store: str, timeout_seconds: float) -> ClientAPI:
    import chromadb
    import httpx
    from chromadb.config import Settings

    settings = Settings(anonymized_telemetry=False)
    if "://" not in store:
        client: ClientAPI = chromadb.PersistentClient(store, settings)
        return client
    address = urlsplit(store)
    is_secure = address.scheme == "https"
    port = address.port or (443 if is_secure else 8000)
    # The client has no time limit, and no setting for one: ask first, and set it where it has its connections.
    heartbeat = f"{address.scheme}://{address.hostname}:{port}/api/v2/heartbeat"
    httpx.get(heartbeat, timeout=timeout_seconds).raise_for_status()
    client = chromadb.HttpClient(address.hostname or "localhost", port, is_secure, settings=settings)
    inside: Any = client
    inside._server._session.timeout = httpx.Timeout(timeout_seconds)
    return client


def _status_of(error: BaseException) -> int | None:
    from chromadb.errors import ChromaError

    return error.code() if isinstance(error, ChromaError) else status_code_of(error)


def _filter(tenant_id: str, filters: IndexFilters | None = None) -> Any:
    conditions = [
        {field: {_OPERATORS[operator]: value}} for field, operator, value in conditions_of(tenant_id, filters)
    ]
    return {"$and": conditions} if len(conditions) > 1 else conditions[0]
