"""Walks along edges, of several hops: what a memory leads to, the shortest path, the graph around some memories.

Walks skip forgotten memories. An unspecified confidence counts as 1. Where access policies are enforced, what may not
be read is left out, and so is what a walk reaches through it; no way around is looked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

from memory_guild.database.statements import Statement
from memory_guild.errors import InvalidInputError, SearchLimitError
from memory_guild.graph.conditions import EdgeConditions, Types
from memory_guild.graph.walking import walk
from memory_guild.memories.arguments import MemoryArgument, memory_id_of, memory_ids_of
from memory_guild.memories.reading import live_memories
from memory_guild.memories.results import Memories, MemoryResult, Results
from memory_guild.models import MemoryRecord, MemoryRelationship
from memory_guild.rows import models_from
from memory_guild.types import Direction

_EDGES_AMONG = Statement("graph/edges_among_memories")

_step = itemgetter("step_depth", "step_memory_id", "step_parent_id", "step_confidence")


class Step(
    MemoryResult,
    NamedTuple("Step", [("memory", MemoryRecord), ("depth", int), ("path", tuple[UUID, ...]), ("confidence", float)]),
):
    """A memory that a walk reached. Use it as the memory, or unpack it.

    Attributes:
        memory: The memory.
        depth: How many edges away it is, from 1; no path is shorter.
        path: The ids from the start to this memory, both included.
        confidence: The product of the confidences along the path, 0 to 1. No other path of this length has a higher
            one.
    """

    __slots__ = ()


class Traversal(Results[Step]):
    """The steps of :func:`traverse`: each memory once, by depth, then highest confidence first, without the start.

    Attributes:
        is_cut: Whether the limit was reached. If it was, there may be more memories, and paths with a higher confidence
            on the last level.
    """

    def __init__(self, steps: Iterable[Step], *, is_cut: bool) -> None:
        super().__init__(steps)
        self.is_cut = is_cut

    @property
    def steps(self) -> list[Step]:
        """The steps: the list itself, under a name that says what it holds."""
        return self


class Path(Memories):
    """The memories of a shortest path, from the source to the target, both included.

    Attributes:
        confidence: The product of the confidences along it, 0 to 1. No other path of this length has a higher one.
    """

    def __init__(self, memories: Iterable[MemoryRecord], confidence: float) -> None:
        super().__init__(memories)
        self.confidence = confidence


class Subgraph(Memories):
    """The memories of a part of the graph, to draw for example: those that it starts at, then the others by depth.

    Attributes:
        edges: All edges between these memories that match the conditions.
        is_cut: Whether the limit was reached. If it was, there may be more memories.
    """

    def __init__(self, memories: Iterable[MemoryRecord], edges: list[MemoryRelationship], *, is_cut: bool) -> None:
        super().__init__(memories)
        self.edges = edges
        self.is_cut = is_cut


async def traverse(
    start: MemoryArgument,
    *,
    max_hops: int = 3,
    direction: Direction | str = Direction.OUTGOING,
    types: Types = None,
    min_confidence: float | None = None,
    limit: int = 1000,
) -> Traversal:
    """Walk along edges from a memory and return each memory that can be reached, once. Cycles are fine.

    It is one statement, and a second one if there are memories with texts of some kilobytes.

    Args:
        start: Where to begin.
        max_hops: How many edges far, 1 to 100.
        direction: Which edges to follow: ``outgoing``, ``incoming`` or ``both``.
        types: Their types; by default all.
        min_confidence: The least confidence of an edge to follow, 0 to 1.
        limit: The most memories to reach, 1 to 10,000, so that a hub cannot make the walk explode. If a level has more,
            those with the highest confidence are kept. Of a level's edges, at most fifty times the limit are read.

    Raises:
        MemoryNotFoundError: The memory does not exist in this tenant, or it is forgotten.
        InvalidInputError: An argument is invalid.
    """
    conditions = EdgeConditions.checked(direction, types, min_confidence)
    walked = await walk([memory_id_of("start", start)], max_hops, conditions, limit)
    paths: dict[bytes, tuple[UUID, ...]] = {}  # by bytes, whose hash is cheap: a UUID's takes a microsecond
    steps = []
    for row, memory in zip(walked.rows, await walked.memories(), strict=True):
        depth, memory_id, parent_id, confidence = _step(row)
        path_here = (memory_id,) if parent_id is None else (*paths[parent_id.bytes], memory_id)
        paths[memory_id.bytes] = path_here
        if depth > 0 and memory is not None:
            steps.append(Step(memory, depth, path_here, confidence))
    return Traversal(steps, is_cut=walked.is_cut)


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
    """The shortest path from one memory to another. Of several, one with the highest product of confidences.

    Args:
        source: Where it starts.
        target: Where it ends.
        max_hops: The most edges on the path, 1 to 100.
        direction: Which edges to follow: ``outgoing``, ``incoming`` or ``both``.
        types: Their types; by default all.
        min_confidence: The least confidence of an edge to follow, 0 to 1.
        limit: The most memories to look at, 1 to 10,000.

    Returns:
        The path, or None if there is none.

    Raises:
        MemoryNotFoundError: The source does not exist in this tenant, or it is forgotten.
        SearchLimitError: The limit ended the search early.
        InvalidInputError: An argument is invalid.
    """
    conditions = EdgeConditions.checked(direction, types, min_confidence)
    target_id = memory_id_of("target", target)
    walked = await walk([memory_id_of("source", source)], max_hops, conditions, limit, target_id)
    reached = {row["step_memory_id"]: row for row in walked.rows}
    if walked.is_cut:
        raise SearchLimitError(limit)
    if target_id not in reached:
        return None
    memory_ids: list[UUID] = []
    memory_id: UUID | None = target_id
    while memory_id is not None:
        memory_ids.append(memory_id)
        memory_id = reached[memory_id]["step_parent_id"]
    memories = await live_memories(memory_ids)
    if len(memories) < len(memory_ids):  # one was forgotten or deleted since
        return None
    return Path([memories[memory_id] for memory_id in reversed(memory_ids)], reached[target_id]["step_confidence"])


async def subgraph(
    *start: MemoryArgument,
    max_hops: int = 2,
    direction: Direction | str = Direction.BOTH,
    types: Types = None,
    min_confidence: float | None = None,
    limit: int = 200,
) -> Subgraph:
    """The memories around one or more memories, and all edges between them.

    Args:
        *start: Where to begin.
        max_hops: How many edges far, 1 to 100.
        direction: Which edges to follow: ``outgoing``, ``incoming`` or ``both``.
        types: Their types; by default all.
        min_confidence: The least confidence of an edge, 0 to 1.
        limit: The most memories to reach beside those of the start, 1 to 10,000.

    Raises:
        MemoryNotFoundError: One of the memories does not exist in this tenant, or it is forgotten.
        InvalidInputError: An argument is invalid.
    """
    if not start:
        raise InvalidInputError("start", "is missing; give at least one memory")
    conditions = EdgeConditions.checked(direction, types, min_confidence)
    walked = await walk(memory_ids_of("start", start), max_hops, conditions, limit)
    memories = [memory for memory in await walked.memories() if memory is not None]
    memory_ids = [memory.memory_id for memory in memories]
    edges = await _EDGES_AMONG.fetch(memory_ids, conditions.types, conditions.min_confidence)
    return Subgraph(memories, models_from(MemoryRelationship, edges), is_cut=walked.is_cut)
