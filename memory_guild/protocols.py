"""What agents may bring along: embedders and vector indexes, whoever wrote them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable
from uuid import UUID


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors of length 1: the closer their directions, the more alike the meanings.

    It serves any number of tasks, threads and event loops at once. No text may make it fail, also not an empty one.
    """

    @property
    def model(self) -> str:
        """The name that its vectors are kept under, at most 100 characters. Another model needs another name."""
        ...

    @property
    def dimensions(self) -> int:
        """How many numbers each vector has."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether it embeds without a call over the network, so that it may be used while a transaction is open."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of texts that are to be found, in their order. It makes batches by itself.

        Raises:
            EmbedderError: The vectors cannot be computed; there is none of them then.
        """
        ...

    async def embed_query(self, text: str) -> list[float]:
        """The vector of a text that is searched for.

        Raises:
            EmbedderError: It cannot be computed.
        """
        ...


class IndexedVector(NamedTuple):
    """What a vector index keeps of one memory.

    Attributes:
        memory_id: The memory.
        vector: Its vector, of length 1.
        fingerprint: Of all that is kept here; another one means that the index has something old.
        agent_id: The memory's agent, for filters.
        source_type: The memory's source type, for filters.
        created_at: When the memory came to be, for filters; None where it is not a moment that Python knows.
    """

    memory_id: UUID
    vector: Sequence[float]
    fingerprint: str
    agent_id: str
    source_type: str
    created_at: datetime | None


class IndexFilters(NamedTuple):
    """Which vectors a search may find; None for all.

    Attributes:
        agent_id: Those of this agent.
        source_type: Those of this source type.
        created_from: Those whose memory came to be at this time or later.
        created_before: Those whose memory came to be before this time.
    """

    agent_id: str | None = None
    source_type: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None


class VectorHit(NamedTuple):
    """A memory that a vector index found.

    Attributes:
        memory_id: The memory.
        score: How alike the vectors are: their inner product, larger is more alike.
    """

    memory_id: UUID
    score: float


class IndexEntry(NamedTuple):
    """What a vector index says it has of a memory.

    Attributes:
        memory_id: The memory.
        fingerprint: That of the vector that it has, see :class:`IndexedVector`.
    """

    memory_id: UUID
    fingerprint: str


@runtime_checkable
class VectorIndex(Protocol):
    """A store of vectors outside PostgreSQL that mirrors those in it.

    PostgreSQL is the truth. The index may be late, wrong or down; what it finds is looked up in PostgreSQL before
    anybody sees it. All calls do the same when they are repeated. It serves any number of tasks of one event loop.
    """

    @property
    def name(self) -> str:
        """What tells it from others, such as ``qdrant:http://localhost:6333``, without a password."""
        ...

    async def upsert(self, tenant_id: str, model: str, vectors: Sequence[IndexedVector]) -> None:
        """Store vectors of a tenant by a model, in the place of those that it has of the same memories.

        Raises:
            VectorIndexError: It failed, wholly or in part.
        """
        ...

    async def delete(self, tenant_id: str, model: str, memory_ids: Sequence[UUID]) -> None:
        """Delete vectors. Those that it does not have are no error.

        Raises:
            VectorIndexError: It failed, wholly or in part.
        """
        ...

    async def delete_tenant(self, tenant_id: str) -> None:
        """Delete all that it has of a tenant, of all models.

        Raises:
            VectorIndexError: It failed, wholly or in part.
        """
        ...

    async def search(
        self, tenant_id: str, model: str, vector: Sequence[float], *, limit: int, filters: IndexFilters
    ) -> list[VectorHit]:
        """The vectors of a tenant that are most alike, best first. Where it has ``limit`` that match, it finds them.

        Raises:
            VectorIndexError: It failed.
        """
        ...

    async def count(self, tenant_id: str, model: str) -> int:
        """How many vectors it has of a tenant by a model.

        Raises:
            VectorIndexError: It failed.
        """
        ...

    def list(self, tenant_id: str, model: str) -> AsyncIterator[IndexEntry]:
        """All that it has of a tenant by a model, in any order.

        Raises:
            VectorIndexError: It failed.
        """
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...
