"""Walks of several hops along edges: what can be reached, the surest path, a piece to draw.

Forgotten memories are neither returned nor walked through. A missing confidence counts as 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

import asyncpg

from memory_guild.database.statements import Statement
from memory_guild.errors import InvalidInputError, MemoryNotFoundError, SearchLimitError
from memory_guild.graph.follow import Follow, Types
from memory_guild.graph.results import Path, Step, Subgraph, Traversal
from memory_guild.memories.arguments import (
    MemoryArgument,
    check_whole_number,
    current_tenant,
    memory_id_of,
    memory_ids_of,
)
from memory_guild.memories.reading import live_memories
from memory_guild.models import MemoryRecord, MemoryRelationship
from memory_guild.rows import memories_from, model_from, models_from
from memory_guild.types import Direction

MAX_HOPS = 100

_TRAVERSE = Statement("graph/traverse_memories")
_EDGES_AMONG = Statement("graph/edges_among_memories")

_depth = itemgetter("step_depth")
_step = itemgetter("step_depth", "step_memory_id", "step_parent_id", "step_confidence")


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
        depth, memory_id, parent_id, confidence = _step(row)
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
    memories = await live_memories(memory_ids)
    if len(memories) < len(memory_ids):  # forgotten or deleted since
        return None
    return Path([memories[memory_id] for memory_id in reversed(memory_ids)], found[target_id]["step_confidence"])


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


class Walk(NamedTuple):
    """What a walk reached.

    Attributes:
        rows: By depth, then the surest first; those of the start are there too.
        is_cut: Whether the limit ended it.
    """

    rows: list[asyncpg.Record]
    is_cut: bool


async def walk(
    start_ids: Sequence[UUID], max_hops: int, follow: Follow, limit: int, target_id: UUID | None = None
) -> Walk:
    """Walk from some memories, or as far as to another one.

    Raises:
        MemoryNotFoundError: This tenant has one of the memories not, or it is forgotten.
        InvalidInputError: An argument cannot be used.
    """
    check_whole_number("max_hops", max_hops, largest=MAX_HOPS)
    check_whole_number("limit", limit)
    start_ids = list(dict.fromkeys(start_ids))
    rows = await _TRAVERSE.fetch(
        current_tenant(),
        start_ids,
        max_hops,
        follow.outgoing,
        follow.incoming,
        follow.types,
        follow.min_confidence,
        limit,
        target_id,
    )
    rows.sort(key=_depth)
    starts = len(start_ids)
    if len(rows) < starts or _depth(rows[starts - 1]) > 0:
        found = {row["step_memory_id"] for row in rows if _depth(row) == 0}
        raise MemoryNotFoundError(*(memory_id for memory_id in start_ids if memory_id not in found))
    is_cut = rows[-1]["is_cut"]
    if rows[-1]["step_memory_id"] is None:
        del rows[-1]
    return Walk(rows, is_cut)


async def walked_memories(rows: list[asyncpg.Record]) -> list[MemoryRecord | None]:
    """The memories of the rows of a walk; None for one that was deleted or forgotten before it was read."""
    long = [row["step_memory_id"] for row in rows if row["memory_id"] is None]
    if not long:
        return list(memories_from(rows))
    found = await live_memories(long)
    return [
        found.get(row["step_memory_id"]) if row["memory_id"] is None else model_from(MemoryRecord, row) for row in rows
    ]
