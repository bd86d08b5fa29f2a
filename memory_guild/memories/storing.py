"""Storing memories, each once: one at a time, or a stream of them."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any, NamedTuple, get_args

from memory_guild.database.scope import current_scope
from memory_guild.database.statements import Statement
from memory_guild.errors import (
    ForgottenMemoryError,
    HashCollisionError,
    InvalidInputError,
    TransactionConflictError,
)
from memory_guild.memories.arguments import check_choice, tenant_of
from memory_guild.memories.bulk import OnError, OnForgotten, store_stream
from memory_guild.memories.drafts import Drafter, Item
from memory_guild.memories.report import StoreReport
from memory_guild.models import MemoryRecord
from memory_guild.rows import model_from
from memory_guild.tenancy import ATTEMPTS
from memory_guild.types import SourceType, StoreOutcome

_REMEMBER = Statement("memories/remember_memory")


class Remembered(NamedTuple):
    """What :func:`remember` stored or found.

    Attributes:
        memory: The memory as it is stored now.
        outcome: ``created``; ``existing``, where the agent had the text; or ``restored``, where it was forgotten.
    """

    memory: MemoryRecord
    outcome: StoreOutcome


async def remember(
    content_text: str,
    *,
    source_type: SourceType | str,
    metadata: Mapping[str, Any] | None = None,
    agent_id: str | None = None,
    on_forgotten: OnForgotten = "restore",
) -> Remembered:
    """Store a text as a memory of the scope's tenant, once for each agent; one statement, safe in any race.

    A text that is there stays as it is, with its metadata; nothing is written.

    Args:
        content_text: The text, stored exactly as given; at most ``MEMORY_GUILD_CONTENT_MAX_BYTES`` of UTF-8.
        source_type: Where it comes from.
        metadata: A JSON object of the caller's own; by default an empty one.
        agent_id: Whose memory it is; by default the scope's agent.
        on_forgotten: Where the text is a forgotten memory: ``restore`` it, ``keep`` it forgotten (the outcome is
            ``existing``, and ``memory.is_deleted`` tells) or ``raise``.

    Raises:
        ForgottenMemoryError: The text is a forgotten memory, and ``on_forgotten`` is ``raise``; nothing was written.
        HashCollisionError: The agent has a different text with the same hash; nothing was written.
        InvalidInputError: A value cannot be stored; nothing was sent.
        TransactionConflictError: The scope and another one wait for each other's memories; run the scope again.
    """
    check_choice("on_forgotten", on_forgotten, get_args(OnForgotten))
    scope = current_scope()
    tenant_id = tenant_of(scope)
    draft = Drafter(tenant_id, scope.agent_id).draft(content_text, source_type, metadata, agent_id)
    for _ in range(ATTEMPTS):
        row = await _REMEMBER.fetch_row(
            draft.agent_id,
            tenant_id,
            draft.source_type,
            draft.content_text,
            draft.content_hash,
            draft.metadata,
            on_forgotten == "restore",
        )
        if row is not None:
            break
    else:
        raise TransactionConflictError("the memory is stored and deleted by others all the time; run the scope again")
    outcome, same_text = row[:2]
    memory = model_from(MemoryRecord, row, 2)
    if not same_text:
        raise HashCollisionError(draft.agent_id, draft.content_hash)
    if memory.is_deleted and on_forgotten == "raise":
        raise ForgottenMemoryError(memory.memory_id)
    return Remembered(memory, StoreOutcome(outcome))


async def remember_many(
    items: Iterable[Item] | AsyncIterable[Item],
    *,
    on_forgotten: OnForgotten = "restore",
    on_error: OnError = "raise",
    progress: Callable[[int], None] | None = None,
) -> StoreReport:
    """Store a stream of memories, each once for each agent, in bounded memory: all of them become one with the scope.

    Items are checked while the server stores those before them. Calls may run at the same time, in any order; what
    deadlocks is undone and run again, a few times, unless more than about 64 MB were drawn by then.

    Args:
        items: Any iterable, synchronous or not, of dicts of the shape of ``MemoryRecordCreate`` (tenant and agent may
            be left out where they are the scope's), or of that serializer. Keep slow sources outside scopes. A
            generator may use the scope, but must end a scope of its own before each item; what it writes is undone
            with the attempt, and what it reads from may be, which ends the call with a conflict. Other tasks of the
            scope wait until the call ends: a source that waits for one of them waits for ever.
        on_forgotten: Where a text is a forgotten memory: ``restore`` it, ``keep`` it forgotten or ``raise``.
        on_error: At an item that cannot be stored: ``raise``, and nothing is stored; or ``report``, and go on.
        progress: Called from time to time with how many items are done; it only grows.

    Returns:
        One outcome for each item, in the items' order, and how many there are of each kind.

    Raises:
        InvalidInputError: An item cannot be stored; its ``field`` begins with ``items[number]``.
        TenantMismatchError: An item names another tenant than the scope's.
        ForgottenMemoryError: A text is a forgotten memory, and ``on_forgotten`` is ``raise``.
        HashCollisionError: Two different texts of an agent have one hash.
        TransactionConflictError: Others were in the way each time; nothing was stored.
    """
    check_choice("on_forgotten", on_forgotten, get_args(OnForgotten))
    check_choice("on_error", on_error, get_args(OnError))
    if not isinstance(items, (Iterable, AsyncIterable)):
        raise InvalidInputError("items", f"must be iterable, which {type(items).__name__} is not")
    return await store_stream(items, on_forgotten=on_forgotten, on_error=on_error, progress=progress)
