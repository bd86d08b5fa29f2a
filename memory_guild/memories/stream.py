"""The items of a batch, drawn from whatever yields them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from itertools import islice
from typing import Any

from memory_guild.database.scope import current_scope
from memory_guild.errors import InvalidInputError
from memory_guild.memories.drafts import Item


class Items:
    """The items, drawn a few at a time; they may come one by one, synchronously or not.

    Attributes:
        is_empty: Whether all were drawn.
        has_failed: Whether drawing ended with an error: what it had drawn by then is lost, and no more will come.
    """

    def __init__(self, items: Iterable[Item] | AsyncIterable[Item]) -> None:
        self.is_empty = False
        self.has_failed = False
        self._asynchronous = aiter(items) if isinstance(items, AsyncIterable) else None
        self._synchronous = iter(()) if isinstance(items, AsyncIterable) else iter(items)

    async def draw(self, count: int, take: Callable[[Item], None]) -> None:
        """Draw the next items; fewer than asked for are the last ones.

        Args:
            count: How many at the most.
            take: Called with each one before the next is drawn: a source may use one dict for all of them.
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
            # It would be in the way of the windows, which wait for its end, and of undoing them.
            close: Any = getattr(items, "aclose", None)
            if close is not None:
                await close()
            transaction.end_nested()
            raise InvalidInputError("items", "come from a scope that is still open; end it before each yield")
        yield item
