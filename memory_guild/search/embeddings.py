"""Vectors of memories: attach those that you computed, find what lacks one, retire a model.

It is taught as ``guild.embeddings``: ``await guild.embeddings.attach(pairs, model="…")``. Vectors of several models
stand side by side. A vector counts as long as its memory has the text that it was made of, and is not forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import asyncpg

from memory_guild.database.sqlstate import INVALID_PARAMETER_VALUE, SEARCH_NOT_INSTALLED
from memory_guild.database.statements import Statement
from memory_guild.errors import InvalidInputError, MemoryNotFoundError
from memory_guild.memories.arguments import (
    MemoryArgument,
    check_several,
    check_whole_number,
    column_value,
    current_tenant,
    memory_id_of,
    memory_of,
)
from memory_guild.memories.permitting import filled, readable_rows, require_by_id
from memory_guild.memories.results import Memories
from memory_guild.models import MemoryEmbedding, MemoryRecord
from memory_guild.policies.enforcing import require_in_tenant
from memory_guild.rows import memories_from
from memory_guild.search.vectors.numbers import Numbers, Vector, check_vector
from memory_guild.tenancy import retried
from memory_guild.types import PolicyAction
from memory_guild.values.checks import plain

__all__ = ["attach", "pending", "retire", "stale"]

_OTHER_DIMENSIONS = {
    INVALID_PARAMETER_VALUE: lambda _: InvalidInputError(
        "vectors",
        "have another number of dimensions than those that another scope has just stored by this model; name another"
        " model, or retire this one first",
    ),
}
_STORE = Statement("search/store_vectors", explanations={**SEARCH_NOT_INSTALLED, **_OTHER_DIMENSIONS})
_PENDING = Statement("search/pending_embeddings", planned_for_values=True, explanations=SEARCH_NOT_INSTALLED)
_STALE = Statement("search/stale_embeddings", planned_for_values=True, explanations=SEARCH_NOT_INSTALLED)
_RETIRE = Statement("search/retire_model", planned_for_values=True, explanations=SEARCH_NOT_INSTALLED)
_DIMENSIONS = Statement("search/dimensions_of_model", explanations=SEARCH_NOT_INSTALLED)

_VECTORS_AT_ONCE = 500
_MAX_LIMIT = 10_000


class Embedded(NamedTuple):
    """A memory's vector, to be stored.

    Attributes:
        memory_id: The memory.
        content_hash: That of the text that was embedded; None for the text that the memory has when it is stored.
        vector: The vector.
    """

    memory_id: UUID
    content_hash: str | None
    vector: Vector


async def attach(vectors: Mapping[Any, Numbers] | Iterable[tuple[MemoryArgument, Numbers]], *, model: str) -> int:
    """Store vectors that you computed, each with its row in ``memory_embeddings``.

    A vector that is already there is replaced. ``vector_id`` is the UUIDv5 of the model's name in the namespace of the
    memory's id. All are stored, or none.

    Args:
        vectors: Pairs of a memory and its vector, or a dict of them. If the memory is given as a model or a result, the
            vector is of the text in there, and it is left out where the text has changed since. If it is an id, the
            vector is of the text that the memory has now.
        model: The name of the model that made them, at most 100 characters. All its vectors in a tenant have the same
            number of dimensions.

    Returns:
        How many were stored. Those of memories that are forgotten, or have another text by now, are left out.

    Raises:
        InvalidInputError: An item is no such pair, or a vector has other dimensions than those that are there.
        MemoryNotFoundError: A memory does not exist in this tenant.
        AccessDeniedError: The access policies do not allow it for one of them; nothing was stored.
        SearchNotInstalledError: The database has no search tables.
        TransactionConflictError: There were deadlocks with other scopes; run the scope again.
    """
    tenant_id, model = current_tenant(), check_model(model)
    items = vectors.items() if isinstance(vectors, Mapping) else check_several("vectors", vectors)
    embedded = [_embedded(f"vectors[{number}]", item) for number, item in enumerate(items)]
    await require_by_id(PolicyAction.EMBED, [one.memory_id for one in embedded])
    return await store(tenant_id, model, embedded, refuse_missing=True)


async def pending(model: str, *, limit: int = 100) -> Memories:
    """The memories that have no vector by a model, newest first.

    Args:
        model: The name of the model.
        limit: The most memories to return, 1 to 10,000.

    Raises:
        InvalidInputError: An argument is invalid.
        SearchNotInstalledError: The database has no search tables.
    """
    return await _memories(_PENDING, model, limit)


async def stale(model: str, *, limit: int = 100) -> Memories:
    """The memories whose text has changed since a model made their vector, newest first. `recall` passes it over.

    Args:
        model: The name of the model.
        limit: The most memories to return, 1 to 10,000.

    Raises:
        InvalidInputError: An argument is invalid.
        SearchNotInstalledError: The database has no search tables.
    """
    return await _memories(_STALE, model, limit)


async def retire(model: str) -> int:
    """Delete the vectors of a model, and its rows in ``memory_embeddings``, in this tenant.

    Args:
        model: The name of the model.

    Returns:
        Of how many memories.

    Raises:
        InvalidInputError: The name is invalid.
        SearchNotInstalledError: The database has no search tables.
    """
    await require_in_tenant(PolicyAction.EMBED)
    row = await _RETIRE.fetch_only_row(current_tenant(), check_model(model))
    count: int = row["memories"]
    return count


async def store(tenant_id: str, model: str, embedded: Sequence[Embedded], *, refuse_missing: bool) -> int:
    """Store vectors in the current scope, see :func:`attach`; those of missing memories are refused or left out."""
    latest = {one.memory_id: one for one in embedded}  # of several for one memory, the last one
    if not latest:
        return 0
    await require_dimensions(tenant_id, model, [one.vector.dimensions for one in embedded], "vectors[{}]")
    ordered = [latest[memory_id] for memory_id in sorted(latest)]

    async def store_all() -> int:
        stored = 0
        for first in range(0, len(ordered), _VECTORS_AT_ONCE):
            stored += await _store_some(tenant_id, model, ordered[first : first + _VECTORS_AT_ONCE], refuse_missing)
        return stored

    return await retried(tenant_id, store_all)


async def _store_some(tenant_id: str, model: str, embedded: Sequence[Embedded], refuse_missing: bool) -> int:
    rows = await _STORE.fetch(
        tenant_id,
        model,
        [one.memory_id for one in embedded],
        [one.vector.text for one in embedded],
        [one.content_hash for one in embedded],
        [str(uuid5(one.memory_id, model)) for one in embedded],
    )
    known = {row["memory_id"] for row in rows}
    missing = [one.memory_id for one in embedded if one.memory_id not in known]
    if missing and refuse_missing:
        raise MemoryNotFoundError(*missing)
    return sum(row["is_stored"] for row in rows)


async def require_dimensions(tenant_id: str, model: str, dimensions: Sequence[int], field: str) -> None:
    """Check that vectors have as many numbers as the model's that are there, or else as many as the first one.

    Args:
        tenant_id: The tenant.
        model: The model.
        dimensions: Those of each vector.
        field: The name of a vector for the error, with ``{}`` where its number stands.
    """
    row = await _DIMENSIONS.fetch_row(tenant_id, model)
    wanted = dimensions[0] if row is None else row["dimensions"]
    for number, found in enumerate(dimensions):
        if found != wanted:
            raise InvalidInputError(
                field.format(number),
                f"has {found:,} numbers, and the vectors of this model have {wanted:,}; name another model, or retire"
                " this one first",
            )


def check_model(model: object) -> str:
    """The name of an embedding model."""
    return plain(column_value(MemoryEmbedding, "embedding_model", model))


async def _memories(statement: Statement, model: str, limit: int) -> Memories:
    tenant_id = current_tenant()
    model = check_model(model)

    async def newest(number: int) -> list[asyncpg.Record]:
        return await statement.fetch(tenant_id, model, number)

    return Memories(await filled(check_whole_number("limit", limit, largest=_MAX_LIMIT), newest, _readable_of))


async def _readable_of(rows: list[asyncpg.Record]) -> list[MemoryRecord]:
    return list(memories_from(await readable_rows(rows)))


def _embedded(field: str, item: object) -> Embedded:
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise InvalidInputError(field, "must be a pair of a memory and its vector")
    memory, numbers = item
    given = memory_of(memory)
    return Embedded(memory_id_of(field, memory), getattr(given, "content_hash", None), check_vector(field, numbers))
