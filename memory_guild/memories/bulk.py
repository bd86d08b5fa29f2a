"""Storing a stream of memories: window by window, the next one being prepared while the server stores the last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

import asyncpg

from memory_guild.database.statements import Stage, Statement, statement
from memory_guild.errors import (
    ForgottenMemoryError,
    HashCollisionError,
    InvalidInputError,
    MemoryGuildError,
    ScopeAbortedError,
    ScopeClosedError,
    TenantMismatchError,
    TransactionConflictError,
)
from memory_guild.memories.drafts import Draft, Drafter, Item
from memory_guild.memories.report import StoreReport
from memory_guild.memories.stream import Items
from memory_guild.tenancy import retried
from memory_guild.types import StoreOutcome

OnForgotten: TypeAlias = Literal["restore", "keep", "raise"]
"""Where a text is a forgotten memory: bring it back, leave it forgotten, or raise :class:`ForgottenMemoryError`."""

Drafts: TypeAlias = list[Draft]

_Key: TypeAlias = tuple[str, str]  # content_hash, agent_id: the order in which all calls lock
_Found: TypeAlias = tuple[StoreOutcome, Any]  # with the memory's id, or the error for a refused one

_BEGIN = Statement("memories/begin_storing")
_STORE = Statement("memories/store_memories")
_STAGE = Stage("memory_guild_staged", statement("memories/stage_memories"))
_STORE_STAGED = Statement("memories/store_staged_memories")
_STORED = Statement("memories/stored_memories")
_RESTORE = Statement("memories/restore_memories")

_FIRST_WINDOW = 500  # small: until it is drawn, the server has nothing to do
_LARGEST_WINDOW = 32_000
_WINDOW_MAX_CHARACTERS = 16_000_000
_ITEMS_AT_ONCE = 25  # between them the window before goes on its way, piece by piece
_SETTLED_AT_ONCE = 100
_MOST_IN_ARRAYS = 500
_KEPT_MAX_CHARACTERS = 64_000_000
_DRAFT_CHARACTERS = 300  # what a draft takes beside its texts, in bytes as in characters


class BulkStore:
    """One call of ``remember_many``.

    Args:
        tenant_id: The scope's tenant.
        drafter: Checks the items.
        on_forgotten: What becomes of forgotten duplicates.
        reports_errors: Whether a bad item is reported; otherwise it is raised.
        progress: Called with how many items are done.
    """

    def __init__(
        self,
        tenant_id: str,
        drafter: Drafter,
        on_forgotten: OnForgotten,
        reports_errors: bool,
        progress: Callable[[int], None] | None,
    ) -> None:
        self.report = StoreReport()
        self._tenant_id = tenant_id
        self._drafter = drafter
        self._on_forgotten = on_forgotten
        self._reports_errors = reports_errors
        self._progress = progress
        self._attempts = 0
        self._drawn = 0
        self._refused_at_once = 0
        self._settled = 0
        self._told = 0
        self._kept: Drafts | None = []
        self._kept_characters = 0

    async def store(self, items: Iterable[Item] | AsyncIterable[Item]) -> StoreReport:
        """Store all items, in a nested scope that is undone and begun anew where others are in the way."""
        source = Items(items)
        row = await _BEGIN.fetch_only_row()
        self._moment: datetime = row["moment"]
        self._may_stage: bool = row["may_stage"]
        try:
            await retried(
                self._tenant_id,
                lambda: self._store_all(source),
                is_repeatable=lambda: self._kept is not None and not source.has_failed,
            )
        except ScopeClosedError:
            if self._attempts == 1 or not source.has_failed:
                raise
            raise TransactionConflictError(
                "other transactions were in the way, and the items were read in the part of the scope that is undone;"
                " run the scope again"
            ) from None
        return self.report

    async def _store_all(self, source: Items) -> None:
        self._attempts += 1
        self._settled = 0
        self._unsettled: Drafts = []
        sent: tuple[_Window, asyncio.Task[list[asyncpg.Record]]] | None = None
        try:
            async for window in self._windows(source):
                stored = None if sent is None else (sent[0], await sent[1])
                sent = window, asyncio.create_task(self._send(window))
                if stored is not None:
                    await self._settle_new(*stored)
            if sent is not None:
                await self._settle_new(sent[0], await sent[1])
                await self._settle_the_rest()
        except BaseException as error:
            if sent is not None:
                sent[1].cancel()
                (failure,) = await asyncio.gather(sent[1], return_exceptions=True)
                if isinstance(error, ScopeAbortedError) and isinstance(failure, MemoryGuildError):
                    raise failure from None  # it aborted the scope, which the source only noticed
            raise
        self._tell_progress()

    async def _windows(self, source: Items) -> AsyncIterator[_Window]:
        """The items in their order; where others were in the way, sorted as a whole, as far as they fit in memory."""
        again = list(self._kept or ())
        if again:  # who stores in the order of the keys waits for others who do, and deadlocks with none of them
            while not source.is_empty and self._kept is not None:
                again += await self._draw(source, _LARGEST_WINDOW)
            again.sort(key=_key_of)
        for first in range(0, len(again), _LARGEST_WINDOW):
            yield _Window(again[first : first + _LARGEST_WINDOW])
        size = _FIRST_WINDOW
        while not source.is_empty:
            if drafts := await self._draw(source, size):
                yield _Window(drafts)
            size = min(2 * size, _LARGEST_WINDOW)

    async def _draw(self, source: Items, size: int) -> Drafts:
        drafts: Drafts = []
        characters = 0

        def take(item: Item) -> None:
            nonlocal characters
            self._drawn += 1
            try:
                draft = self._drafter.draft_of(item, self._drawn - 1)
            except (InvalidInputError, TenantMismatchError) as error:
                self.report.extend_to(self._drawn)
                self._refuse(self._drawn - 1, error)
                self._refused_at_once += 1
                return
            drafts.append(draft)
            characters += _DRAFT_CHARACTERS + len(draft.content_text) + len(draft.metadata or "")

        while len(drafts) < size and characters < _WINDOW_MAX_CHARACTERS and not source.is_empty:
            await source.draw(_ITEMS_AT_ONCE, take)
            await asyncio.sleep(0)  # the server's answers, and other tasks, have a turn
        self.report.extend_to(self._drawn)
        self._keep(drafts, characters)
        return drafts

    def _keep(self, drafts: Drafts, characters: int) -> None:
        """For another attempt; more than fits in memory is not kept, and then there can be none."""
        self._kept_characters += characters
        if self._kept_characters > _KEPT_MAX_CHARACTERS:
            self._kept = None
        if self._kept is not None:
            self._kept += drafts

    def _refuse(self, number: int, error: MemoryGuildError) -> None:
        if not self._reports_errors:
            raise _numbered(number, error) from None
        self.report.refuse(number, error)

    async def _send(self, window: _Window) -> list[asyncpg.Record]:
        """Have the server store a window, after it has looked up what an earlier one met; ids and keys of the new ones.

        Few drafts travel as arrays, many as a COPY, which costs half.
        """
        await self._settle_the_rest()
        drafts = list(window.first.values())
        if len(drafts) <= _MOST_IN_ARRAYS or not self._may_stage:
            return await _STORE.fetch(self._tenant_id, self._moment, *zip(*drafts, strict=True))
        return await _STORE_STAGED.fetch_staged(_STAGE, drafts, self._tenant_id, self._moment)

    async def _settle_new(self, window: _Window, rows: list[asyncpg.Record]) -> None:
        """Record what is new, while the server stores the next window; the others are looked up later."""
        created: dict[_Key, UUID] = {(row[1], row[2]): row[0] for row in rows}
        others: Drafts = []
        for number, draft in enumerate(window.drafts):
            key = _key_of(draft)
            if (memory_id := created.get(key)) is not None and window.first[key] is draft:
                self.report.record(draft.number, StoreOutcome.CREATED, memory_id)
            else:
                others.append(draft)
            if number % _SETTLED_AT_ONCE == 0:
                await asyncio.sleep(0)
        self._unsettled += others
        self._settled += len(window.drafts) - len(others)
        self._tell_progress()

    async def _settle_the_rest(self) -> None:
        """Record what was there already, or occurred earlier."""
        drafts, self._unsettled = self._unsettled, []
        if not drafts:
            return
        first = _first_of(drafts)
        found = await self._find(list(first.values()))
        for draft in drafts:
            key = _key_of(draft)
            outcome, result = found[key]
            if draft.content_text != first[key].content_text:
                # Of two texts with one hash, either may be the one that is there: rare enough to ask one by one.
                outcome, result = (await self._find([draft]))[key]
            elif draft is not first[key] and outcome is not StoreOutcome.REFUSED:
                outcome = StoreOutcome.EXISTING
            if isinstance(result, MemoryGuildError):
                self._refuse(draft.number, result)
            else:
                self.report.record(draft.number, outcome, result)
        self._settled += len(drafts)
        self._tell_progress()

    def _tell_progress(self) -> None:
        """Say how many items are done, where they are more than ever: an attempt that is undone does not count back."""
        done = self._settled + self._refused_at_once
        if self._progress is not None and done > self._told:
            self._told = done
            self._progress(done)

    async def _find(self, drafts: list[Draft]) -> dict[_Key, _Found]:
        """What is there already: the statement before this one met it, or waited for the transaction that stored it."""
        columns = [[getattr(draft, name) for draft in drafts] for name in ("agent_id", "content_text", "content_hash")]
        rows = await _STORED.fetch(self._tenant_id, *columns)
        if len(rows) < len(drafts):
            raise TransactionConflictError("memories of the batch were deleted at the same time; run the scope again")
        found = {(row["content_hash"], row["agent_id"]): self._judge(row) for row in rows}
        back = [result for outcome, result in found.values() if outcome is StoreOutcome.RESTORED]
        if back and len(await _RESTORE.fetch(back)) < len(back):
            raise TransactionConflictError("memories of the batch came back at the same time; run the scope again")
        return found

    def _judge(self, row: asyncpg.Record) -> _Found:
        if not row["same_text"]:
            return StoreOutcome.REFUSED, HashCollisionError(row["agent_id"], row["content_hash"])
        if not row["is_deleted"] or self._on_forgotten == "keep":
            return StoreOutcome.EXISTING, row["memory_id"]
        if self._on_forgotten == "raise":
            return StoreOutcome.REFUSED, ForgottenMemoryError(row["memory_id"])
        return StoreOutcome.RESTORED, row["memory_id"]


class _Window:
    """Some drafts that are stored with one statement.

    Attributes:
        drafts: All of them.
        first: The first one of each key: these are sent.
    """

    def __init__(self, drafts: Drafts) -> None:
        self.drafts = drafts
        self.first = _first_of(drafts)


def _key_of(draft: Draft) -> _Key:
    return draft.content_hash, draft.agent_id


def _first_of(drafts: Drafts) -> dict[_Key, Draft]:
    first: dict[_Key, Draft] = {}
    for draft in drafts:
        first.setdefault(_key_of(draft), draft)
    return first


def _numbered(number: int, error: MemoryGuildError) -> MemoryGuildError:
    """The error, saying which item it is about, where it is about what the item says."""
    if isinstance(error, InvalidInputError):
        return InvalidInputError(f"items[{number}].{error.field}".rstrip("."), error.reason)
    if isinstance(error, TenantMismatchError):
        return TenantMismatchError(f"items[{number}].{error}")
    return error
