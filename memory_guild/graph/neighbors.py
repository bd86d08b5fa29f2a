"""One edge away: the neighbors of a memory, and the memories that contradict each other.

Forgotten memories are left out. An unspecified confidence counts as 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

import asyncpg

from memory_guild.database.statements import Statement
from memory_guild.graph.conditions import EdgeConditions, Types, checked_confidence
from memory_guild.memories.arguments import MemoryArgument, check_whole_number, current_tenant, memory_id_of
from memory_guild.memories.permitting import filled
from memory_guild.memories.reading import get, live_memories
from memory_guild.memories.results import MemoryResult, Results
from memory_guild.models import MemoryRecord, MemoryRelationship
from memory_guild.policies.enforcing import are_enforced
from memory_guild.rows import models_from
from memory_guild.types import Direction

_NEIGHBOR_EDGES = Statement("graph/neighbor_edges")
_CONTRADICTIONS = Statement("graph/contradictions", planned_for_values=True)


class Neighbor(MemoryResult, NamedTuple("Neighbor", [("memory", MemoryRecord), ("edge", MemoryRelationship)])):
    """A memory that an edge connects to another one. Use it as the memory, or unpack it: ``memory, edge = …``.

    Attributes:
        memory: The neighbor.
        edge: The edge between the two. Its ends show its direction.
    """

    __slots__ = ()


class Neighbors(Results[Neighbor]):
    """The neighbors of a memory."""


class Contradiction(NamedTuple):
    """A memory that contradicts another one.

    Attributes:
        source: The memory that contradicts.
        target: The memory that is contradicted.
        edge: The edge from the one to the other.
    """

    source: MemoryRecord
    target: MemoryRecord
    edge: MemoryRelationship


async def neighbors(
    memory: MemoryArgument,
    *,
    direction: Direction | str = Direction.BOTH,
    types: Types = None,
    min_confidence: float | None = None,
    limit: int = 100,
) -> Neighbors:
    """The live memories one edge away, highest confidence first.

    A memory that several edges connect to is returned once for each of them.

    Args:
        memory: The memory whose neighbors are wanted.
        direction: Which edges: ``outgoing``, ``incoming`` or ``both``.
        types: Their types; by default all.
        min_confidence: The least confidence of an edge, 0 to 1.
        limit: The most neighbors to return, 1 to 10,000.

    Raises:
        InvalidInputError: An argument is invalid.
        MemoryNotFoundError: Access policies are enforced, and the memory does not exist, or may not be read.
    """
    conditions = EdgeConditions.checked(direction, types, min_confidence)
    memory_id = memory_id_of("memory", memory)
    check_whole_number("limit", limit)
    current_tenant()
    if are_enforced():
        await get(memory_id, include_forgotten=True)

    async def edges_at(number: int) -> list[asyncpg.Record]:
        return await _NEIGHBOR_EDGES.fetch(
            memory_id, conditions.outgoing, conditions.incoming, conditions.types, conditions.min_confidence, number
        )

    return Neighbors(await filled(limit, edges_at, _neighbors_at))


async def contradictions(
    memory: MemoryArgument | None = None, *, min_confidence: float | None = None, limit: int = 100
) -> list[Contradiction]:
    """The live memories that contradict each other, highest confidence first.

    Args:
        memory: Only contradictions of this memory, on either side; by default all of the tenant.
        min_confidence: The least confidence of the edge, 0 to 1.
        limit: The most contradictions to return, 1 to 10,000.

    Raises:
        InvalidInputError: An argument is invalid.
    """
    memory_id = None if memory is None else memory_id_of("memory", memory)
    check_whole_number("limit", limit)
    confidence = checked_confidence(min_confidence)
    tenant_id = current_tenant()

    async def edges_at(number: int) -> list[asyncpg.Record]:
        return await _CONTRADICTIONS.fetch(tenant_id, memory_id, confidence, number)

    return await filled(limit, edges_at, _contradictions_at)


async def _neighbors_at(rows: list[asyncpg.Record]) -> list[Neighbor]:
    edges = models_from(MemoryRelationship, rows)
    memories = await _memories_at(edges)
    return [
        Neighbor(memories[row["neighbor_id"]], edge)
        for row, edge in zip(rows, edges, strict=True)
        if row["neighbor_id"] in memories
    ]


async def _contradictions_at(rows: list[asyncpg.Record]) -> list[Contradiction]:
    edges = models_from(MemoryRelationship, rows)
    memories = await _memories_at(edges)
    return [
        Contradiction(memories[edge.source_memory_id], memories[edge.target_memory_id], edge)
        for edge in edges
        if edge.source_memory_id in memories and edge.target_memory_id in memories
    ]


async def _memories_at(edges: Iterable[MemoryRelationship]) -> dict[UUID, MemoryRecord]:
    """The live memories at both ends of the edges; one may have been forgotten or deleted since the edges were read."""
    memory_ids = {memory_id for edge in edges for memory_id in (edge.source_memory_id, edge.target_memory_id)}
    return await live_memories(list(memory_ids)) if memory_ids else {}
