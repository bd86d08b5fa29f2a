"""What a store outside PostgreSQL has of a vector, and under which names. It is the same in every store."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID, uuid5

from memory_guild.protocols import IndexedVector, IndexFilters

Payload: TypeAlias = dict[str, str | float]

COLLECTION_PREFIX = "MemoryGuild_"
"""All collections of ours begin so."""

_MAX_NUMBERS = 50_000
_MAX_VECTORS = 1_000
"""The most in a request, about 1 MB of JSON: every store takes that. Pinecone takes 2 MB and 1,000 vectors."""
_READABLE_LENGTH = 32


def key_of(text: str) -> str:
    """A name that any store takes, 32 hexadecimal digits, and that no other text has."""
    return sha256(text.encode()).hexdigest()[:32]


def prefix_of_collections(model: str) -> str:
    """How the names of a model's collections begin: readable for people, and unlike those of any other model."""
    readable = re.sub(r"[^A-Za-z0-9]+", "_", model)[:_READABLE_LENGTH].strip("_")
    return f"{COLLECTION_PREFIX}{readable}_{key_of(model)}_"


def collection_of(model: str, dimensions: int) -> str:
    """The name of the collection for a model's vectors with so many numbers."""
    return f"{prefix_of_collections(model)}{dimensions}"


def id_in_store(tenant_id: str, memory_id: UUID) -> UUID:
    """The id of a memory's vector. Two tenants never have the same one, whatever ids their memories have."""
    return uuid5(UUID(key_of(tenant_id)), str(memory_id))


def payload_of(tenant_id: str, vector: IndexedVector) -> Payload:
    """What is stored beside the numbers. Of an unknown time there is nothing, and no filter on times finds it."""
    payload: Payload = {
        "tenant_id": tenant_id,
        "memory_id": str(vector.memory_id),
        "fingerprint": vector.fingerprint,
        "agent_id": vector.agent_id,
        "source_type": vector.source_type,
    }
    if vector.created_at is not None:
        payload["created_at"] = vector.created_at.timestamp()
    return payload


class Condition(NamedTuple):
    """A condition on what is stored beside the numbers.

    Attributes:
        field: The name of the value, as in :func:`payload_of`.
        operator: How it is compared.
        value: With what.
    """

    field: str
    operator: Literal["=", ">=", "<"]
    value: str | float


def conditions_of(tenant_id: str, filters: IndexFilters | None) -> Iterator[Condition]:
    """What must hold of the vectors of a tenant that filters let through: all of these."""
    yield Condition("tenant_id", "=", tenant_id)
    if filters is None:
        return
    if filters.agent_id is not None:
        yield Condition("agent_id", "=", filters.agent_id)
    if filters.source_type is not None:
        yield Condition("source_type", "=", filters.source_type)
    if filters.created_from is not None:
        yield Condition("created_at", ">=", filters.created_from.timestamp())
    if filters.created_before is not None:
        yield Condition("created_at", "<", filters.created_before.timestamp())


def batches_of(vectors: Sequence[IndexedVector]) -> Iterator[tuple[int, list[IndexedVector]]]:
    """The vectors, by how many numbers they have, and so many that a request can hold them.

    Of a memory that occurs more than once, the last vector counts.
    """
    by_dimensions: dict[int, list[IndexedVector]] = {}
    for vector in {vector.memory_id: vector for vector in vectors}.values():
        by_dimensions.setdefault(len(vector.vector), []).append(vector)
    for dimensions, alike in by_dimensions.items():
        size = max(1, min(_MAX_VECTORS, _MAX_NUMBERS // max(1, dimensions)))
        for start in range(0, len(alike), size):
            yield dimensions, alike[start : start + size]


def batches_of_ids(memory_ids: Sequence[UUID]) -> Iterator[list[UUID]]:
    """The ids, each once, and so many that a request can hold them."""
    distinct = list(dict.fromkeys(memory_ids))
    for start in range(0, len(distinct), _MAX_VECTORS):
        yield distinct[start : start + _MAX_VECTORS]
