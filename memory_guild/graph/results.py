"""What the graph answers: neighbours, steps, paths, contradictions, subgraphs."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from memory_guild.models import MemoryRecord, MemoryRelationship


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
