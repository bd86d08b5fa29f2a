"""The items of a batch as drafts: drawn from whatever yields them, a window at a time, and kept for another attempt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from memory_guild.database.scope import current_scope
from memory_guild.errors import ContentRefusedError, InvalidInputError, MemoryGuildError, TenantMismatchError
from memory_guild.memories.drafts import Draft, Drafter, Item
from memory_guild.memories.permitting import facts_of
from memory_guild.policies.enforcing import are_enforced, denials
from memory_guild.types import PolicyAction

Refuse: TypeAlias = Callable[[int, MemoryGuildError], None]
"""Deals with an item that cannot be stored, given its number and its error: reports the error, or raises it."""


@dataclass(frozen=True, slots=True)
class BatchSizes:
    """How much of a batch is drawn, sent and kept at a time.

    Attributes:
        first_window: How many items the first statement stores. Small: until they are drawn, the server is idle.
        largest_window: How many items one statement stores at the most; each window is twice as long as the last.
        window_max_characters: A window ends with the item that reaches this size.
        drawn_at_once: How many items are drawn before the event loop gets a turn: it sends the window before.
        settled_at_once: How many outcomes are recorded before the event loop gets a turn.
        most_in_arrays: The most memories that are sent as arrays. More are sent with COPY, which costs half.
        kept_max_characters: If more than this was drawn, it is no longer kept, and there is no further attempt.
    """

    first_window: int = 500
    largest_window: int = 32_000
    window_max_characters: int = 16_000_000
    drawn_at_once: int = 25
    settled_at_once: int = 100
    most_in_arrays: int = 500
    kept_max_characters: int = 64_000_000


class DraftStream:
    """The drafts of a batch, which lasts for the whole call: items can be drawn only once.

    Args:
        items: Where the items come from.
        drafter: Checks them.
        refuse: Called for each item that it refuses.
        sizes: How much to draw and keep.
        source: The name of the data source that the items come from; None if none is named.

    Attributes:
        refused: How many items the drafter has refused.
    """

    def __init__(
        self,
        items: Iterable[Item] | AsyncIterable[Item],
        drafter: Drafter,
        refuse: Refuse,
        sizes: BatchSizes,
        source: str | None = None,
    ) -> None:
        self.refused = 0
        self._source = _Source(items)
        self._drafter = drafter
        self._refuse = refuse
        self._sizes = sizes
        self._source_name = source
        self._drawn = 0
        self._kept: list[Draft] | None = []
        self._kept_characters = 0

    @property
    def has_failed(self) -> bool:
        """Whether drawing ended with an error: no more items will come."""
        return self._source.has_failed

    @property
    def is_repeatable(self) -> bool:
        """Whether everything drawn so far is kept, and the rest can still be drawn."""
        return self._kept is not None and not self.has_failed

    async def windows(self) -> AsyncIterator[list[Draft]]:
        """All drafts for one attempt.

        The first attempt gets them in the order of the items. Another attempt first gets what was kept, and whatever
        else fits in memory, sorted: calls that store in the order of the keys do not deadlock with each other.
        """
        largest = self._sizes.largest_window
        again = list(self._kept or ())
        if again:
            while not self._source.is_empty and self._kept is not None:
                again += await self._draw(largest)
            again.sort(key=lambda draft: draft.key)
        for first in range(0, len(again), largest):
            yield again[first : first + largest]
        size = self._sizes.first_window
        while not self._source.is_empty:
            if drafts := await self._draw(size):
                yield drafts
            size = min(2 * size, largest)

    async def _draw(self, size: int) -> list[Draft]:
        drafts: list[Draft] = []
        characters = 0

        def take(item: Item) -> None:
            nonlocal characters
            number = self._drawn
            self._drawn += 1
            try:
                draft = self._drafter.draft_of(item, number)
            except (InvalidInputError, TenantMismatchError, ContentRefusedError) as error:
                self._refuse(number, error)
                self.refused += 1
                return
            drafts.append(draft)
            characters += draft.characters

        while len(drafts) < size and characters < self._sizes.window_max_characters and not self._source.is_empty:
            await self._source.draw(self._sizes.drawn_at_once, take)
            await asyncio.sleep(0)  # the server's answers and other tasks get a turn
        drafts = await self._without_denied(drafts)
        self._keep(drafts, characters)
        return drafts

    async def _without_denied(self, drafts: list[Draft]) -> list[Draft]:
        """The drafts that the access policies allow to store; the others are refused."""
        if not are_enforced() or not drafts:
            return drafts
        allowed: list[Draft] = []
        for draft, error in zip(
            drafts,
            await denials(PolicyAction.REMEMBER, [facts_of(draft, self._source_name) for draft in drafts]),
            strict=True,
        ):
            if error is None:
                allowed.append(draft)
            else:
                self._refuse(draft.number, error)
                self.refused += 1
        return allowed

    def _keep(self, drafts: list[Draft], characters: int) -> None:
        self._kept_characters += characters
        if self._kept_characters > self._sizes.kept_max_characters:
            self._kept = None
        if self._kept is not None:
            self._kept += drafts


class _Source:
    """Items drawn a few at a time from an iterable, synchronous or not.

    Attributes:
        is_empty: Whether all were drawn.
        has_failed: Whether drawing ended with an error. What it had drawn by then is lost, and no more will come.
    """

    def __init__(self, items: Iterable[Item] | AsyncIterable[Item]) -> None:
        self.is_empty = False
        self.has_failed = False
        self._asynchronous = aiter(items) if isinstance(items, AsyncIterable) else None
        self._synchronous = iter(()) if isinstance(items, AsyncIterable) else iter(items)

    async def draw(self, count: int, take: Callable[[Item], None]) -> None:
        """Draw the next items; if fewer come than asked for, the source is empty.

        Args:
            count: How many at the most.
            take: Called with each item before the next one is drawn: a source may reuse one dict for all of them.
        """
        drawn = 0
        try:
            if self._asynchronous is None:
                for item in islice(self._synchronous, count):
                    take(item)
                    drawn += 1
            else:
                async with aclosing(_some(self._asynchronous, count)) as some:
                    async for item in some:
                        take(item)
                        drawn += 1
        except BaseException:
            self.has_failed = True
            raise
        self.is_empty = drawn < count


async def _some(items: AsyncIterator[Item], count: int) -> AsyncGenerator[Item, None]:
    transaction = current_scope().transaction
    for _ in range(count):
        try:
            item = await anext(items)
        except StopAsyncIteration:
            return
        if transaction.innermost() is not transaction:
            # The source left a scope open. The statements that store would wait for its end, and so would a rollback.
            close: Any = getattr(items, "aclose", None)
            if close is not None:
                await close()
            transaction.end_nested()
            raise InvalidInputError("items", "come from a scope that is still open; end it before each yield")
        yield item
