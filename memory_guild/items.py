"""The items of a batch, drawn from whatever yields them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from itertools import islice

from memory_guild.drafts import Item
from memory_guild.errors import InvalidInputError
from memory_guild.scope import current_scope


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

    async def draw(self, count: int) -> list[Item]:
        """The next items; fewer than asked for are the last ones."""
        try:
            if self._asynchronous is not None:
                drawn = [item async for item in self._some(self._asynchronous, count)]
            else:
                drawn = list(islice(self._synchronous, count))
        except BaseException:
            self.has_failed = True
            raise
        self.is_empty = len(drawn) < count
        return drawn

    async def _some(self, items: AsyncIterator[Item], count: int) -> AsyncIterator[Item]:
        transaction = current_scope().transaction
        for _ in range(count):
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            if transaction.innermost() is not transaction:
                # It would be in the way of the windows, which wait for its end, and of undoing them.
                if isinstance(items, AsyncGenerator):
                    await items.aclose()
                raise InvalidInputError("items", "come from a scope that is still open; end it before each yield")
            yield item
