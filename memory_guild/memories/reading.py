"""Reading memories: by id, or by conditions, newest first; a page of them, all of them, or their number."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Unpack
from uuid import UUID

import asyncpg

from memory_guild.database.scope import current_scope
from memory_guild.database.statements import Statement
from memory_guild.errors import MemoryNotFoundError, ScopeError
from memory_guild.memories.arguments import (
    MemoryArgument,
    check_flag,
    check_whole_number,
    current_tenant,
    memory_id_of,
    memory_ids_of,
)
from memory_guild.memories.conditions import ConditionArguments, Conditions, MatchingStatement
from memory_guild.memories.cursors import BEGINNING, Position, cursor_after, read_cursor
from memory_guild.memories.newest import all_newest, newest
from memory_guild.memories.origin import conditions_in_scope
from memory_guild.memories.permitting import readable, readable_rows
from memory_guild.memories.relations import checked_relations, memories_with
from memory_guild.memories.results import Memories
from memory_guild.models import MemoryRecord
from memory_guild.policies.enforcing import are_enforced
from memory_guild.rows import memories_from, model_from
from memory_guild.types import Relation

_GET = Statement("memories/get_memory")
_GET_MANY = Statement("memories/get_memories")
_COUNT = MatchingStatement("memories/count_memories")

_MOST_AT_ONCE = 1_000


class FoundMemories(Memories):
    """The memories that :func:`get_many` found, in the order in which they were asked for.

    Attributes:
        missing: The ids of memories that do not exist in this tenant, or are forgotten, in that order too.
    """

    def __init__(self, memories: Iterable[MemoryRecord], missing: list[UUID]) -> None:
        super().__init__(memories)
        self.missing = missing


class Page(Memories):
    """The memories that :func:`find` found, newest first.

    Attributes:
        next_cursor: The cursor of the next page; None if this is the last one.
    """

    def __init__(self, memories: Iterable[MemoryRecord], next_cursor: str | None) -> None:
        super().__init__(memories)
        self.next_cursor = next_cursor


async def get(memory: MemoryArgument, *, include_forgotten: bool = False) -> MemoryRecord:
    """Read a memory.

    Args:
        memory: The memory.
        include_forgotten: Whether to return a forgotten memory too.

    Raises:
        MemoryNotFoundError: The memory does not exist in this tenant, or it is forgotten.
    """
    memory_id = memory_id_of("memory", memory)
    check_flag("include_forgotten", include_forgotten)
    current_tenant()
    row = await _GET.fetch_row(memory_id)
    if row is None or (row["is_deleted"] and not include_forgotten):
        raise MemoryNotFoundError(memory_id)
    found = await readable([model_from(MemoryRecord, row)])
    if not found:
        raise MemoryNotFoundError(memory_id)
    return found[0]


async def get_many(
    memories: Iterable[MemoryArgument], *, include_forgotten: bool = False, relations: Iterable[Relation] = ()
) -> FoundMemories:
    """Read several memories, with one statement, and one more for each relation.

    Args:
        memories: The memories; one that is named twice is returned twice.
        include_forgotten: Whether to return forgotten memories too.
        relations: The relations to read with them, such as ``("embeddings", "outgoing_edges")``.

    Raises:
        InvalidInputError: A relation is unknown.
    """
    names = checked_relations(relations)
    check_flag("include_forgotten", include_forgotten)
    memory_ids = memory_ids_of("memories", memories)
    current_tenant()
    rows = [row for row in await _GET_MANY.fetch(memory_ids) if include_forgotten or not row["is_deleted"]]
    rows = await readable_rows(rows)
    found = {memory.memory_id: memory for memory in await memories_with(rows, names)}
    return FoundMemories(
        [found[memory_id] for memory_id in memory_ids if memory_id in found],
        [memory_id for memory_id in memory_ids if memory_id not in found],
    )


async def live_memories(memory_ids: list[UUID]) -> dict[UUID, MemoryRecord]:
    """The memories that exist and are not forgotten, by their ids."""
    rows = await _GET_MANY.fetch(memory_ids)
    live = [memory for memory in memories_from(rows) if not memory.is_deleted]
    return {memory.memory_id: memory for memory in await readable(live)}


async def find(
    *,
    limit: int = 50,
    cursor: str | None = None,
    relations: Iterable[Relation] = (),
    **conditions: Unpack[Conditions],
) -> Page:
    """Find the newest memories that match the conditions: by ``created_at``, then by id, both descending.

    Memories without a ``created_at`` come last.

    Args:
        limit: The most memories to return, 1 to 10,000.
        cursor: The ``next_cursor`` of the page before. Memories stored between two pages do not repeat or skip others.
        relations: The relations to read with them, one statement each, such as ``("embeddings", "outgoing_edges")``.
        **conditions: See :class:`memory_guild.memories.conditions.Conditions`.

    Raises:
        InvalidInputError: A condition, a relation, the limit or the cursor is invalid.
        UnknownSourceError: No source has a name that is asked for.
        SearchNotInstalledError: ``text`` is given, and the database has no search tables.
    """
    names = checked_relations(relations)
    check_whole_number("limit", limit)
    after = BEGINNING if cursor is None else read_cursor(cursor)
    rows = await _readable_newest(await conditions_in_scope(conditions), after, limit + 1)
    memories = await memories_with(rows[:limit], names)
    return Page(memories, cursor_after(memories[-1]) if len(rows) > limit else None)


async def find_all(**conditions: Unpack[Conditions]) -> AsyncGenerator[MemoryRecord, None]:
    """Read all memories that match the conditions, in the order of :func:`find`, a few hundred at a time.

    The loop sees them as they were when it began, whatever is stored or forgotten meanwhile, even in the loop itself.

    Args:
        **conditions: See :class:`memory_guild.memories.conditions.Conditions`.

    Raises:
        InvalidInputError: A condition is unknown or invalid.
        UnknownSourceError: No source has a name that is asked for.
        SearchNotInstalledError: ``text`` is given, and the database has no search tables.
    """
    arguments = await conditions_in_scope(conditions)
    begun = current_scope().transaction
    async for rows in all_newest(arguments):
        for memory in await readable(list(memories_from(rows))):
            yield memory
            if begun.closed:
                begun.require_open()  # says so
            if current_scope().transaction.session is not begun.session:
                raise ScopeError("find_all() was begun in another scope; begin and end its loop in one scope")


async def count(**conditions: Unpack[Conditions]) -> int:
    """Count the memories that match the conditions, exactly.

    Args:
        **conditions: See :class:`memory_guild.memories.conditions.Conditions`.

    Raises:
        InvalidInputError: A condition is unknown or invalid.
        UnknownSourceError: No source has a name that is asked for.
        SearchNotInstalledError: ``text`` is given, and the database has no search tables.
    """
    arguments = await conditions_in_scope(conditions)
    if are_enforced():
        return sum([len(await readable_rows(rows)) async for rows in all_newest(arguments)])
    row = await _COUNT.for_conditions(arguments).fetch_only_row(*arguments)
    number: int = row["count"]
    return number


async def _readable_newest(conditions: ConditionArguments, after: Position, number: int) -> list[asyncpg.Record]:
    """The newest matching rows after a position that may be read, at most ``number`` of them."""
    found: list[asyncpg.Record] = []
    asked = number
    while True:
        rows = await newest(conditions, after, asked)
        found += await readable_rows(rows)
        if len(rows) < asked or len(found) >= number:
            return found[:number]
        asked = max(asked, min(4 * asked, _MOST_AT_ONCE))  # there may be many that may not be read
        after = Position(rows[-1]["created_at"], rows[-1]["memory_id"])
