"""Storing memories: one text, or a stream of them. Each agent stores a text once."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, get_args

import asyncpg

from memory_guild.database.scope import current_scope
from memory_guild.database.statements import Statement, Step
from memory_guild.errors import (
    ForgottenMemoryError,
    HashCollisionError,
    InvalidInputError,
    TransactionConflictError,
)
from memory_guild.memories.arguments import check_choice, check_several, tenant_of
from memory_guild.memories.bulk import OnError, OnForgotten, store_stream
from memory_guild.memories.drafts import Draft, Drafter, Item
from memory_guild.memories.merging import OnExisting, merged_too_large
from memory_guild.memories.origin import origin_named, stamp
from memory_guild.memories.permitting import facts_of, facts_with_metadata
from memory_guild.memories.report import StoreReport
from memory_guild.memories.results import MemoryResult
from memory_guild.models import MemoryRecord
from memory_guild.policies.enforcing import are_enforced, require
from memory_guild.rows import model_from
from memory_guild.tenancy import ATTEMPTS
from memory_guild.types import PolicyAction, SourceType, StoreOutcome

_REMEMBER = Statement(
    "memories/remember_memory",
    on_citus=(
        Step("memories/citus/insert_memory"),
        Step("memories/citus/memory_with_text", (1, 2, 4, 5)),
    ),
)
_JUDGED = (1, 2, 4, 5, 6, 8, 9, 10, 11)
_CHANGE = Step("memories/citus/change_memory", _JUDGED)
_REMEMBER_ANEW = Statement(
    "memories/remember_anew",
    on_citus=(
        Step("memories/citus/insert_memory", (1, 2, 3, 4, 5, 6, 7)),
        Step("memories/citus/unchanged_memory", _JUDGED),
        _CHANGE,
        # One that is held in quarantine and may not be: it is released, and then changed.
        Step("memories/citus/release_memory", _JUDGED),
        _CHANGE,
    ),
)


class Remembered(MemoryResult, NamedTuple("Remembered", [("memory", MemoryRecord), ("outcome", StoreOutcome)])):
    """What :func:`remember` stored or found. Use it as the memory, or unpack it: ``memory, outcome = …``.

    Attributes:
        memory: The memory as it is stored now.
        outcome: ``created``, ``existing`` if the agent already had the text, ``restored`` if it was forgotten, or
            ``held`` if it is new and its source is in quarantine.
        redaction: Why the screen stored something else than was given; None where it did not.
    """

    redaction: str | None = None


async def remember(
    content_text: str,
    *,
    source_type: SourceType | str,
    source: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    agent_id: str | None = None,
    created_at: datetime | None = None,
    on_existing: OnExisting = "keep",
    on_forgotten: OnForgotten = "restore",
) -> Remembered:
    """Store a text as a memory of the scope's tenant.

    Each agent stores a text once, byte for byte, even when several tasks store it at the same time. If the agent
    already has the text, ``on_existing`` says what becomes of its metadata; if that stays the same, nothing is
    written. It is one statement; with ``source`` there are two more.

    Args:
        content_text: The text, stored exactly as given; at most ``MEMORY_GUILD_CONTENT_MAX_BYTES`` of UTF-8.
        source_type: Where it comes from.
        source: The name of the data source that it comes from, one that is active. If the source is in quarantine, a
            new memory is held: nothing finds it until ``sources.release``. A memory keeps the source that it has.
        metadata: Any JSON object, at most ``MEMORY_GUILD_METADATA_MAX_BYTES``; by default an empty one.
        agent_id: The agent that remembers it; by default the scope's agent.
        created_at: When the memory came to be, such as when something was said: an aware datetime; by default now.
        on_existing: What becomes of the metadata of a text that is already there, or is restored: ``keep`` it,
            ``merge`` the given keys into it as ``dict | dict`` does, or ``replace`` it. The memory always keeps its
            id, source type and ``created_at``; without ``metadata`` it also keeps that.
        on_forgotten: What to do if the text is a forgotten memory: ``restore`` it, ``keep`` it forgotten (the outcome
            is ``existing`` and ``memory.is_deleted`` is true), or ``raise``.

    Raises:
        AccessDeniedError: The access policies do not allow it; nothing was written.
        ForgottenMemoryError: The text is a forgotten memory, and ``on_forgotten`` is ``raise``; nothing was written.
        HashCollisionError: The agent has a different text with the same hash; nothing was written.
        ContentRefusedError: The screen refuses the memory; nothing was written.
        UnknownSourceError: No source has this name; nothing was written.
        InactiveSourceError: The source is not active; nothing was written.
        SourceRequiredError: No source is named, and ``MEMORY_GUILD_SOURCES`` is ``named``; nothing was written.
        InvalidInputError: A value cannot be stored, or the merged metadata is too large; nothing was written.
        TransactionConflictError: There was a deadlock with another scope; run the scope again.
    """
    on_existing = check_choice("on_existing", on_existing, get_args(OnExisting))
    check_choice("on_forgotten", on_forgotten, get_args(OnForgotten))
    scope = current_scope()
    tenant_id = tenant_of(scope)
    drafter = Drafter(tenant_id, scope.agent_id)
    draft = drafter.draft(content_text, source_type, metadata, agent_id, created_at)
    origin = await origin_named(source, changes_metadata=on_existing != "keep" and draft.metadata is not None)
    if origin is not None and origin.is_quarantined:  # then what is there stays as it is
        on_existing, on_forgotten = "keep", "raise" if on_forgotten == "raise" else "keep"
    if are_enforced():
        remembered = await _store_if_allowed(
            drafter, draft, on_existing, on_forgotten, None if origin is None else origin.name
        )
    else:
        remembered = await _store(drafter, draft, on_existing, on_forgotten)
    if origin is not None and remembered.outcome is not StoreOutcome.EXISTING:
        memory = remembered.memory
        for held in await stamp(origin, tenant_id, [memory.memory_id]):
            memory.is_deleted, memory.deleted_at = held["is_deleted"], held["deleted_at"]
            memory.updated_at = held["updated_at"]
            remembered = Remembered(memory, StoreOutcome.HELD)
    if drafter.redactions:
        remembered.__dict__["redaction"] = drafter.redactions[draft.number]
    return remembered


async def remember_many(
    items: Iterable[Item] | AsyncIterable[Item],
    *,
    source: str | None = None,
    on_existing: OnExisting = "keep",
    on_forgotten: OnForgotten = "restore",
    on_error: OnError = "raise",
    progress: Callable[[int], None] | None = None,
) -> StoreReport:
    """Store a stream of memories; all are stored when the scope commits, or none.

    Each agent stores a text once, as with :func:`remember`. Items are checked while the server stores the ones before
    them, and memory use is bounded. Calls can run at the same time and in any order: after a deadlock the call is
    rolled back and retried a few times, unless more than about 64 MB had been drawn by then.

    Args:
        items: Any iterable, synchronous or not, of dicts in the shape of ``MemoryRecordCreate`` or of that serializer.
            Tenant and agent default to the scope's. Keep slow sources outside scopes. A generator may use the scope,
            but must end any scope of its own before it yields. A retry rolls back what the generator wrote, and the
            cursors that it reads from; if it needs one of those, the call ends with a conflict. Other tasks of the
            scope wait until the call ends, so a source that waits for one of them deadlocks.
        source: The name of the data source that they all come from, one that is active, as with :func:`remember`.
        on_existing: What becomes of the metadata of a text that is already there, or is restored: ``keep`` it,
            ``merge`` the given keys into it as ``dict | dict`` does, or ``replace`` it. The memory always keeps its
            id, source type and ``created_at``. Items without ``metadata`` change nothing.
        on_forgotten: What to do if a text is a forgotten memory: ``restore`` it, ``keep`` it forgotten, or ``raise``.
        on_error: What to do if an item cannot be stored: ``raise``, and store nothing, or ``report`` it and go on.
        progress: Called from time to time with the number of items that are done; it only grows.

    Returns:
        One outcome for each item, in the order of the items, with the number of each kind.

    Raises:
        InvalidInputError: An item cannot be stored; its ``field`` begins with ``items[number]``.
        TenantMismatchError: An item names a tenant other than the scope's.
        AccessDeniedError: The access policies do not allow to store an item.
        ContentRefusedError: The screen refuses an item.
        ForgottenMemoryError: A text is a forgotten memory, and ``on_forgotten`` is ``raise``.
        HashCollisionError: Two different texts of an agent have the same hash.
        UnknownSourceError: No source has this name; nothing was stored.
        InactiveSourceError: The source is not active, or was deactivated meanwhile; nothing was stored.
        SourceRequiredError: No source is named, and ``MEMORY_GUILD_SOURCES`` is ``named``; nothing was stored.
        TransactionConflictError: Every attempt met a deadlock or a conflict; nothing was stored.
    """
    check_choice("on_existing", on_existing, get_args(OnExisting))
    check_choice("on_forgotten", on_forgotten, get_args(OnForgotten))
    check_choice("on_error", on_error, get_args(OnError))
    if not isinstance(items, AsyncIterable):
        check_several("items", items)
    if progress is not None and not callable(progress):
        raise InvalidInputError("progress", f"must be callable, not {type(progress).__name__}")
    return await store_stream(
        items,
        origin=await origin_named(source, changes_metadata=on_existing != "keep"),
        on_existing=on_existing,
        on_forgotten=on_forgotten,
        on_error=on_error,
        progress=progress,
    )


async def _store(drafter: Drafter, draft: Draft, on_existing: OnExisting, on_forgotten: OnForgotten) -> Remembered:
    restores = on_forgotten == "restore"
    arguments = (
        *(draft.agent_id, drafter.tenant_id, draft.source_type, draft.content_text, draft.content_hash),
        *(draft.metadata, draft.created_at),
    )
    row = None
    if on_existing == "keep" or draft.metadata is None:
        row = await _run(_REMEMBER, *arguments)
    if row is None or (restores and row["is_deleted"] and row["same_text"]):
        changes, merges = on_existing != "keep", on_existing == "merge"
        row = await _run(_REMEMBER_ANEW, *arguments, restores, changes, merges, drafter.metadata_max_bytes)
    memory = model_from(MemoryRecord, row)
    if not row["same_text"]:
        raise HashCollisionError(draft.agent_id, draft.content_hash)
    if memory.is_deleted and on_forgotten == "raise":
        raise ForgottenMemoryError(memory.memory_id)
    if not row["fits"]:
        raise merged_too_large(drafter.metadata_max_bytes)
    return Remembered(memory, StoreOutcome(row["outcome"]))


async def _run(statement: Statement, *arguments: Any) -> asyncpg.Record:
    for _ in range(ATTEMPTS):
        if (row := await statement.fetch_row(*arguments)) is not None:
            return row
    raise TransactionConflictError("other transactions keep storing and deleting this memory; run the scope again")


async def _store_if_allowed(
    drafter: Drafter, draft: Draft, on_existing: OnExisting, on_forgotten: OnForgotten, source: str | None
) -> Remembered:
    """Store a draft if the access policies allow it, and what becomes of a memory that is there."""
    await require(PolicyAction.REMEMBER, [facts_of(draft, source)])
    # What is there is only read at first: it may be another's to change, or nobody's to see.
    found = await _store(drafter, draft, "keep", "keep")
    if found.outcome is StoreOutcome.CREATED:
        return found
    await require(PolicyAction.READ, [found.memory])
    if found.memory.is_deleted and on_forgotten == "raise":
        raise ForgottenMemoryError(found.memory.memory_id)
    restores = bool(found.memory.is_deleted) and on_forgotten == "restore"
    if restores:
        await require(PolicyAction.RESTORE, [found.memory])
    changes = on_existing != "keep" and draft.metadata is not None and (restores or not found.memory.is_deleted)
    if changes:
        await require(PolicyAction.UPDATE, [found.memory, facts_with_metadata(found.memory, draft, on_existing)])
    return await _store(drafter, draft, on_existing, on_forgotten) if restores or changes else found
