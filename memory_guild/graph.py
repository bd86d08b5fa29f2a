"""The knowledge graph: neighbours, walks of several hops, paths, contradictions and pieces to draw.

Forgotten memories are neither returned nor walked through. A missing confidence counts as 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from memory_guild.arguments import MemoryArgument, check_whole_number, current_tenant, memory_id_of, memory_ids_of
from memory_guild.errors import InvalidInputError, SearchLimitError
from memory_guild.models import MemoryRecord, MemoryRelationship
from memory_guild.statements import Statement, memories_from, models_from
from memory_guild.types import Direction
from memory_guild.walk import STEP_COLUMNS, Follow, Types, checked_confidence, walk, walked_memories

_GET_MANY = Statement("get_memories")
_NEIGHBOR_EDGES = Statement("neighbor_edges")
_CONTRADICTIONS = Statement("contradictions", planned_for_values=True)
_EDGES_AMONG = Statement("edges_among_memories")


class Neighbor(NamedTuple):
    """A memory beside another one.

    Attributes:
        memory: The neighbour.
        edge: The edge between the two; its ends tell its direction.
    """

    memory: MemoryRecord
    edge: MemoryRelationship


class Step(NamedTuple):
    """A memory that a walk reached.

    Attributes:
        memory: The memory.
        depth: How many edges away it is, from 1 on; no path is shorter.
        path: The ids from the start to this memory, both included.
        confidence: The product of the confidences along the path, 0 to 1; no path of this length has a higher one.
    """

    memory: MemoryRecord
    depth: int
    path: tuple[UUID, ...]
    confidence: float


class Traversal(NamedTuple):
    """What :func:`traverse` reached.

    Attributes:
        steps: Each memory once, by depth, then the surest first; the start is none of them.
        is_cut: Whether the limit ended the walk: there may be more memories, and surer paths on the last level.
    """

    steps: list[Step]
    is_cut: bool


class Path(NamedTuple):
    """A shortest path.

    Attributes:
        memories: From the source to the target, both included.
        confidence: The product of the confidences along it, 0 to 1; no path of this length has a higher one.
    """

    memories: list[MemoryRecord]
    confidence: float


class Contradiction(NamedTuple):
    """One memory that contradicts another.

    Attributes:
        source: The memory that contradicts.
        target: The memory that is contradicted.
        edge: The edge that says so.
    """

    source: MemoryRecord
    target: MemoryRecord
    edge: MemoryRelationship


class Subgraph(NamedTuple):
    """A piece of the graph, for drawing.

    Attributes:
        memories: The nodes: the memories that it starts at, then by distance.
        edges: All edges between them that fulfil the conditions.
        is_cut: Whether the limit left memories out.
    """

    memories: list[MemoryRecord]
    edges: list[MemoryRelationship]
    is_cut: bool


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
    neighbor_ids = (
        edge.target_memory_id if edge.source_memory_id == memory_id else edge.source_memory_id for edge in edges
    )
    return [
        Neighbor(memories[neighbor_id], edge)
        for neighbor_id, edge in zip(neighbor_ids, edges, strict=True)
        if neighbor_id in memories
    ]


async def traverse(
    start: MemoryArgument,
    *,
    max_hops: int = 3,
    direction: Direction | str = Direction.OUTGOING,
    types: Types = None,
    min_confidence: float | None = None,
    limit: int = 1000,
) -> Traversal:
    """Walk along edges from a memory and return what can be reached; one statement, cycles do no harm.

    Memories with long texts, of some kilobytes, are read with a second statement.

    Args:
        start: Where to begin.
        max_hops: How many edges far, 1 to 100.
        direction: Which edges: ``outgoing``, ``incoming`` or ``both``.
        types: Of which types; by default all.
        min_confidence: The least confidence of an edge that is followed, 0 to 1.
        limit: How many memories to reach at the most, 1 to 10,000: a hub cannot make the walk explode. Where a level
            has more, its surest ones are kept; where it has more edges than fifty times the limit, some of them.

    Raises:
        MemoryNotFoundError: This tenant has no such memory, or it is forgotten.
        InvalidInputError: An argument cannot be used.
    """
    follow = Follow.checked(direction, types, min_confidence)
    rows, is_cut = await walk([memory_id_of("start", start)], max_hops, follow, limit)
    paths: dict[bytes, tuple[UUID, ...]] = {}  # by bytes, whose hash is cheap: a UUID's takes a microsecond
    steps = []
    for row, memory in zip(rows, await walked_memories(rows), strict=True):
        depth, _, memory_id, parent_id, confidence = row[:STEP_COLUMNS]
        path_here = (memory_id,) if parent_id is None else (*paths[parent_id.bytes], memory_id)
        paths[memory_id.bytes] = path_here
        if depth > 0 and memory is not None:
            steps.append(Step(memory, depth, path_here, confidence))
    return Traversal(steps, is_cut)


async def path(
    source: MemoryArgument,
    target: MemoryArgument,
    *,
    max_hops: int = 6,
    direction: Direction | str = Direction.OUTGOING,
    types: Types = None,
    min_confidence: float | None = None,
    limit: int = 10_000,
) -> Path | None:
    """The shortest path from one memory to another; of several, one with the highest product of confidences.

    Args:
        source: Where it starts.
        target: Where it ends.
        max_hops: How many edges long at the most, 1 to 100.
        direction: Which edges: ``outgoing``, ``incoming`` or ``both``.
        types: Of which types; by default all.
        min_confidence: The least confidence of an edge, 0 to 1.
        limit: How many memories to look at, at the most, 1 to 10,000.

    Returns:
        The path, or None where there is none.

    Raises:
        MemoryNotFoundError: This tenant has no such source, or it is forgotten.
        SearchLimitError: The limit ended the search before it was over.
        InvalidInputError: An argument cannot be used.
    """
    follow = Follow.checked(direction, types, min_confidence)
    target_id = memory_id_of("target", target)
    rows, is_cut = await walk([memory_id_of("source", source)], max_hops, follow, limit, target_id)
    found = {row["step_memory_id"]: row for row in rows}
    if is_cut:
        raise SearchLimitError(limit)
    if target_id not in found:
        return None
    memory_ids: list[UUID] = []
    memory_id: UUID | None = target_id
    while memory_id is not None:
        memory_ids.append(memory_id)
        memory_id = found[memory_id]["step_parent_id"]
    memories = await _live_memories(memory_ids)
    if len(memories) < len(memory_ids):  # forgotten or deleted since
        return None
    return Path([memories[memory_id] for memory_id in reversed(memory_ids)], found[target_id]["step_confidence"])


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


async def subgraph(
    *start: MemoryArgument,
    max_hops: int = 2,
    direction: Direction | str = Direction.BOTH,
    types: Types = None,
    min_confidence: float | None = None,
    limit: int = 200,
) -> Subgraph:
    """The memories around one or several memories, and all edges between them.

    Args:
        *start: Where to begin.
        max_hops: How many edges far, 1 to 100.
        direction: Which edges: ``outgoing``, ``incoming`` or ``both``.
        types: Of which types; by default all.
        min_confidence: The least confidence of an edge, 0 to 1.
        limit: How many memories around the start at the most, 1 to 10,000.

    Raises:
        MemoryNotFoundError: This tenant has one of the memories not, or it is forgotten.
        InvalidInputError: An argument cannot be used.
    """
    if not start:
        raise InvalidInputError("start", "is missing; name at least one memory")
    follow = Follow.checked(direction, types, min_confidence)
    rows, is_cut = await walk(memory_ids_of("start", start), max_hops, follow, limit)
    memories = [memory for memory in await walked_memories(rows) if memory is not None]
    memory_ids = [memory.memory_id for memory in memories]
    edges = await _EDGES_AMONG.fetch(memory_ids, follow.types, follow.min_confidence)
    return Subgraph(memories, models_from(MemoryRelationship, edges), is_cut)


async def _memories_at(edges: Iterable[MemoryRelationship]) -> dict[UUID, MemoryRecord]:
    """The memories at both ends of the edges, but for those that were forgotten or deleted since."""
    memory_ids = {memory_id for edge in edges for memory_id in (edge.source_memory_id, edge.target_memory_id)}
    return await _live_memories(list(memory_ids)) if memory_ids else {}


async def _live_memories(memory_ids: list[UUID]) -> dict[UUID, MemoryRecord]:
    rows = await _GET_MANY.fetch(memory_ids)
    return {memory.memory_id: memory for memory in memories_from(rows) if not memory.is_deleted}
