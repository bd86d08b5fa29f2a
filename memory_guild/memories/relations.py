"""The relations of many memories: one statement each, and models are made while the server answers the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from memory_guild.database.statements import Statement
from memory_guild.database.tortoise import set_relation
from memory_guild.errors import InvalidInputError
from memory_guild.memories.arguments import check_several, current_tenant, memory_ids_of
from memory_guild.models import MemoryRecord
from memory_guild.rows import memories_from, models_from
from memory_guild.types import RELATIONS, Relation

_RELATED = {
    "outgoing_edges": (Statement("memories/outgoing_edges_of_memories"), "source_memory_id"),
    "incoming_edges": (Statement("memories/incoming_edges_of_memories"), "target_memory_id"),
    "embeddings": (Statement("memories/embeddings_of_memories"), "memory_id"),
}
"""The statement of each relation, and the column that names the memory. They are read in this order: while the last
one's models are made nothing is read, and embeddings are fewer than edges."""

_Memories = TypeVar("_Memories", bound=Sequence[MemoryRecord])


def checked_relations(relations: Iterable[Relation]) -> list[Relation]:
    """The relations' names, in the order in which they are read.

    Raises:
        InvalidInputError: There is no such relation.
    """
    wanted = list(check_several("relations", relations))
    if any(name not in RELATIONS for name in wanted):
        raise InvalidInputError("relations", f"there are only {', '.join(RELATIONS)}")
    return [name for name in _RELATED if name in wanted]


async def fetch_relations(memories: Iterable[MemoryRecord], relations: Iterable[Relation] = RELATIONS) -> None:
    """Read relations of many memories, one statement each; ``memory.embeddings`` and so on are lists from then on.

    Edges of forgotten memories are read too, and those that lead to forgotten ones.

    Args:
        memories: Whose.
        relations: Which; by default all three.

    Raises:
        InvalidInputError: There is no such relation, or a memory has no id yet; nothing was sent.
    """
    names = checked_relations(relations)
    memories = list(check_several("memories", memories))
    memory_ids = memory_ids_of("memories", memories)
    current_tenant()
    await _with_relations(memory_ids, names, lambda: memories)


async def memories_with(rows: Sequence[asyncpg.Record], relations: Sequence[Relation]) -> list[MemoryRecord]:
    """The memories of several rows, with relations of theirs."""
    return await _with_relations([row["memory_id"] for row in rows], relations, lambda: memories_from(rows))


async def _with_relations(
    memory_ids: list[UUID], relations: Sequence[Relation], make: Callable[[], _Memories]
) -> _Memories:
    if not memory_ids or not relations:
        return make()
    # They take turns on the scope's connection: whenever one has its rows, the next is already on its way.
    reads = [asyncio.create_task(_RELATED[name][0].fetch(memory_ids)) for name in relations]
    try:
        await asyncio.sleep(0)  # the first one starts
        memories = make()
        for name, read in zip(relations, reads, strict=True):
            _relate(memories, memory_ids, name, await read)
    except BaseException:
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
        raise
    return memories


def _relate(
    memories: Sequence[MemoryRecord], memory_ids: Sequence[UUID], name: Relation, rows: Sequence[asyncpg.Record]
) -> None:
    """Make a relation one that was read, as prefetching does."""
    model: Any = MemoryRecord._meta.fields_map[name].related_model  # type: ignore[attr-defined]  # it is a relation
    column = _RELATED[name][1]
    # By bytes, whose hash is cheap: a UUID's takes a microsecond.
    related: dict[bytes, list[Any]] = {memory_id.bytes: [] for memory_id in memory_ids}
    for row, made in zip(rows, models_from(model, rows), strict=True):
        related[row[column].bytes].append(made)
    for memory, memory_id in zip(memories, memory_ids, strict=True):
        set_relation(memory, name, related[memory_id.bytes])
