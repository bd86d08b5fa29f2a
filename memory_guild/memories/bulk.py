"""Storing a stream of drafts: the next window is prepared while the server stores the last one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg

from memory_guild.database.scope import current_scope
from memory_guild.database.statements import Stage, Statement, Step, statement
from memory_guild.errors import (
    AccessDeniedError,
    ContentRefusedError,
    ForgottenMemoryError,
    HashCollisionError,
    InvalidInputError,
    MemoryGuildError,
    ScopeAbortedError,
    ScopeClosedError,
    TenantMismatchError,
    TransactionConflictError,
)
from memory_guild.memories.arguments import tenant_of
from memory_guild.memories.drafts import Draft, Drafter, Item, Key
from memory_guild.memories.merging import OnExisting, change_metadata, merged_too_large
from memory_guild.memories.origin import Origin, stamp
from memory_guild.memories.permitting import facts_with_metadata, stored_memories
from memory_guild.memories.report import StoreReport
from memory_guild.memories.stream import BatchSizes, DraftStream, Refuse
from memory_guild.policies.enforcing import are_enforced, denials
from memory_guild.tenancy import retried
from memory_guild.types import PolicyAction, StoreOutcome

OnForgotten: TypeAlias = Literal["restore", "keep", "raise"]
"""What to do with a text that is a forgotten memory: restore it, keep it forgotten, or raise an error."""

OnError: TypeAlias = Literal["raise", "report"]
"""What to do at an item that cannot be stored: raise its error and store nothing, or report it and go on."""

_BEGIN = Statement("memories/begin_storing", on_citus=(Step("memories/citus/begin_storing"),))
_STORE = Statement("memories/store_memories", on_citus=(Step("memories/citus/store_memories"),))
_STAGE = Stage("memory_guild_staged", statement("memories/stage_memories"))
_STORE_STAGED = Statement("memories/store_staged_memories")
_STORED = Statement("memories/stored_memories")
_RELEASE = Statement(
    "memories/release_memories",
    on_citus=(Step("memories/citus/release_held_memories"), Step("memories/restore_memories")),
)


async def store_stream(
    items: Iterable[Item] | AsyncIterable[Item],
    *,
    origin: Origin | None = None,
    on_existing: OnExisting = "keep",
    on_forgotten: OnForgotten,
    on_error: OnError,
    progress: Callable[[int], None] | None,
    sizes: BatchSizes = BatchSizes(),  # noqa: B008 - frozen
) -> StoreReport:
    """Store all items in a nested scope, which is rolled back and run again after a deadlock.

    The arguments are those of ``remember_many``, with the source that is named, and how much to draw, send and keep at
    a time.
    """
    scope = current_scope()
    tenant_id = tenant_of(scope)
    drafter = Drafter(tenant_id, scope.agent_id)
    report = StoreReport(drafter.redactions)
    refuse = report.refuse if on_error == "report" else _raise_for_item
    stream = DraftStream(items, drafter, refuse, sizes, None if origin is None else origin.name)
    begin = await _BEGIN.fetch_only_row()
    is_quarantined = origin is not None and origin.is_quarantined
    call = _Call(
        tenant_id=tenant_id,
        moment=begin["moment"],
        may_stage=begin["may_stage"],
        origin=origin,
        on_existing="keep" if is_quarantined else on_existing,
        on_forgotten="keep" if is_quarantined and on_forgotten == "restore" else on_forgotten,
        metadata_max_bytes=drafter.metadata_max_bytes,
        refuse=refuse,
        report=report,
        progress=_Progress(progress),
        sizes=sizes,
    )
    attempts = 0

    async def attempt() -> None:
        nonlocal attempts
        attempts += 1
        await _Attempt(call, stream).store()

    try:
        await retried(tenant_id, attempt, is_repeatable=lambda: stream.is_repeatable)
    except ScopeClosedError:
        if attempts == 1 or not stream.has_failed:
            raise
        raise TransactionConflictError(
            "there was a conflict with other transactions, and the items are read from the part of the scope that was"
            " rolled back; run the scope again"
        ) from None
    return report


@dataclass(frozen=True, slots=True)
class _Call:
    """What all attempts of a call share.

    Attributes:
        tenant_id: The scope's tenant.
        moment: The server's time at the beginning: number n is stored n microseconds later.
        may_stage: Whether the role may create a temporary table.
        origin: The source that all items come from; None if none is named.
        on_existing: What to do with the metadata of duplicates.
        on_forgotten: What to do with forgotten duplicates.
        metadata_max_bytes: The most bytes of JSON that a memory's metadata may have.
        refuse: What to do with an item that cannot be stored.
        report: Where the outcomes are recorded.
        progress: Where the number of items that are done is told.
        sizes: How much to send at a time.
    """

    tenant_id: str
    moment: datetime
    may_stage: bool
    origin: Origin | None
    on_existing: OnExisting
    on_forgotten: OnForgotten
    metadata_max_bytes: int
    refuse: Refuse
    report: StoreReport
    progress: _Progress
    sizes: BatchSizes

    @property
    def outcome_of_new(self) -> StoreOutcome:
        """What becomes of a memory that was not there."""
        return StoreOutcome.HELD if self.origin is not None and self.origin.is_quarantined else StoreOutcome.CREATED


class _Progress:
    """Tells how many items are done. The number only grows, also when an attempt is rolled back."""

    def __init__(self, tell: Callable[[int], None] | None) -> None:
        self._tell = tell
        self._told = 0

    def tell(self, done: int) -> None:
        if self._tell is not None and done > self._told:
            self._told = done
            self._tell(done)


class _Attempt:
    """One attempt to store all drafts of a stream; it is rolled back as a whole."""

    def __init__(self, call: _Call, stream: DraftStream) -> None:
        self._call = call
        self._stream = stream
        self._settled = 0
        self._unsettled: list[Draft] = []

    async def store(self) -> None:
        """Store everything, and record what became of each item."""
        sent: _Sent | None = None
        try:
            async for drafts in self._stream.windows():
                stored = None if sent is None else (sent.window, await sent.rows)
                sent = self._send(drafts)
                if stored is not None:
                    await self._settle_new(*stored)
            if sent is not None:
                await self._settle_new(sent.window, await sent.rows)
                await self._settle_the_rest()
        except BaseException as error:
            if sent is not None:
                sent.rows.cancel()
                (failure,) = await asyncio.gather(sent.rows, return_exceptions=True)
                if isinstance(error, ScopeAbortedError) and isinstance(failure, MemoryGuildError):
                    raise failure from None  # it aborted the scope; the source only noticed
            raise
        self._tell_progress()

    def _send(self, drafts: list[Draft]) -> _Sent:
        window = _Window(drafts, _first_of(drafts))
        return _Sent(window, asyncio.create_task(self._store_window(window)))

    async def _store_window(self, window: _Window) -> list[asyncpg.Record]:
        """Look up what an earlier window did not store, then store this one; the rows of the new memories."""
        await self._settle_the_rest()
        drafts = list(window.first.values())
        tenant_id, moment = self._call.tenant_id, self._call.moment
        if len(drafts) <= self._call.sizes.most_in_arrays or not self._call.may_stage:
            rows = await _STORE.fetch(tenant_id, moment, *zip(*drafts, strict=True))
        else:
            rows = await _STORE_STAGED.fetch_staged(_STAGE, drafts, tenant_id, moment)
        if self._call.origin is not None and rows:
            await stamp(self._call.origin, tenant_id, [row["memory_id"] for row in rows])
        return rows

    async def _settle_new(self, window: _Window, rows: list[asyncpg.Record]) -> None:
        """Record what is new, while the server stores the next window; the others are looked up later."""
        created: dict[Key, UUID] = {(row["content_hash"], row["agent_id"]): row["memory_id"] for row in rows}
        others: list[Draft] = []
        for number, draft in enumerate(window.drafts):
            key = draft.key
            if (memory_id := created.get(key)) is not None and window.first[key] is draft:
                self._call.report.record(draft.number, self._call.outcome_of_new, memory_id)
            else:
                others.append(draft)
            if number % self._call.sizes.settled_at_once == 0:
                await asyncio.sleep(0)
        self._unsettled += others
        self._settled += len(window.drafts) - len(others)
        self._tell_progress()

    async def _settle_the_rest(self) -> None:
        """Record what existed already, or occurred earlier in the batch."""
        drafts, self._unsettled = self._unsettled, []
        if not drafts:
            return
        first = _first_of(drafts)
        found_first = await self._find(list(first.values()))
        found: list[tuple[Draft, _Found]] = []
        for draft in drafts:
            key = draft.key
            if draft.content_text == first[key].content_text:
                found.append((draft, found_first[key]))
            else:
                # Two texts have one hash, and either may be the stored one: rare enough to ask one by one.
                found.append((draft, (await self._find([draft]))[key]))
        if are_enforced():
            found = await self._without_denied(found)
        await self._settle_found(await self._without_too_large(found))
        self._settled += len(drafts)
        self._tell_progress()

    async def _without_denied(self, found: list[tuple[Draft, _Found]]) -> list[tuple[Draft, _Found]]:
        """What was found; where the access policies do not allow what is to become of it, it has an error now."""
        restored = [(draft, memory) for draft, memory in found if memory.outcome is StoreOutcome.RESTORED]
        changed = [
            (draft, memory)
            for draft, memory in found
            if self._call.on_existing != "keep" and memory.takes_metadata and draft.metadata is not None
        ]
        wanted = {memory.memory_id for _, memory in (*restored, *changed)}
        stored = await stored_memories(wanted)
        if len(stored) < len(wanted):
            raise TransactionConflictError("memories of the batch were deleted at the same time; run the scope again")
        before = [stored[memory.memory_id] for _, memory in changed]
        after = [
            facts_with_metadata(stored[memory.memory_id], draft, self._call.on_existing) for draft, memory in changed
        ]
        errors: dict[int, MemoryGuildError] = {}
        for action, asked, subjects in (
            (PolicyAction.RESTORE, restored, [stored[memory.memory_id] for _, memory in restored]),
            (PolicyAction.UPDATE, changed, before),
            (PolicyAction.UPDATE, changed, after),
        ):
            for (draft, _), error in zip(asked, await denials(action, subjects), strict=True):
                if error is not None:
                    errors[draft.number] = error
        return [
            (draft, memory._replace(error=errors[draft.number], takes_metadata=False))
            if draft.number in errors and memory.error is None
            else (draft, memory)
            for draft, memory in found
        ]

    async def _without_too_large(self, found: list[tuple[Draft, _Found]]) -> list[tuple[Draft, _Found]]:
        """Change the metadata of what was found; those that do not fit have an error now."""
        changes: dict[UUID, list[Draft]] = {}
        if self._call.on_existing != "keep":
            for draft, memory in found:
                if memory.takes_metadata and draft.metadata is not None:
                    changes.setdefault(memory.memory_id, []).append(draft)
        if not changes:
            return found
        max_bytes = self._call.metadata_max_bytes
        too_large = await change_metadata(changes, self._call.on_existing, max_bytes)
        return [
            (draft, memory._replace(error=merged_too_large(max_bytes)) if draft.number in too_large else memory)
            for draft, memory in found
        ]

    async def _settle_found(self, found: list[tuple[Draft, _Found]]) -> None:
        """Restore what is to be restored, and record what was found."""
        restored: set[UUID] = set()
        for draft, memory in found:
            outcome = memory.outcome
            if memory.error is not None:
                self._call.refuse(draft.number, memory.error)
                continue
            if outcome is StoreOutcome.RESTORED and memory.memory_id in restored:
                outcome = StoreOutcome.EXISTING
            elif outcome is StoreOutcome.RESTORED:
                restored.add(memory.memory_id)
            self._call.report.record(draft.number, outcome, memory.memory_id)
        if not restored:
            return
        if len(await _RELEASE.fetch(list(restored))) < len(restored):
            raise TransactionConflictError("memories of the batch were restored at the same time; run the scope again")
        if self._call.origin is not None:
            await stamp(self._call.origin, self._call.tenant_id, list(restored))

    async def _find(self, drafts: list[Draft]) -> dict[Key, _Found]:
        """What is stored for each key: the statement before this one met it, or waited for who stored it."""
        columns = [[getattr(draft, name) for draft in drafts] for name in ("agent_id", "content_text", "content_hash")]
        rows = await _STORED.fetch(self._call.tenant_id, *columns)
        if len(rows) < len(drafts):
            raise TransactionConflictError("memories of the batch were deleted at the same time; run the scope again")
        return {(row["content_hash"], row["agent_id"]): _judge(row, self._call.on_forgotten) for row in rows}

    def _tell_progress(self) -> None:
        self._call.progress.tell(self._settled + self._stream.refused)


class _Window(NamedTuple):
    """Drafts that are stored with one statement.

    Attributes:
        drafts: All of them.
        first: The first one of each key: these are sent.
    """

    drafts: list[Draft]
    first: dict[Key, Draft]


class _Sent(NamedTuple):
    """A window, and the rows of its new memories once the server has stored it."""

    window: _Window
    rows: asyncio.Task[list[asyncpg.Record]]


class _Found(NamedTuple):
    """What is stored for a key: a memory, or with it the error for which the draft is refused.

    Attributes:
        outcome: Existing, to be restored, or refused.
        memory_id: The memory's id.
        takes_metadata: Whether metadata that is given with the text may change the memory's.
        error: Why the draft is refused; None if it is not.
    """

    outcome: StoreOutcome
    memory_id: UUID
    takes_metadata: bool = False
    error: MemoryGuildError | None = None


def _judge(row: asyncpg.Record, on_forgotten: OnForgotten) -> _Found:
    memory_id: UUID = row["memory_id"]
    if not row["same_text"]:
        error: MemoryGuildError = HashCollisionError(row["agent_id"], row["content_hash"])
        return _Found(StoreOutcome.REFUSED, memory_id, error=error)
    if not row["is_deleted"] or on_forgotten == "keep":
        return _Found(StoreOutcome.EXISTING, memory_id, takes_metadata=not row["is_deleted"])
    if on_forgotten == "raise":
        return _Found(StoreOutcome.REFUSED, memory_id, error=ForgottenMemoryError(memory_id))
    return _Found(StoreOutcome.RESTORED, memory_id, takes_metadata=True)


def _first_of(drafts: list[Draft]) -> dict[Key, Draft]:
    first: dict[Key, Draft] = {}
    for draft in drafts:
        first.setdefault(draft.key, draft)
    return first


def _raise_for_item(number: int, error: MemoryGuildError) -> None:
    """Raise the error of an item; if it is about the item's values, it says which item."""
    if isinstance(error, InvalidInputError):
        raise InvalidInputError(f"items[{number}].{error.field}".rstrip("."), error.reason) from None
    if isinstance(error, TenantMismatchError):
        raise TenantMismatchError(f"items[{number}].{error}") from None
    if isinstance(error, ContentRefusedError):
        raise ContentRefusedError(f"items[{number}]: {error.reason}") from error
    if isinstance(error, AccessDeniedError):
        raise AccessDeniedError(error.action, f"items[{number}]: {error.reason}") from None
    raise error from None
