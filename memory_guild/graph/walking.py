"""The walk behind ``traverse``, ``path`` and ``subgraph``: one statement, and the memories of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from uuid import UUID

import asyncpg

from memory_guild.database.statements import Statement
from memory_guild.errors import MemoryNotFoundError
from memory_guild.graph.conditions import EdgeConditions
from memory_guild.memories.arguments import check_whole_number, current_tenant
from memory_guild.memories.permitting import readable
from memory_guild.memories.reading import live_memories
from memory_guild.models import MemoryRecord
from memory_guild.policies.enforcing import are_enforced
from memory_guild.rows import memories_from, model_from

MAX_HOPS = 100

_TRAVERSE = Statement("graph/traverse_memories")

_depth = itemgetter("step_depth")


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk reached.

    Attributes:
        rows: The rows of ``sql/traverse_memories.sql``, one for each memory: those of the start, then by depth, highest
            confidence first. ``step_depth``, ``step_memory_id``, ``step_parent_id`` and ``step_confidence`` are its
            place in the walk. The columns of the memory follow; they are NULL if its text is long.
        is_cut: Whether the limit was reached.
    """

    rows: list[asyncpg.Record]
    is_cut: bool

    async def memories(self) -> list[MemoryRecord | None]:
        """The memory of each row. Those with long texts are read now: None if one was forgotten or deleted since.

        None also for those that the access policies do not allow to read, and for those that are reached through them.

        Raises:
            MemoryNotFoundError: A memory of the start may not be read.
        """
        memories = await self._all_memories()
        return await self._readable(memories) if are_enforced() else memories

    async def _all_memories(self) -> list[MemoryRecord | None]:
        long = [row["step_memory_id"] for row in self.rows if row["memory_id"] is None]
        if not long:
            return list(memories_from(self.rows))
        found = await live_memories(long)
        return [
            found.get(row["step_memory_id"]) if row["memory_id"] is None else model_from(MemoryRecord, row)
            for row in self.rows
        ]

    async def _readable(self, memories: Sequence[MemoryRecord | None]) -> list[MemoryRecord | None]:
        known = await readable([memory for memory in memories if memory is not None])
        open_ids = {memory.memory_id for memory in known}
        kept: list[MemoryRecord | None] = []
        for row, memory in zip(self.rows, memories, strict=True):
            parent_id = row["step_parent_id"]
            if parent_id is None and memory is not None and memory.memory_id not in open_ids:
                raise MemoryNotFoundError(memory.memory_id)
            if parent_id is not None and parent_id not in open_ids:
                open_ids.discard(row["step_memory_id"])
            kept.append(memory if row["step_memory_id"] in open_ids else None)
        return kept


async def walk(
    start_ids: Sequence[UUID], max_hops: int, conditions: EdgeConditions, limit: int, target_id: UUID | None = None
) -> Walk:
    """Walk from some memories, until a target is reached or there is nothing more to reach.

    Args:
        start_ids: Where to begin.
        max_hops: How many edges far, 1 to 100.
        conditions: The edges to follow.
        limit: The most memories to reach beside those of the start, 1 to 10,000.
        target_id: Where to end. The rows then have no columns of the memories.

    Raises:
        MemoryNotFoundError: A memory of the start does not exist in this tenant, or it is forgotten.
        InvalidInputError: An argument is invalid.
    """
    check_whole_number("max_hops", max_hops, largest=MAX_HOPS)
    check_whole_number("limit", limit)
    start_ids = list(dict.fromkeys(start_ids))
    rows = await _TRAVERSE.fetch(
        current_tenant(),
        start_ids,
        max_hops,
        conditions.outgoing,
        conditions.incoming,
        conditions.types,
        conditions.min_confidence,
        limit,
        target_id,
    )
    rows.sort(key=_depth)
    starts = len(start_ids)
    if len(rows) < starts or _depth(rows[starts - 1]) > 0:
        found = {row["step_memory_id"] for row in rows if _depth(row) == 0}
        raise MemoryNotFoundError(*(memory_id for memory_id in start_ids if memory_id not in found))
    is_cut = rows[-1]["is_cut"]
    if rows[-1]["step_memory_id"] is None:  # the last level was cut, and is empty
        del rows[-1]
    return Walk(rows, is_cut)
