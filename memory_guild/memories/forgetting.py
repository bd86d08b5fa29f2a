"""Forgetting memories, restoring them, and purging what was forgotten long ago."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Unpack
from uuid import UUID

import asyncpg

from memory_guild import audit
from memory_guild.database.statements import Statement
from memory_guild.errors import HeldMemoryError, InvalidInputError, MemoryNotFoundError
from memory_guild.memories.arguments import (
    MemoryArgument,
    check_whole_number,
    current_tenant,
    memory_ids_of,
    memory_of,
)
from memory_guild.memories.conditions import Conditions, MatchingStatement, narrows
from memory_guild.memories.newest import all_newest
from memory_guild.memories.origin import conditions_in_scope
from memory_guild.memories.permitting import permitted_by_id, require_by_id
from memory_guild.policies.enforcing import are_enforced
from memory_guild.types import AuditEvent, PolicyAction
from memory_guild.values.checks import check_aware

_LOCK = Statement("memories/lock_memories")
_LOCK_TO_RESTORE = Statement("memories/lock_memories_to_restore")
_FORGET = Statement("memories/forget_memories")
_RESTORE = Statement("memories/restore_memories")
_LOCK_MATCHING = MatchingStatement("memories/lock_matching_memories")
_FORGET_MATCHING = MatchingStatement("memories/forget_matching_memories")
_PURGEABLE = Statement("memories/purgeable_memories", planned_for_values=True)
_PURGE = Statement("memories/purge_memories")
_AGO = Statement("memories/moment_ago")

_FORGOTTEN_AT_ONCE = 1_000
_LONGEST_AGO = timedelta(days=700_000)  # older than any memory, and PostgreSQL can still subtract it


async def forget(*memories: MemoryArgument) -> int:
    """Forget memories: searches and walks no longer find them. :func:`restore` brings them back.

    Args:
        *memories: The memories; all are forgotten, or none. Models are brought up to date.

    Returns:
        How many were forgotten by this call; memories that already were do not count.

    Raises:
        MemoryNotFoundError: One of the memories does not exist in this tenant; nothing was changed.
        AccessDeniedError: The access policies do not allow it for one of them; nothing was changed.
    """
    return await _change_all(PolicyAction.FORGET, _LOCK, _FORGET, memories)


async def restore(*memories: MemoryArgument) -> int:
    """Restore forgotten memories, with their embeddings and edges.

    Args:
        *memories: The memories; all are restored, or none. Models are brought up to date.

    Returns:
        How many were restored by this call; memories that were not forgotten do not count.

    Raises:
        HeldMemoryError: One of the memories is held in quarantine; nothing was changed. See ``sources.release``.
        MemoryNotFoundError: One of the memories does not exist in this tenant; nothing was changed.
        AccessDeniedError: The access policies do not allow it for one of them; nothing was changed.
    """
    return await _change_all(PolicyAction.RESTORE, _LOCK_TO_RESTORE, _RESTORE, memories)


async def forget_where(**conditions: Unpack[Conditions]) -> int:
    """Forget all memories that match the conditions, except those that the access policies do not allow to forget.

    With ``source`` it is for a source that turned out to be bad. What is held in quarantine stays held, and does not
    count.

    Args:
        **conditions: At least one of :class:`memory_guild.memories.conditions.Conditions`.

    Returns:
        How many were forgotten by this call.

    Raises:
        InvalidInputError: A condition is invalid, or there is none; nothing was changed.
        UnknownSourceError: No source has a name that is asked for.
        SearchNotInstalledError: ``text`` is given, and the database has no search tables.
    """
    if not narrows(conditions):
        raise InvalidInputError("conditions", "are missing; without one, every memory of the tenant would be forgotten")
    arguments = await conditions_in_scope(conditions)
    if not are_enforced():
        return len(await _FORGET_MATCHING.for_conditions(arguments).fetch(*arguments))
    matching = sorted([row["memory_id"] async for rows in all_newest(arguments) for row in rows])
    forgotten = 0
    for first in range(0, len(matching), _FORGOTTEN_AT_ONCE):
        # Locked first: what is asked about stays as it is.
        locked = await _LOCK_MATCHING.for_conditions(arguments).fetch(
            *arguments, matching[first : first + _FORGOTTEN_AT_ONCE]
        )
        live = [row["memory_id"] for row in locked if not row["is_deleted"]]
        forgotten += len(await _FORGET.fetch(await permitted_by_id(PolicyAction.FORGET, live)))
    return forgotten


async def purge(*, older_than: timedelta | datetime, batch_size: int = 1000) -> int:
    """Delete memories that were forgotten long ago, with their embeddings and edges. They cannot be restored.

    Memories that are held in quarantine stay. How many were deleted is recorded in the audit.

    Args:
        older_than: How long a memory must have been forgotten, or before when. ``timedelta(0)`` deletes all of them.
        batch_size: How many memories one statement deletes, 1 to 10,000.

    Returns:
        How many memories were deleted. It becomes final when the scope commits.

    Raises:
        InvalidInputError: ``older_than`` is negative, a naive datetime, or of another type.
    """
    check_whole_number("batch_size", batch_size)
    before = await _moment_of(older_than)
    purged = 0
    async for rows in _PURGEABLE.fetch_in_batches(current_tenant(), before, size=batch_size):
        allowed = await permitted_by_id(PolicyAction.PURGE, [row["memory_id"] for row in rows], locks=True)
        purged += len(await _PURGE.fetch(allowed, before))
    if purged:
        await audit.record(AuditEvent.PURGE, details={"memories": purged, "forgotten_before": before})
    return purged


async def _moment_of(older_than: timedelta | datetime) -> datetime:
    """The moment by the server's clock, which also stamps ``deleted_at``."""
    if not isinstance(older_than, timedelta):
        return check_aware("older_than", older_than)
    if older_than < timedelta(0):
        raise InvalidInputError("older_than", "must not be negative")
    row = await _AGO.fetch_only_row(min(older_than, _LONGEST_AGO))
    moment: datetime = row["moment"]
    return moment


async def _change_all(
    action: PolicyAction, lock: Statement, change: Statement, memories: tuple[MemoryArgument, ...]
) -> int:
    memory_ids = memory_ids_of("memories", memories)
    current_tenant()
    wanted = len(set(memory_ids))
    existing = {row["memory_id"]: row for row in await lock.fetch(memory_ids, wanted)}
    # If one was missing from the start, nothing was locked. Otherwise, one that is not locked was deleted meanwhile.
    found = {memory_id: row for memory_id, row in existing.items() if row["is_locked"] or len(existing) < wanted}
    if missing := [memory_id for memory_id in memory_ids if memory_id not in found]:
        raise MemoryNotFoundError(*missing)
    await require_by_id(action, memory_ids)
    if held := [memory_id for memory_id, row in found.items() if row.get("is_held")]:
        raise HeldMemoryError(*held)
    changed = {row["memory_id"]: row for row in await change.fetch(memory_ids)}
    _bring_up_to_date(memories, found | changed)
    return len(changed)


def _bring_up_to_date(memories: Iterable[MemoryArgument], rows: Mapping[UUID, asyncpg.Record]) -> None:
    for argument in memories:
        if (memory := memory_of(argument)) is not None:
            row = rows[memory.memory_id]
            memory.is_deleted = row["is_deleted"]
            memory.deleted_at = row["deleted_at"]
            memory.updated_at = row["updated_at"]
