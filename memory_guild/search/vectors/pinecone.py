"""Pinecone, through its asynchronous client (extra ``pinecone``).

``PINECONE_API_KEY`` is the key; the client reads it. Each tenant has a namespace for each model, so a request reaches
no other tenant. Pinecone promises no more than that a read sees a write after some seconds.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

from memory_guild.errors import SettingsError
from memory_guild.protocols import IndexedVector, IndexEntry, IndexFilters, VectorHit
from memory_guild.search.extras import require_extra
from memory_guild.search.vectors.calls import Calls
from memory_guild.search.vectors.stored import batches_of, batches_of_ids, conditions_of, key_of, payload_of

if TYPE_CHECKING:
    from pinecone import AsyncIndex, AsyncPinecone

_OPERATORS = {"=": "$eq", ">=": "$gte", "<": "$lt"}
_CREATION_SECONDS = 120.0
"""Pinecone creates an index in less than a minute, usually."""


class PineconeIndex:
    """The vectors in a Pinecone: one index for each number of dimensions, such as ``NAME-384``."""

    def __init__(
        self,
        store: str | AsyncPinecone,
        *,
        name: str = "pinecone:memory-guild",
        timeout_seconds: float = 10.0,
        page_size: int = 1_000,
        cloud: str = "aws",
        region: str = "us-east-1",
    ) -> None:
        """An index that connects with the first call.

        Args:
            store: How the names of the indexes at Pinecone begin; or a client of your own, which is yours to close.
            name: The index's name, if ``store`` is a client: ``pinecone:`` and how the names at Pinecone begin.
            timeout_seconds: How long a request may take. The creation of an index may take two minutes.
            page_size: How many entries :meth:`list` reads at a time, 1 to 10,000.
            cloud: Where indexes are created: the provider.
            region: Where indexes are created: the provider's region.

        Raises:
            SettingsError: The extra is not installed, or there is no key.
        """
        require_extra("MEMORY_GUILD_VECTOR_INDEX", "pinecone", "pinecone")
        if isinstance(store, str) and not os.environ.get("PINECONE_API_KEY"):
            raise SettingsError("PINECONE_API_KEY", "is missing; set it to a key of your project at Pinecone")
        self._store = store
        self._opened: AsyncPinecone | None = None
        self._calls = Calls(f"pinecone:{store}" if isinstance(store, str) else name, "pinecone", timeout_seconds)
        self._prefix = self._calls.name.partition(":")[2]
        self._page_size = page_size
        self._place = {"cloud": cloud, "region": region}
        self._indexes: dict[int, AsyncIndex] = {}
        self._creating = asyncio.Lock()

    @property
    def name(self) -> str:
        """What tells it from others."""
        return self._calls.name

    async def upsert(self, tenant_id: str, model: str, vectors: Sequence[IndexedVector]) -> None:
        """Store vectors of a tenant by a model. Reads see them after some seconds."""
        is_first = True
        for dimensions, batch in batches_of(vectors):
            points = [_point(tenant_id, vector) for vector in batch]
            async with self._calls.request(is_first=is_first, timeout_seconds=_CREATION_SECONDS):
                index = await self._make_ready(dimensions)
            async with self._calls.request(is_first=is_first):
                others = await self._of_all_dimensions() - {dimensions}
                await index.upsert(vectors=points, namespace=_namespace(tenant_id, model))
            is_first = False
            await self._delete(tenant_id, model, others, [vector.memory_id for vector in batch], is_first=False)

    async def delete(self, tenant_id: str, model: str, memory_ids: Sequence[UUID]) -> None:
        """Delete vectors. Those that it does not have are no error."""
        async with self._calls.request():
            all_dimensions = await self._of_all_dimensions()
        await self._delete(tenant_id, model, all_dimensions, memory_ids, is_first=True)

    async def delete_tenant(self, tenant_id: str) -> None:
        """Delete all that it has of a tenant, of all models."""
        async with self._calls.request():
            all_dimensions = await self._of_all_dimensions()
        from pinecone.errors import NotFoundError

        is_first = True
        for dimensions in sorted(all_dimensions):
            async with self._calls.request(is_first=is_first):
                index = await self._index(dimensions)
                pages = index.list_namespaces(prefix=_namespaces_of(tenant_id))
                namespaces = [namespace.name async for page in pages for namespace in page.namespaces]
            for namespace in namespaces:
                async with self._calls.request(is_first=is_first):
                    try:
                        await index.delete_namespace(name=namespace)
                    except NotFoundError:  # somebody else was first
                        continue
                is_first = False

    async def search(
        self, tenant_id: str, model: str, vector: Sequence[float], *, limit: int, filters: IndexFilters
    ) -> list[VectorHit]:
        """The vectors of a tenant that are most alike, best first."""
        async with self._calls.request():
            from pinecone.errors import NotFoundError

            try:
                found = await (await self._index(len(vector))).query(
                    vector=list(vector),
                    namespace=_namespace(tenant_id, model),
                    filter=_filter(tenant_id, filters),
                    top_k=limit,
                )
            except NotFoundError:
                return []
        return [VectorHit(UUID(match.id), match.score) for match in found.matches]

    async def count(self, tenant_id: str, model: str) -> int:
        """How many vectors it has of a tenant by a model."""
        counted = 0
        async with self._calls.request():
            from pinecone.errors import NotFoundError

            for dimensions in await self._of_all_dimensions():
                try:
                    described = await (await self._index(dimensions)).describe_namespace(
                        name=_namespace(tenant_id, model)
                    )
                    counted += described.record_count
                except NotFoundError:
                    continue
        return counted

    async def list(self, tenant_id: str, model: str) -> AsyncIterator[IndexEntry]:
        """All that it has of a tenant by a model, a page at a time."""
        async with self._calls.request():
            all_dimensions = await self._of_all_dimensions()
        from pinecone.errors import NotFoundError

        for dimensions in sorted(all_dimensions):
            token: str | None = None
            while True:
                async with self._calls.request():
                    try:
                        page = await (await self._index(dimensions)).fetch_by_metadata(
                            filter=_filter(tenant_id),
                            namespace=_namespace(tenant_id, model),
                            limit=self._page_size,
                            pagination_token=token,
                        )
                    except NotFoundError:
                        break
                for memory_id, vector in page.vectors.items():
                    yield IndexEntry(UUID(memory_id), str((vector.metadata or {})["fingerprint"]))
                token = page.pagination.next if page.pagination is not None else None
                if token is None:
                    break

    async def close(self) -> None:
        """Close the connections that it opened."""
        indexes, self._indexes = self._indexes, {}
        for index in indexes.values():
            await index.close()
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    def _client(self) -> AsyncPinecone:
        if not isinstance(self._store, str):
            return self._store
        if self._opened is None:
            from pinecone import AsyncPinecone, RetryConfig

            # No attempts of its own: a last one that was refused would hide that the first one was carried out.
            self._opened = AsyncPinecone(timeout=self._calls.timeout_seconds, retry_config=RetryConfig(max_retries=0))
        return self._opened

    async def _index(self, dimensions: int) -> AsyncIndex:
        """The index at Pinecone for vectors with so many numbers."""
        if dimensions not in self._indexes:
            opened = await self._client().index(self._name_at_pinecone(dimensions))
            if dimensions in self._indexes:  # another task was first
                await opened.close()
            else:
                self._indexes[dimensions] = opened
        return self._indexes[dimensions]

    def _name_at_pinecone(self, dimensions: int) -> str:
        return f"{self._prefix}-{dimensions}"

    async def _of_all_dimensions(self) -> set[int]:
        """The numbers of dimensions for which there is an index."""
        pattern = re.compile(re.escape(self._prefix) + "-([1-9][0-9]*)")
        names = [index.name async for index in self._client().indexes.list()]
        return {int(match[1]) for name in names if (match := pattern.fullmatch(name))}

    async def _make_ready(self, dimensions: int) -> AsyncIndex:
        """The index for vectors with so many numbers, created if it is not there."""
        from pinecone.errors import ConflictError, NotFoundError

        async with self._creating:
            try:
                return await self._index(dimensions)
            except NotFoundError:
                values = {"type": "dense_vector", "dimension": dimensions, "metric": "dotproduct"}
                with suppress(ConflictError):  # somebody else was first
                    await self._client().indexes.create(
                        name=self._name_at_pinecone(dimensions),
                        schema={"fields": {"_values": values}},
                        deployment={"deployment_type": "managed", **self._place},
                    )
                return await self._index(dimensions)

    async def _delete(
        self, tenant_id: str, model: str, all_dimensions: set[int], memory_ids: Sequence[UUID], *, is_first: bool
    ) -> None:
        from pinecone.errors import NotFoundError

        for dimensions in sorted(all_dimensions):
            for batch in batches_of_ids(memory_ids):
                ids = [str(memory_id) for memory_id in batch]
                async with self._calls.request(is_first=is_first):
                    try:
                        await (await self._index(dimensions)).delete(ids=ids, namespace=_namespace(tenant_id, model))
                    except NotFoundError:
                        continue
                is_first = False


def _namespaces_of(tenant_id: str) -> str:
    """How the names of a tenant's namespaces begin."""
    return f"{key_of(tenant_id)}-"


def _namespace(tenant_id: str, model: str) -> str:
    return f"{_namespaces_of(tenant_id)}{key_of(model)}"


def _point(tenant_id: str, vector: IndexedVector) -> dict[str, Any]:
    return {"id": str(vector.memory_id), "values": list(vector.vector), "metadata": payload_of(tenant_id, vector)}


def _filter(tenant_id: str, filters: IndexFilters | None = None) -> dict[str, Any]:
    return {
        "$and": [{field: {_OPERATORS[operator]: value}} for field, operator, value in conditions_of(tenant_id, filters)]
    }
