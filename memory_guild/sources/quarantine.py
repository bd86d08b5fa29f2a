"""Releasing memories that are held in quarantine because of the source that they came from."""

from __future__ import annotations

from collections.abc import Iterable

from memory_guild import audit
from memory_guild.database.statements import Statement, Step
from memory_guild.errors import InvalidInputError
from memory_guild.memories.arguments import MemoryArgument, current_tenant, memory_ids_of
from memory_guild.memories.origin import unknown_source
from memory_guild.memories.permitting import permitted_by_id
from memory_guild.types import AuditEvent, PolicyAction
from memory_guild.values.checks import check_name, plain

_NAMED = Statement("sources/named_source")
_HELD = Statement("sources/held_memories", planned_for_values=True)
_RELEASE = Statement(
    "memories/release_memories",
    on_citus=(Step("memories/citus/release_held_memories"), Step("memories/restore_memories")),
)


async def release(source: str | None = None, *, memories: Iterable[MemoryArgument] | None = None) -> int:
    """Release memories of the scope's tenant that are held in quarantine: from now on they are found as all others.

    Those that the access policies do not allow to release stay held. The audit says how many were released.

    Args:
        source: The name of a data source: what came from it.
        memories: These memories, as ``find(held=True)`` returns them; those that are not held do not count.

    Returns:
        How many were released by this call.

    Raises:
        UnknownSourceError: No source has the name.
        InvalidInputError: Neither a source nor memories are given; nothing was changed.
    """
    tenant_id = current_tenant()
    if source is None and memories is None:
        raise InvalidInputError("source", "is missing; give the name of a source, or memories=")
    memory_ids = None if memories is None else memory_ids_of("memories", memories)
    source_id = None
    if source is not None:
        name = plain(check_name("source", source))
        if (row := await _NAMED.fetch_row(name, None, None, None)) is None:
            raise await unknown_source(name)
        source_id = row["source_id"]
    held = await _HELD.fetch(tenant_id, source_id, memory_ids)
    allowed = await permitted_by_id(PolicyAction.RELEASE, [row["memory_id"] for row in held], locks=True)
    released = len(await _RELEASE.fetch(allowed))
    if released:
        await audit.record(AuditEvent.RELEASE, subject=source, details={"memories": released})
    return released
