"""Relating documents that share a rare name."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from functools import partial

from memory_guild.database.scope import is_in_scope
from memory_guild.errors import InvalidInputError, ScopeError, UnknownMemoryError
from memory_guild.graph.bulk import EdgeKey, store_edges
from memory_guild.graph.names import SharedNames
from memory_guild.memories.arguments import check_whole_number, column_values
from memory_guild.memories.permitting import permitted_by_id
from memory_guild.memories.reading import find_all, live_memories
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import ATTEMPTS, retried, tenant_scope
from memory_guild.types import PolicyAction, RelationshipType, SourceType
from memory_guild.values.checks import check_name

_MOST_EDGES_OF_ONE = 16
_DOCUMENTS = (SourceType.DOCUMENT, SourceType.EXTERNAL)


async def relate_by_names(
    tenant_id: str,
    *,
    source_type: SourceType | str | Collection[SourceType | str] = _DOCUMENTS,
    most_memories: int = 5,
    batch_size: int = 500,
) -> int:
    """Relate a tenant's documents that share a rare name, so that ``recall`` finds them together.

    Each two that share one get an edge of the type ``references``, from the one with the lower id; one memory gets at
    most 16 of them. Edges that exist are not stored again, and none is deleted, so call it again when documents were
    added. It is for documents: in conversations, names that are rare mean little.

    Call it outside scopes. It reads in one scope, and stores in short ones, so that nobody waits for it long. If it is
    interrupted, what was stored stays.

    Args:
        tenant_id: The tenant.
        source_type: The memories to relate, by their source type: one or several.
        most_memories: A name is rare if at most so many memories have it, 2 to 100.
        batch_size: The most edges to store in one transaction, 1 to 10,000.

    Returns:
        How many edges were stored.

    Raises:
        InvalidInputError: An argument is invalid.
        ScopeError: A scope is open around the call.
    """
    check_name("tenant_id", tenant_id)
    check_whole_number("most_memories", most_memories, largest=100)
    if most_memories < 2:
        raise InvalidInputError("most_memories", "must be at least 2, for two memories to share a name")
    check_whole_number("batch_size", batch_size)
    if source_type is None or not column_values(MemoryRecord, "source_type", source_type):
        raise InvalidInputError("source_type", "is required: conversations are not to be related by names")
    if is_in_scope():
        raise ScopeError("relate_by_names stores in transactions of its own; call it outside the scope")
    shared = SharedNames(most_memories)
    async with tenant_scope(tenant_id):
        async for memory in find_all(source_type=source_type):
            shared.add(memory.memory_id, memory.content_text)
    pairs = sorted(shared.pairs(_MOST_EDGES_OF_ONE))
    stored = 0
    for first in range(0, len(pairs), batch_size):
        keys = [(one, other, RelationshipType.REFERENCES.value) for one, other in pairs[first : first + batch_size]]
        stored += await _store_batch(tenant_id, keys)
    return stored


async def _store_batch(tenant_id: str, keys: list[EdgeKey]) -> int:
    """Store some of the edges; how many are new."""
    for _ in range(ATTEMPTS - 1):
        # A memory may be deleted after it was looked for: then the next look does not find it.
        with suppress(UnknownMemoryError):
            return await retried(tenant_id, partial(_store, keys))
    return await retried(tenant_id, partial(_store, keys))


async def _store(keys: list[EdgeKey]) -> int:
    """Store the edges whose ends are still there; how many are new."""
    live = set(await live_memories(list({memory_id for key in keys for memory_id in key[:2]})))
    live.intersection_update(await permitted_by_id(PolicyAction.RELATE, list(live)))
    wanted = {key: None for key in keys if key[0] in live and key[1] in live}
    outcomes = await store_edges(wanted, increase=False)
    return sum(outcome.created for outcome in outcomes.values())
