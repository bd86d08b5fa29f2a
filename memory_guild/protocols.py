"""What agents may bring along: embedders, vector indexes, a screen and a placement, whoever wrote them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable
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


class Candidate(NamedTuple):
    """A memory that is about to be stored, as a screen sees it.

    Attributes:
        content_text: Its text; empty for an update that leaves the text as it is.
        metadata: Its metadata; None where none is given.
        agent_id: The agent that remembers it; None for an update, or where none is known.
        tenant_id: The tenant.
        source_type: Where it comes from, as it was given; None for an update that leaves it as it is.
    """

    content_text: str
    metadata: Mapping[str, Any] | None
    agent_id: str | None
    tenant_id: str
    source_type: str | None


class Verdict(NamedTuple):
    """What a screen says of a memory. Make it with :meth:`allow`, :meth:`redact` or :meth:`refuse`.

    Attributes:
        is_refused: Whether it must not be stored.
        reason: Why it is refused or redacted; None where it is stored as it was given.
        content_text: The text to store instead; None for the given one.
        metadata: The metadata to store instead; None for the given one.
    """

    is_refused: bool
    reason: str | None = None
    content_text: str | None = None
    metadata: Mapping[str, Any] | None = None

    @classmethod
    def allow(cls) -> Verdict:
        """Store it as it is."""
        return cls(is_refused=False)

    @classmethod
    def redact(
        cls, reason: str, *, content_text: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> Verdict:
        """Store another text, or other metadata, instead.

        Args:
            reason: Why, for the outcome. It must not quote what was taken out.
            content_text: The text to store; by default the given one.
            metadata: The metadata to store; by default the given ones.
        """
        return cls(is_refused=False, reason=reason, content_text=content_text, metadata=metadata)

    @classmethod
    def refuse(cls, reason: str) -> Verdict:
        """Do not store it.

        Args:
            reason: Why, for the error. It must not quote the memory.
        """
        return cls(is_refused=True, reason=reason)


Placement: TypeAlias = Callable[[str], str | Awaitable[str]]
"""Says in which group of tenants a tenant is: gets the tenant, returns the name of a schema that has the five tables.

It is called before each scope, while no transaction is open, and when a tenant is erased. For one tenant it must always
return the same group.
"""

Screen: TypeAlias = Callable[[Candidate], Verdict]
"""Sees each memory before it is stored. A transaction is open meanwhile, so it must be quick and call no network."""
