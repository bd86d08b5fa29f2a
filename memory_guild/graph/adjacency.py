"""What an edge joins to a memory: its neighbours, and the memories that contradict each other.

Forgotten memories are left out. A missing confidence counts as 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from memory_guild.database.statements import Statement
from memory_guild.graph.follow import Follow, Types, checked_confidence
from memory_guild.graph.results import Contradiction, Neighbor
from memory_guild.memories.arguments import MemoryArgument, check_whole_number, current_tenant, memory_id_of
from memory_guild.memories.reading import live_memories
from memory_guild.models import MemoryRecord, MemoryRelationship
from memory_guild.rows import models_from
from memory_guild.types import Direction

_NEIGHBOR_EDGES = Statement("graph/neighbor_edges")
_CONTRADICTIONS = Statement("graph/contradictions", planned_for_values=True)


async def neighbors(
    memory: MemoryArgument,
    *,
    direction: Direction | str = Direction.BOTH,
    types: Types = None,
    min_confidence: float | None = None,
    limit: int = 100,
) -> list[Neighbor]:
    """The live memories that an edge joins to a memory, the surest edges first.

    A memory that several edges join to it comes once for each of them.

    Args:
        memory: Whose neighbours.
        direction: Which edges: ``outgoing``, ``incoming`` or ``both``.
        types: Of which types; by default all.
        min_confidence: The least confidence of an edge, 0 to 1.
        limit: How many at the most, 1 to 10,000.

    Raises:
        InvalidInputError: An argument cannot be used.
    """
    follow = Follow.checked(direction, types, min_confidence)
    memory_id = memory_id_of("memory", memory)
    check_whole_number("limit", limit)
    current_tenant()
    rows = await _NEIGHBOR_EDGES.fetch(
        memory_id, follow.outgoing, follow.incoming, follow.types, follow.min_confidence, limit
    )
    edges = models_from(MemoryRelationship, rows)
    memories = await _memories_at(edges)
    return [
        Neighbor(memories[row["neighbor_id"]], edge)
        for row, edge in zip(rows, edges, strict=True)
        if row["neighbor_id"] in memories
    ]


async def contradictions(
    memory: MemoryArgument | None = None, *, min_confidence: float | None = None, limit: int = 100
) -> list[Contradiction]:
    """Which live memories contradict each other, the surest first.

    Args:
        memory: Those in which this one takes part, on either side; by default all of the tenant.
        min_confidence: The least confidence of the edge, 0 to 1.
        limit: How many at the most, 1 to 10,000.

    Raises:
        InvalidInputError: An argument cannot be used.
    """
    memory_id = None if memory is None else memory_id_of("memory", memory)
    check_whole_number("limit", limit)
    confidence = checked_confidence(min_confidence)
    rows = await _CONTRADICTIONS.fetch(current_tenant(), memory_id, confidence, limit)
    edges = models_from(MemoryRelationship, rows)
    memories = await _memories_at(edges)
    return [
        Contradiction(memories[edge.source_memory_id], memories[edge.target_memory_id], edge)
        for edge in edges
        if edge.source_memory_id in memories and edge.target_memory_id in memories
    ]


async def _memories_at(edges: Iterable[MemoryRelationship]) -> dict[UUID, MemoryRecord]:
    """The memories at both ends of the edges, but for those that were forgotten or deleted since."""
    memory_ids = {memory_id for edge in edges for memory_id in (edge.source_memory_id, edge.target_memory_id)}
    return await live_memories(list(memory_ids)) if memory_ids else {}
