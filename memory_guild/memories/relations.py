"""Reading the relations of many memories: one statement each; models are made while the server answers the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from memory_guild.database.statements import Statement
from memory_guild.database.tortoise import set_relation
from memory_guild.errors import InvalidInputError
from memory_guild.memories.arguments import check_choice, check_several, current_tenant, memory_id_of, memory_of
from memory_guild.memories.permitting import require_by_id
from memory_guild.memories.results import MemoryResult
from memory_guild.models import MemoryRecord
from memory_guild.rows import memories_from, models_from
from memory_guild.types import RELATIONS, PolicyAction, Relation

_RELATED = {
    "outgoing_edges": (Statement("memories/outgoing_edges_of_memories"), "source_memory_id"),
    "incoming_edges": (Statement("memories/incoming_edges_of_memories"), "target_memory_id"),
    "embeddings": (Statement("memories/embeddings_of_memories"), "memory_id"),
}
"""The statement of each relation, and its column with the memory's id. They are read in this order, embeddings last:
there are fewer of them than edges, and while the models of the last relation are made, nothing is read."""

_Memories = TypeVar("_Memories", bound=Sequence[MemoryRecord])


def checked_relations(relations: Iterable[Relation]) -> list[Relation]:
    """The relations, in the order in which they are read.

    Raises:
        InvalidInputError: A relation is unknown.
    """
    wanted = [check_choice("relations", name, RELATIONS) for name in check_several("relations", relations)]
    return [name for name in _RELATED if name in wanted]


async def fetch_relations(
    memories: Iterable[MemoryRecord | MemoryResult], relations: Iterable[Relation] = RELATIONS
) -> None:
    """Read relations of many memories, one statement each. Afterwards ``memory.embeddings`` and so on are lists.

    Edges to and from forgotten memories are read too.

    Args:
        memories: The memories, or results about them.
        relations: The relations; by default all three.

    Raises:
        InvalidInputError: A relation is unknown, or a memory is no model or has no id yet; nothing was sent.
        AccessDeniedError: The access policies do not allow to read one of the memories.
    """
    names = checked_relations(relations)
    models = [
        _model_of(f"memories[{number}]", memory) for number, memory in enumerate(check_several("memories", memories))
    ]
    memory_ids = [memory_id_of(f"memories[{number}]", memory) for number, memory in enumerate(models)]
    current_tenant()
    await require_by_id(PolicyAction.READ, memory_ids)
    await _with_relations(memory_ids, names, lambda: models)


def _model_of(field: str, memory: object) -> MemoryRecord:
    model = memory_of(memory)
    if model is None:
        raise InvalidInputError(field, f"must be a memory that was read, not {type(memory).__name__}; get() reads it")
    return model


async def memories_with(rows: Sequence[asyncpg.Record], relations: Sequence[Relation]) -> list[MemoryRecord]:
    """The memories of several rows, with their relations."""
    return await _with_relations([row["memory_id"] for row in rows], relations, lambda: memories_from(rows))


async def _with_relations(
    memory_ids: list[UUID], relations: Sequence[Relation], make: Callable[[], _Memories]
) -> _Memories:
    if not memory_ids or not relations:
        return make()
    # They take turns on the scope's connection: when one has its rows, the next statement is already sent.
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
    """Set a relation to what was read, as prefetching does."""
    model: Any = MemoryRecord._meta.fields_map[name].related_model  # type: ignore[attr-defined]  # it is a relation
    column = _RELATED[name][1]
    # Keyed by bytes: hashing a UUID takes a microsecond.
    related: dict[bytes, list[Any]] = {memory_id.bytes: [] for memory_id in memory_ids}
    for row, made in zip(rows, models_from(model, rows), strict=True):
        related[row[column].bytes].append(made)
    for memory, memory_id in zip(memories, memory_ids, strict=True):
        set_relation(memory, name, related[memory_id.bytes])
