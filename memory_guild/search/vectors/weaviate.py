"""Weaviate, through its asynchronous client (extra ``weaviate``).

``WEAVIATE_API_KEY`` is the key of a server that wants one. Each tenant is a tenant of Weaviate's too, which keeps its
vectors in a shard of their own, under a key because Weaviate limits the characters. Texts that filters compare are
stored as keys too, because Weaviate would ignore spaces around them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from memory_guild.protocols import IndexedVector, IndexEntry, IndexFilters, VectorHit
from memory_guild.search.extras import require_extra
from memory_guild.search.vectors.calls import NOT_SENT, Calls, status_code_of, without_secrets
from memory_guild.search.vectors.stored import (
    COLLECTION_PREFIX,
    batches_of,
    batches_of_ids,
    collection_of,
    conditions_of,
    key_of,
    payload_of,
    prefix_of_collections,
)

if TYPE_CHECKING:
    from weaviate import WeaviateAsyncClient
    from weaviate.classes.data import DataObject
    from weaviate.collections import CollectionAsync

_KEYS = ("agent_id", "source_type")


class WeaviateIndex:
    """The vectors in a Weaviate: one collection for each model and number of dimensions."""

    def __init__(
        self,
        store: str | WeaviateAsyncClient,
        *,
        name: str = "weaviate:client",
        timeout_seconds: float = 10.0,
        page_size: int = 1_000,
        grpc_port: int = 50051,
    ) -> None:
        """An index that connects with the first call.

        Args:
            store: A URL; or a connected client of your own, which is yours to close.
            name: The index's name, if ``store`` is a client.
            timeout_seconds: How long a request may take.
            page_size: How many entries :meth:`list` reads at a time.
            grpc_port: The server's port for gRPC, if ``store`` is a URL with ``http``. With ``https``, it is 443 of the
                host ``grpc-`` and the URL's, as in Weaviate's cloud.

        Raises:
            SettingsError: The extra is not installed.
        """
        require_extra("MEMORY_GUILD_VECTOR_INDEX", "weaviate", "weaviate")
        self._store = store
        self._opened: WeaviateAsyncClient | None = None
        shown = f"weaviate:{without_secrets(store)}" if isinstance(store, str) else name
        self._calls = Calls(shown, "weaviate.classes", timeout_seconds, _status_of)
        self._page_size = page_size
        self._grpc_port = grpc_port
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
            name = collection_of(model, dimensions)
            async with self._calls.request(is_first=is_first):
                others = await self._collections(prefix_of_collections(model)) - {name}
                await self._make_ready(name)
                collection = await self._of_tenant(name, tenant_id)
                added = await collection.data.insert_many([_object(tenant_id, vector) for vector in batch])
                if added.has_errors:
                    raise PartlyFailedError
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
        for name in sorted(collections):
            async with self._calls.request(is_first=is_first):
                client = await self._client()
                await client.collections.use(name).tenants.remove([key_of(tenant_id)])
            is_first = False

    async def search(
        self, tenant_id: str, model: str, vector: Sequence[float], *, limit: int, filters: IndexFilters
    ) -> list[VectorHit]:
        """The vectors of a tenant that are most alike, best first."""
        name = collection_of(model, len(vector))
        async with self._calls.request():
            from weaviate.classes.query import MetadataQuery

            try:
                found = await (await self._of_tenant(name, tenant_id)).query.near_vector(
                    list(vector),
                    filters=_filter(tenant_id, filters),
                    limit=limit,
                    return_properties=[],
                    return_metadata=MetadataQuery(distance=True),
                )
            except Exception:
                if await self._has_tenant(name, tenant_id):
                    raise
                return []
        return [VectorHit(each.uuid, -(each.metadata.distance or 0.0)) for each in found.objects]

    async def count(self, tenant_id: str, model: str) -> int:
        """How many vectors it has of a tenant by a model."""
        counted = 0
        async with self._calls.request():
            for name in await self._collections(prefix_of_collections(model)):
                if await self._has_tenant(name, tenant_id):
                    collection = await self._of_tenant(name, tenant_id)
                    counted += (await collection.aggregate.over_all(total_count=True)).total_count or 0
        return counted

    async def list(self, tenant_id: str, model: str) -> AsyncIterator[IndexEntry]:
        """All that it has of a tenant by a model, a page at a time."""
        async with self._calls.request():
            collections = await self._collections(prefix_of_collections(model))
            names = [name for name in sorted(collections) if await self._has_tenant(name, tenant_id)]
        for name in names:
            after: UUID | None = None
            while True:
                async with self._calls.request():
                    collection = await self._of_tenant(name, tenant_id)
                    page = await collection.query.fetch_objects(
                        limit=self._page_size, after=after, return_properties=["fingerprint"]
                    )
                for each in page.objects:
                    yield IndexEntry(each.uuid, str(each.properties["fingerprint"]))
                if len(page.objects) < self._page_size:
                    break
                after = page.objects[-1].uuid

    async def close(self) -> None:
        """Close the connections that it opened."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    async def _client(self) -> WeaviateAsyncClient:
        if not isinstance(self._store, str):
            return self._store
        async with self._opening:
            if self._opened is None:
                opened = _open(self._store, self._grpc_port, self._calls.timeout_seconds)
                try:
                    await opened.connect()
                except BaseException:
                    await opened.close()
                    raise
                self._opened = opened
        return self._opened

    async def _collections(self, prefix: str) -> set[str]:
        client = await self._client()
        return {name for name in await client.collections.list_all(simple=True) if name.startswith(prefix)}

    async def _of_tenant(self, name: str, tenant_id: str) -> CollectionAsync[Any, Any]:
        return (await self._client()).collections.use(name).with_tenant(key_of(tenant_id))

    async def _has_tenant(self, name: str, tenant_id: str) -> bool:
        collections = (await self._client()).collections
        return await collections.exists(name) and await collections.use(name).tenants.exists(key_of(tenant_id))

    async def _make_ready(self, collection: str) -> None:
        """Create a collection, if it is not there. Weaviate creates tenants by itself."""
        from weaviate.classes.config import Configure, DataType, Property, Tokenization, VectorDistances

        async with self._creating:
            collections = (await self._client()).collections
            if await collections.exists(collection):
                return
            properties = [
                Property(name=name, data_type=DataType.TEXT, tokenization=Tokenization.FIELD, index_searchable=False)
                for name in ("tenant_id", "memory_id", "fingerprint", *_KEYS)
            ]
            properties.append(Property(name="created_at", data_type=DataType.NUMBER, index_range_filters=True))
            try:
                await collections.create(
                    collection,
                    properties=properties,
                    vector_config=Configure.Vectors.self_provided(
                        vector_index_config=Configure.VectorIndex.hnsw(distance_metric=VectorDistances.DOT)
                    ),
                    multi_tenancy_config=Configure.multi_tenancy(
                        enabled=True, auto_tenant_creation=True, auto_tenant_activation=True
                    ),
                )
            except Exception:
                if not await collections.exists(collection):  # somebody else was first
                    raise

    async def _delete(
        self, tenant_id: str, collections: set[str], memory_ids: Sequence[UUID], *, is_first: bool
    ) -> None:
        from weaviate.classes.query import Filter

        for name in sorted(collections):
            for batch in batches_of_ids(memory_ids):
                async with self._calls.request(is_first=is_first):
                    if not await self._has_tenant(name, tenant_id):
                        continue
                    collection = await self._of_tenant(name, tenant_id)
                    deleted = await collection.data.delete_many(where=Filter.by_id().contains_any(batch))
                    if deleted.failed:
                        raise PartlyFailedError
                is_first = False


class PartlyFailedError(Exception):
    """Weaviate answered that it did a part of what was asked."""


def _open(store: str, grpc_port: int, timeout_seconds: float) -> WeaviateAsyncClient:
    import weaviate
    from weaviate.classes.init import AdditionalConfig, Auth, Timeout

    address = urlsplit(store)
    host, is_secure = address.hostname or "localhost", address.scheme == "https"
    key = os.environ.get("WEAVIATE_API_KEY")
    limits = Timeout(init=timeout_seconds, query=timeout_seconds, insert=timeout_seconds)
    return weaviate.use_async_with_custom(
        http_host=host,
        http_port=address.port or (443 if is_secure else 8080),
        http_secure=is_secure,
        grpc_host=f"grpc-{host}" if is_secure else host,
        grpc_port=443 if is_secure else grpc_port,
        grpc_secure=is_secure,
        auth_credentials=Auth.api_key(key) if key else None,
        additional_config=AdditionalConfig(timeout=limits, trust_env=True),
        skip_init_checks=True,  # they ask PyPI for a newer client
    )


def _status_of(error: BaseException) -> int | None:
    """The HTTP status, or what a code of gRPC means as one."""
    from grpc import StatusCode
    from grpc.aio import AioRpcError

    if isinstance(error, AioRpcError):
        if error.code() is StatusCode.UNAVAILABLE and "failed to connect" in (error.details() or "").lower():
            return NOT_SENT
        refusals = {
            StatusCode.UNAUTHENTICATED: 401,
            StatusCode.PERMISSION_DENIED: 403,
            StatusCode.INVALID_ARGUMENT: 400,
        }
        return refusals.get(error.code(), 504 if error.code() is StatusCode.DEADLINE_EXCEEDED else 500)
    status = status_code_of(error)
    return 403 if status == StatusCode.PERMISSION_DENIED.value[0] else status


def _object(tenant_id: str, vector: IndexedVector) -> DataObject[Any, None]:
    from weaviate.classes.data import DataObject

    payload = payload_of(tenant_id, vector)
    keyed = {field: key_of(str(value)) if field in _KEYS else value for field, value in payload.items()}
    return DataObject(uuid=vector.memory_id, vector=list(vector.vector), properties=keyed)


def _filter(tenant_id: str, filters: IndexFilters) -> Any:
    """A filter inside a tenant, or None."""
    from weaviate.classes.query import Filter

    conditions = []
    for field, operator, value in conditions_of(tenant_id, filters):
        if field == "tenant_id":
            continue
        on = Filter.by_property(field)
        if isinstance(value, str):
            conditions.append(on.equal(key_of(value)))
        else:
            conditions.append(on.greater_or_equal(value) if operator == ">=" else on.less_than(value))
    return Filter.all_of(conditions) if conditions else None
