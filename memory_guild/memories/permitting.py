"""What the access policies say of memories: which ones may be read, and whether a verb may act on them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from memory_guild.database.statements import Statement
from memory_guild.memories.drafts import Draft
from memory_guild.memories.merging import OnExisting
from memory_guild.models import MemoryRecord
from memory_guild.policies.enforcing import MemoryFacts, are_enforced, permitted, require
from memory_guild.rows import memories_from
from memory_guild.types import PolicyAction

_READ = Statement("memories/get_memories")
_LOCK = Statement("memories/lock_present_memories")
_AT_ONCE = 1_000

_Result = TypeVar("_Result")


async def readable(memories: list[MemoryRecord]) -> list[MemoryRecord]:
    """Those of the memories that may be read, in their order: all of them where no policies are enforced."""
    if not are_enforced() or not memories:
        return memories
    may_read = await permitted(PolicyAction.READ, memories)
    return [memory for memory, is_permitted in zip(memories, may_read, strict=True) if is_permitted]


async def readable_rows(rows: list[asyncpg.Record]) -> list[asyncpg.Record]:
    """Those of the rows of memories that may be read, see :func:`readable`."""
    if not are_enforced() or not rows:
        return rows
    may_read = await permitted(PolicyAction.READ, rows)
    return [row for row, is_permitted in zip(rows, may_read, strict=True) if is_permitted]


async def filled(
    limit: int,
    read: Callable[[int], Awaitable[list[asyncpg.Record]]],
    results_of: Callable[[list[asyncpg.Record]], Awaitable[list[_Result]]],
) -> list[_Result]:
    """The first results, at most ``limit``: what may not be read makes room for what comes next.

    Args:
        limit: How many are wanted.
        read: Reads so many of the first rows.
        results_of: Makes the results of rows, without what may not be read.
    """
    asked = limit
    while True:
        rows = await read(asked)
        results = await results_of(rows)
        if len(results) >= limit or len(rows) < asked or not are_enforced():
            return results[:limit]
        asked *= 4


async def require_by_id(action: PolicyAction, memory_ids: Collection[UUID]) -> None:
    """Check that something may be done to memories. Those that do not exist are not asked about.

    Raises:
        AccessDeniedError: A policy denies it for one of them, or none allows it.
    """
    if are_enforced():
        await require(action, list((await stored_memories(memory_ids)).values()))


async def permitted_by_id(action: PolicyAction, memory_ids: Sequence[UUID], *, locks: bool = False) -> list[UUID]:
    """Those of the memories that something may be done to, in their order.

    Args:
        action: What is to be done.
        memory_ids: The memories.
        locks: Whether to lock them first, so that what is asked about stays as it is; nothing is locked where no
            policies are enforced.
    """
    if not are_enforced():
        return list(memory_ids)
    kept: list[UUID] = []
    for first in range(0, len(memory_ids), _AT_ONCE):
        if locks:
            await _LOCK.fetch(memory_ids[first : first + _AT_ONCE])
        memories = await stored_memories(memory_ids[first : first + _AT_ONCE])
        may_act = await permitted(action, list(memories.values()))
        allowed = {memory_id for memory_id, is_permitted in zip(memories, may_act, strict=True) if is_permitted}
        kept += [memory_id for memory_id in memory_ids[first : first + _AT_ONCE] if memory_id in allowed]
    return kept


async def stored_memories(memory_ids: Collection[UUID]) -> dict[UUID, MemoryRecord]:
    """The memories that exist, forgotten or not, by their ids: all that the tenant has, whatever the policies say."""
    wanted = list(dict.fromkeys(memory_ids))
    rows: list[Any] = await _READ.fetch(wanted) if wanted else []
    return {memory.memory_id: memory for memory in memories_from(rows)}


def facts_of(draft: Draft, source: str | None) -> MemoryFacts:
    """What the policies learn of a memory that is to be stored from a source."""
    return MemoryFacts(
        agent_id=draft.agent_id,
        source_type=draft.source_type,
        metadata=json.loads(draft.metadata or "{}"),
        created_at=draft.created_at,
        source=source,
    )


def facts_with_metadata(memory: MemoryRecord, draft: Draft, on_existing: OnExisting) -> MemoryFacts:
    """What a memory would be once it has the metadata of a draft of its text."""
    given = json.loads(draft.metadata or "{}")
    return MemoryFacts.of(memory)._replace(
        metadata={**memory.metadata, **given} if on_existing == "merge" else given, is_deleted=False
    )
