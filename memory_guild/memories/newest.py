"""How the newest memories are found, with the specification's indexes or with the one that an operator may add.

The specification has an index of ``created_at``, which is everybody's. To walk along it is the cheapest way to the
newest memories of a tenant that stores often, and the dearest one to those of a tenant that stored nothing for long. So
a walk goes back some hours only, then as far again as what it found lets expect; where that is not enough, the tenant's
rows are read and sorted. What was enough is where the next call begins, for a minute. With the optional index none of
this is needed.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

import asyncpg

from memory_guild.database.scope import current_scope
from memory_guild.database.statements import Statement

Position: TypeAlias = tuple[datetime | None, UUID | None]
"""A place in the order of ``find``: after this ``created_at`` and id. Without a time: among those that have none."""

BEGINNING: Position = (None, None)

_END_OF_DATED: Position = (None, UUID(int=2**128 - 1))

_WALK = Statement("memories/walk_newest_memories", planned_for_values=True)
_WALK_INDEXED = Statement("memories/walk_newest_memories", planned_for_values=True, along_an_index=True)
_SORT = Statement("memories/sort_newest_memories", planned_for_values=True)
_NEWEST_INDEX = Statement("memories/newest_index")

_INCLUDE_FORGOTTEN = 8  # $9 of the conditions

_FIRST_WINDOW = timedelta(hours=6)
_WIDEST_WINDOW = 64 * _FIRST_WINDOW
_KNOWN_SECONDS = 60.0
_MOST_KNOWN = 10_000

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Memo(dict[_Key, tuple[float, _Value]]):
    """What was found out about a pool's database, for a minute."""

    def recall(self, key: _Key) -> _Value | None:
        """What is known, or None."""
        known_until, value = self.get(key, (0.0, None))
        return value if known_until > time.monotonic() else None

    def keep(self, key: _Key, value: _Value) -> _Value:
        """Know something from now on."""
        if len(self) >= _MOST_KNOWN:
            self.clear()
        self[key] = (time.monotonic() + _KNOWN_SECONDS, value)
        return value


known_indexes: WeakKeyDictionary[Any, _Memo[str, bool]] = WeakKeyDictionary()
"""Whether the index is there, by pool."""

known_windows: WeakKeyDictionary[Any, _Memo[tuple[Any, ...], timedelta]] = WeakKeyDictionary()
"""How far a walk had to go, by pool and by what was asked for; zero where it did not lead far enough."""


async def newest(conditions: list[Any], after: Position, number: int) -> list[asyncpg.Record]:
    """The newest rows that fulfil the conditions, after a position in the order."""
    moment, memory_id = after
    if moment is None and memory_id is not None:
        return await _SORT.fetch(*conditions, *after, number)
    # The index leaves the forgotten out: to walk with them would be along everybody's memories.
    if not conditions[_INCLUDE_FORGOTTEN] and await _are_indexed():
        rows = await _WALK_INDEXED.fetch(*conditions, *after, number, None)
        if len(rows) < number:
            rows += await _SORT.fetch(*conditions, *_END_OF_DATED, number - len(rows))
        return rows
    return await _walk_or_sort(conditions, after, number)


async def _walk_or_sort(conditions: list[Any], after: Position, number: int) -> list[asyncpg.Record]:
    windows = known_windows.setdefault(current_scope().transaction.pool, _Memo())
    asked = (hash(repr(conditions)), after == BEGINNING, number)
    known = windows.recall(asked)
    window = _FIRST_WINDOW if known is None else known
    if window:
        rows = await _WALK.fetch(*conditions, *after, number, window)
        if rows and len(rows) < number and window < _WIDEST_WINDOW:
            window = min(window * (2 * number / len(rows)), _WIDEST_WINDOW)
            rows = await _WALK.fetch(*conditions, *after, number, window)
        if len(rows) >= number:
            if known != window:
                windows.keep(asked, window)
            return rows
        windows.keep(asked, timedelta(0))
    return await _SORT.fetch(*conditions, *after, number)


async def _are_indexed() -> bool:
    """Whether an operator has added the index; asked once a minute."""
    indexes = known_indexes.setdefault(current_scope().transaction.pool, _Memo())
    is_usable = indexes.recall("newest")
    if is_usable is None:
        row = await _NEWEST_INDEX.fetch_row()
        assert row is not None
        is_usable = indexes.keep("newest", row["is_usable"])
    return is_usable
