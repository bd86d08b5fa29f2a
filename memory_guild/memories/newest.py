"""Finding the newest memories: walk along an index of ``created_at``, or read the tenant's rows and sort them.

The specification has one index of ``created_at`` for all tenants. A walk along it is the cheapest way to the newest
memories of a tenant that stores often, and the most expensive one for a tenant that has not stored anything lately. So
a walk covers a few hours first. If it finds too few memories, a second walk covers as much time as their number
suggests; if that is not enough either, the tenant's rows are read and sorted. For a minute, the next call begins with
what was enough. With the optional index none of this is needed. Where a text is asked for, rows are always sorted.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

import asyncpg

from memory_guild.database.scope import current_scope
from memory_guild.database.statements import Statement
from memory_guild.memories.conditions import ConditionArguments, MatchingStatement
from memory_guild.memories.cursors import BEGINNING, Position
from memory_guild.moments import DistantMoment

_WALK = Statement("memories/walk_newest_memories", planned_for_values=True)
_WALK_INDEXED = Statement("memories/walk_newest_memories", planned_for_values=True, along_an_index=True)
_SORT = MatchingStatement("memories/sort_newest_memories")
_NEWEST_INDEX = Statement("memories/newest_index")

_END_OF_DATED = Position(None, UUID(int=2**128 - 1))
"""Before all memories without a ``created_at``."""

_ALL = None  # LIMIT NULL
_ROWS_AT_ONCE = 500

_FIRST_WINDOW = timedelta(hours=6)
_WIDEST_WINDOW = 64 * _FIRST_WINDOW

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Memo(Generic[_Key, _Value]):
    """What is known about a pool's database.

    Args:
        known_seconds: How long each fact is known.
        most_known: With so many facts, all are dropped before the next one is kept.
    """

    def __init__(self, known_seconds: float = 60.0, most_known: int = 10_000) -> None:
        self._known_seconds = known_seconds
        self._most_known = most_known
        self._facts: dict[_Key, tuple[float, _Value]] = {}

    def recall(self, key: _Key) -> _Value | None:
        """What is known, or None."""
        known_until, value = self._facts.get(key, (0.0, None))
        return value if known_until > time.monotonic() else None

    def keep(self, key: _Key, value: _Value) -> _Value:
        """Know something from now on."""
        if len(self._facts) >= self._most_known:
            self._facts.clear()
        self._facts[key] = (time.monotonic() + self._known_seconds, value)
        return value

    def __len__(self) -> int:
        return len(self._facts)


class _Question(NamedTuple):
    """What determines how far a walk has to go."""

    conditions: ConditionArguments
    is_first_page: bool
    number: int


known_indexes: WeakKeyDictionary[Any, Memo[str, bool]] = WeakKeyDictionary()
"""Whether the optional index exists, by pool."""

known_windows: WeakKeyDictionary[Any, Memo[_Question, timedelta]] = WeakKeyDictionary()
"""How much time a walk had to cover, by pool and question; zero if no walk found enough."""


async def newest(conditions: ConditionArguments, after: Position, number: int) -> list[asyncpg.Record]:
    """The newest matching rows after a position, at most ``number`` of them."""
    # Words are looked for in all of the tenant's memories at once, so a walk would only do it again.
    # A source may have few, and the walk may be long.
    if conditions.has_text or conditions.has_sources or (after.created_at is None and after.memory_id is not None):
        return await _SORT.for_conditions(conditions).fetch(*conditions, *after, number)
    # The optional index does not contain forgotten memories: with them, the walk would be along everybody's.
    if not conditions.include_forgotten and await _are_indexed():
        rows = await _WALK_INDEXED.fetch(*conditions, *after, number, None)
        if len(rows) < number:
            rows += await _SORT.for_conditions(conditions).fetch(*conditions, *_END_OF_DATED, number - len(rows))
        return rows
    return await _walk_or_sort(conditions, after, number)


def all_newest(conditions: ConditionArguments) -> AsyncIterator[list[asyncpg.Record]]:
    """All matching rows, newest first, a few hundred at a time."""
    return _SORT.for_conditions(conditions).fetch_in_batches(*conditions, *BEGINNING, _ALL, size=_ROWS_AT_ONCE)


async def _walk_or_sort(conditions: ConditionArguments, after: Position, number: int) -> list[asyncpg.Record]:
    if isinstance(after.created_at, DistantMoment):  # PostgreSQL may not have the moment some hours before it
        return await _SORT.for_conditions(conditions).fetch(*conditions, *after, number)
    windows = known_windows.setdefault(current_scope().transaction.pool, Memo())
    question = _Question(conditions, after == BEGINNING, number)
    known = windows.recall(question)
    window = _FIRST_WINDOW if known is None else known
    if window:
        rows = await _WALK.fetch(*conditions, *after, number, window)
        if rows and len(rows) < number and window < _WIDEST_WINDOW:
            window = min(window * (2 * number / len(rows)), _WIDEST_WINDOW)
            rows = await _WALK.fetch(*conditions, *after, number, window)
        if len(rows) >= number:
            if known != window:
                windows.keep(question, window)
            return rows
        windows.keep(question, timedelta(0))
    return await _SORT.for_conditions(conditions).fetch(*conditions, *after, number)


async def _are_indexed() -> bool:
    """Whether an operator has added the optional index; the server is asked once a minute."""
    indexes = known_indexes.setdefault(current_scope().transaction.pool, Memo())
    is_usable = indexes.recall("newest")
    if is_usable is None:
        row = await _NEWEST_INDEX.fetch_only_row()
        is_usable = indexes.keep("newest", row["is_usable"])
    return is_usable
