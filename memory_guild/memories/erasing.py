"""Erasing memories for good, with a receipt that says what was erased."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Unpack
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from memory_guild import audit
from memory_guild.database.scope import current_scope
from memory_guild.database.statements import Statement
from memory_guild.errors import InvalidInputError, ScopeError, TenantMovedError, TenantMovingError
from memory_guild.memories.arguments import check_whole_number
from memory_guild.memories.conditions import (
    ConditionArguments,
    Conditions,
    MatchingStatement,
    condition_arguments,
    narrows,
)
from memory_guild.memories.origin import conditions_in_scope
from memory_guild.memories.permitting import permitted_by_id
from memory_guild.tenancy import keep_in_group
from memory_guild.types import AuditEvent, PolicyAction
from memory_guild.values.checks import check_name

_ERASABLE = MatchingStatement("memories/erasable_memories")
_LOCK = MatchingStatement("memories/lock_matching_memories")
_TABLES = Statement("database/tables_that_exist")
_COUNTS = {
    "memory_embeddings": Statement("memories/count_embeddings"),
    "memory_relationships": Statement("memories/count_relationships"),
    "memory_sources": Statement("memories/count_sources"),
    "memory_words": Statement("memories/count_words"),
    "memory_own_vectors": Statement("memories/count_own_vectors"),
    "memory_vectors": Statement("memories/count_vectors"),
}
"""How many rows of each table belong to some memories. They are deleted with them; a database may lack some tables."""
_ERASE = Statement("memories/erase_memories")
_RECOUNT_WORDS = Statement("memories/recount_words")
_CLEAR_WORD_COUNTS = Statement("memories/clear_word_counts")
_NOW = Statement("memories/moment_ago")


class ErasureReceipt(BaseModel):
    """What was erased. It becomes true when the scope commits.

    Attributes:
        audit_id: The entry of the audit that says the same.
        tenant_id: Whose memories they were.
        erased_at: When, by the server's clock.
        memories: How many memories were erased.
        rows: How many rows of each table; those of ``memory_records`` are the memories.
        digest: SHA-256, in hex, of the lines ``memory_id content_hash`` of the memories, each with a newline at its
            end, in the order of their ids.
    """

    model_config = ConfigDict(frozen=True)

    audit_id: UUID
    tenant_id: str
    erased_at: datetime
    memories: int
    rows: dict[str, int]
    digest: str


async def erase_tenant(tenant_id: str, *, batch_size: int = 1000) -> ErasureReceipt:
    """Delete all memories of a tenant for good, forgotten ones too, with all that belongs to them.

    Call it in an :class:`admin_scope`, and stop the tenant's agents before: what they store meanwhile may stay. The
    audit keeps its entries. An index outside PostgreSQL follows with the next sync.

    Args:
        tenant_id: The tenant.
        batch_size: How many memories one statement deletes, 1 to 10,000.

    Returns:
        What was erased, with counts and a digest.

    Raises:
        InvalidInputError: An argument is invalid.
        ScopeError: The scope is a tenant's, or works in another group of tenants than the tenant's.
    """
    tenant = check_name("tenant_id", tenant_id)
    if current_scope().tenant_id is not None:
        raise ScopeError("erase_tenant works across tenants; call it inside `async with guild.admin_scope(reason):`")
    try:
        await keep_in_group(tenant)
    except TenantMovingError:
        raise
    except TenantMovedError:
        raise ScopeError(
            f"the tenant is not in the group {current_scope().group} that this scope works in; name the tenant's own,"
            " as in admin_scope(reason, group=…), which `memory-guild groups list --tenant` tells"
        ) from None
    arguments = condition_arguments(tenant, {"include_forgotten": True})
    return await _erase(arguments, batch_size, {"scope": "tenant"})


async def erase_where(*, batch_size: int = 1000, **conditions: Unpack[Conditions]) -> ErasureReceipt:
    """Delete the memories that match for good, with all that belongs to them. They cannot be restored.

    Those that the access policies do not allow to erase stay.

    Args:
        batch_size: How many memories one statement deletes, 1 to 10,000.
        **conditions: At least one of :class:`memory_guild.memories.conditions.Conditions`. Forgotten memories match
            too, unless ``include_forgotten`` is False; with ``text`` they never do, because they have no words.

    Returns:
        What was erased, with counts and a digest.

    Raises:
        InvalidInputError: A condition is invalid, or there is none; nothing was changed.
        UnknownSourceError: No source has a name that is asked for.
        SearchNotInstalledError: ``text`` is given, and the database has no search tables.
    """
    if not narrows(conditions):
        raise InvalidInputError(
            "conditions", "are missing; erase_tenant in an admin_scope erases all that a tenant has"
        )
    if conditions.get("text") is None:
        conditions.setdefault("include_forgotten", True)
    named = sorted(name for name, value in conditions.items() if value is not None)
    arguments = await conditions_in_scope(conditions)
    return await _erase(arguments, batch_size, {"scope": "conditions", "conditions": named})


async def _erase(arguments: ConditionArguments, batch_size: int, details: dict[str, object]) -> ErasureReceipt:
    check_whole_number("batch_size", batch_size)
    counts = {row["name"]: _COUNTS[row["name"]] for row in await _TABLES.fetch(list(_COUNTS))}
    rows = Counter(dict.fromkeys(("memory_records", *counts), 0))
    lines: list[str] = []
    # What is stored while a pass goes on is not in its list: there is another pass until one finds nothing.
    while erased := await _erase_all(arguments, batch_size, counts, rows):
        lines += erased
    if "memory_words" in counts:
        if lines:
            await _RECOUNT_WORDS.fetch(arguments.tenant_id)
        await _CLEAR_WORD_COUNTS.fetch(arguments.tenant_id)
    digest = hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
    erased_at: datetime = (await _NOW.fetch_only_row(timedelta(0)))["moment"]
    audit_id = await audit.record(
        AuditEvent.ERASE, tenant_id=arguments.tenant_id, details={**details, "rows": dict(rows), "digest": digest}
    )
    return ErasureReceipt(
        audit_id=audit_id,
        tenant_id=arguments.tenant_id,
        erased_at=erased_at,
        memories=rows["memory_records"],
        rows=dict(rows),
        digest=digest,
    )


async def _erase_all(
    arguments: ConditionArguments, batch_size: int, counts: dict[str, Statement], rows: Counter[str]
) -> list[str]:
    """Erase the memories that match now; a line for each."""
    lines: list[str] = []
    async for found in _ERASABLE.for_conditions(arguments).fetch_in_batches(*arguments, size=batch_size):
        found_ids = [row["memory_id"] for row in found]
        locked = await _LOCK.for_conditions(arguments).fetch(*arguments, found_ids)
        hashes = {row["memory_id"]: row["content_hash"] for row in locked}
        memory_ids = await permitted_by_id(PolicyAction.ERASE, list(hashes))
        # Nobody can add anything to a memory that is locked, so what is counted is what is deleted.
        rows.update(await _belongings(memory_ids, counts))
        rows["memory_records"] += len(await _ERASE.fetch(memory_ids))
        lines += [f"{memory_id} {hashes[memory_id]}\n" for memory_id in memory_ids]
    return lines


async def _belongings(memory_ids: Sequence[UUID], counts: dict[str, Statement]) -> dict[str, int]:
    return {table: (await count.fetch_only_row(memory_ids))["rows"] for table, count in counts.items()}
