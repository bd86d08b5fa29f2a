"""How far back ``find`` walks along everybody's memories before it sorts the tenant's own, and what it learns by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.database.statements import Statement
from memory_guild.memories.newest import Memo, known_windows
from memory_guild.memories.reading import find
from memory_guild.tenancy import tenant_scope
from tests.memories.reading import statements_of, store_aged, texts_of

if TYPE_CHECKING:
    from tests.memories.reading import Connection

WALK, SORT = (Statement(name).text for name in ("memories/walk_newest_memories", "memories/sort_newest_memories"))


async def store_hourly(superuser: Connection, hours: range) -> None:
    for hour in hours:
        await store_aged(superuser, [f"{hour} hours ago"], f"now() - interval '{hour} hours'")


async def sent_by_find(number: int, **arguments: Any) -> list[str]:
    """The statements that list the newest; they find so many, the newest first."""
    async with tenant_scope("acme") as scope, statements_of(scope) as sent:
        memories = (await find(limit=number, **arguments)).memories
    hours = [int(text.partition(" ")[0]) for text in texts_of(memories)]
    assert len(hours) == number
    assert hours == sorted(hours)
    return [text for text in sent if text in (WALK, SORT)]


async def test_a_walk_that_found_some_goes_on_as_far_as_that_lets_expect(
    shared_database: str, superuser: Connection
) -> None:
    await store_hourly(superuser, range(1, 41))

    assert await sent_by_find(4) == [WALK]
    assert await sent_by_find(30) == [WALK, WALK]


async def test_the_next_one_begins_where_the_last_was_enough(shared_database: str, superuser: Connection) -> None:
    await store_hourly(superuser, range(1, 41))
    await sent_by_find(30)

    assert await sent_by_find(30) == [WALK]
    assert await sent_by_find(30, agent_id="agent-1") == [WALK, WALK]
    async with connect(shared_database):
        assert await sent_by_find(30) == [WALK, WALK]


async def test_where_no_walk_was_enough_the_next_one_sorts_at_once(shared_database: str, superuser: Connection) -> None:
    await store_hourly(superuser, range(10_000, 10_005))
    assert await sent_by_find(3) == [WALK, SORT]

    assert await sent_by_find(3) == [SORT]
    assert await sent_by_find(2) == [WALK, SORT]


async def test_a_walk_never_goes_beyond_the_widest_window(shared_database: str, superuser: Connection) -> None:
    await store_hourly(superuser, range(1, 2))
    await store_hourly(superuser, range(10_000, 10_010))

    assert await sent_by_find(9) == [WALK, WALK, SORT]
    assert await sent_by_find(9) == [SORT]


async def test_it_is_known_for_a_while(shared_database: str, superuser: Connection) -> None:
    known_windows[client()] = Memo(known_seconds=0)
    await store_hourly(superuser, range(10_000, 10_005))

    for _ in range(2):
        assert await sent_by_find(3) == [WALK, SORT]


async def test_it_is_forgotten_before_it_is_too_much(shared_database: str, superuser: Connection) -> None:
    known_windows[client()] = Memo(most_known=2)
    await store_hourly(superuser, range(10_000, 10_005))
    for number in (1, 2, 3):
        assert await sent_by_find(number) == [WALK, SORT]

    assert await sent_by_find(3) == [SORT]
    assert await sent_by_find(1) == [WALK, SORT]
    assert len(known_windows[client()]) <= 2
