"""Walking through memories page by page, with and without the index that an operator may add."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.database.statements import Statement
from memory_guild.memories.cursors import cursor_after
from memory_guild.memories.forgetting import forget, purge
from memory_guild.memories.newest import Memo, known_indexes, known_windows
from memory_guild.memories.reading import find
from memory_guild.memories.storing import remember
from memory_guild.models import MemoryRecord
from memory_guild.schema import indexes
from memory_guild.tenancy import tenant_scope
from tests.databases import copied_database
from tests.memories.reading import all_texts, ids_of, pages_of, statements_of, store_aged, store_texts, texts_of
from tests.tenancy.logins import connected

if TYPE_CHECKING:
    from tests.memories.reading import Connection

WALK, SORT, PROBE = (
    Statement(name).text
    for name in ("memories/walk_newest_memories", "memories/sort_newest_memories", "memories/newest_index")
)
AGES = {
    "in an hour": 1,
    "now": 3,
    "5 hours ago": 2,
    "7 hours ago": 4,
    "7 hours 1 second ago": 1,
    "20 hours ago": 1,
    "5 years ago": 4,
    "without a time": 3,
}
"""How many memories of each age; those of one age have one ``created_at``."""


@pytest.fixture(scope="module", params=["plain", "indexed"])
def url(request: pytest.FixtureRequest, server_url: str, template: str) -> Iterator[str]:
    with copied_database(server_url, template) as url:
        if request.param == "indexed":
            asyncio.run(indexes.create(url))
        yield url


@pytest.fixture
async def past(url: str) -> AsyncIterator[Connection]:
    """A superuser's connection to a database without a memory, and Tortoise connected to it."""
    async with connected(url) as superuser, connect(url, check_schema=False):
        await superuser.execute("DELETE FROM memory_records")
        yield superuser


async def store_ages(past: Connection, ages: dict[str, int], name: str = "") -> None:
    moments = {
        "in an hour": "now() + interval '1 h'",
        "without a time": "NULL",
        **{age: f"now() - interval '{age.removesuffix(' ago')}'" for age in AGES if age.endswith("ago")},
    }
    for age, number in ages.items():
        await store_aged(past, [f"{age} {name}{n}" for n in range(number)], moments.get(age, "now()"))


async def expected_order(past: Connection) -> list[UUID]:
    query = (
        "SELECT memory_id FROM memory_records WHERE tenant_id = 'acme' AND is_deleted IS NOT TRUE"
        " ORDER BY created_at DESC NULLS LAST, memory_id DESC"
    )
    return [row["memory_id"] for row in await past.fetch(query)]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 18, 19, 20])
async def test_all_pages_together_have_each_memory_once_in_order(past: Connection, limit: int) -> None:
    await store_ages(past, AGES)
    await store_aged(past, ["a stranger's"], "now()", "bolt")
    expected = await expected_order(past)
    assert len(expected) == sum(AGES.values()) == 19

    async with tenant_scope("acme"):
        for conditions in ({}, {"include_forgotten": True}, {"agent_id": "agent-1"}):
            pages = await pages_of(limit, **conditions)

            assert [memory_id for page in pages for memory_id in ids_of(page)] == expected
            assert all(len(page) == limit for page in pages[:-1])
            assert len(pages) == -(-19 // limit)


async def test_find_all_has_the_same_order(past: Connection) -> None:
    await store_ages(past, AGES)
    async with tenant_scope("acme"):
        assert await all_texts() == texts_of((await find()).memories)


async def test_a_condition_holds_on_every_page(past: Connection) -> None:
    await store_ages(past, AGES)
    old = datetime.now(UTC) - timedelta(hours=6)
    async with tenant_scope("acme"):
        pages = await pages_of(2, created_before=old)

    assert [len(page) for page in pages] == [2, 2, 2, 2, 2]
    assert all(memory.created_at and memory.created_at < old for page in pages for memory in page)


async def test_a_cursor_is_a_place_which_other_conditions_may_go_on_from(past: Connection) -> None:
    await store_ages(past, AGES)
    async with tenant_scope("acme"):
        everything = texts_of((await find()).memories)
        cursor = (await find(limit=5)).next_cursor

        assert texts_of((await find(cursor=cursor)).memories) == everything[5:]
        assert texts_of((await find(cursor=cursor, created_before=datetime.now(UTC) - timedelta(days=9))).memories) == [
            text for text in everything[5:] if text.startswith("5 years")
        ]
        assert (await find(cursor=cursor, agent_id="nobody")).memories == []


async def test_memories_of_the_end_of_all_times(past: Connection) -> None:
    """Infinity reads as the last moment that Python knows, which is another one."""
    await store_aged(past, ["always", "also"], "'infinity'")
    await store_aged(past, ["never"], "'-infinity'")
    await store_ages(past, AGES)
    async with tenant_scope("acme"):
        await MemoryRecord.filter(content_text="also").update(created_at=datetime.max.replace(tzinfo=UTC))
    expected = await expected_order(past)
    async with tenant_scope("acme"):
        pages = await pages_of(1)

    assert [memory_id for page in pages for memory_id in ids_of(page)] == expected
    assert len(expected) == 22


async def test_a_cursor_outlives_its_scope_and_its_memory(past: Connection) -> None:
    await store_ages(past, AGES)
    async with tenant_scope("acme"):
        everything = (await find()).memories
        cursor = (await find(limit=8)).next_cursor
        await forget(*everything[5:8])
        await purge(older_than=timedelta(0))
    async with tenant_scope("acme"):
        assert (await find(cursor=cursor)).memories == everything[8:]


async def test_a_strangers_cursor_shows_nothing_of_the_stranger(past: Connection) -> None:
    await store_ages(past, AGES)
    await store_aged(past, ["bolt's"], "now() - interval '1 year'", "bolt")
    async with tenant_scope("acme"):
        cursor = (await find(limit=1)).next_cursor
    async with tenant_scope("bolt"):
        assert texts_of((await find(cursor=cursor)).memories) == ["bolt's"]


async def test_what_happens_in_between_neither_repeats_nor_skips_a_memory(past: Connection) -> None:
    await store_ages(past, AGES)
    seen: list[MemoryRecord] = []
    async with tenant_scope("acme", "agent-1"):
        everything = (await find()).memories
        page = await find(limit=2)
        for _ in everything:
            seen += page.memories
            await remember(f"new {len(seen)}", source_type="document")
            await forget(page.memories[-1])
            if page.next_cursor is None:
                break
            page = await find(limit=2, cursor=page.next_cursor)

    assert seen == everything


async def test_what_is_forgotten_before_its_page_comes_is_not_on_it(past: Connection) -> None:
    await store_ages(past, AGES)
    async with tenant_scope("acme"):
        everything = (await find()).memories
        first = await find(limit=6)
        await forget(*everything[3:9])
        rest = await find(cursor=first.next_cursor)

    assert first.memories + rest.memories == everything[:6] + everything[9:]


STEPS = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.lists(st.integers(0, 30), max_size=3),
        st.lists(st.sampled_from(sorted(AGES)), max_size=2),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(ages=st.dictionaries(st.sampled_from(sorted(AGES)), st.integers(0, 4)), steps=STEPS)
async def test_pages_hold_what_was_there_all_along_whatever_happens(
    past: Connection, ages: dict[str, int], steps: list[tuple[int, list[int], list[str]]]
) -> None:
    """Others store memories of any age and forget some between two pages, each of its own length."""
    await past.execute("DELETE FROM memory_records")
    await store_ages(past, ages)
    there_all_along = before = await expected_order(past)
    seen: list[UUID] = []
    cursor: str | None = None
    for step, (limit, forgotten, stored) in enumerate([*steps, (1000, [], [])]):
        async with tenant_scope("acme"):
            page = await find(limit=limit, cursor=cursor)
        seen += ids_of(page.memories)
        cursor = page.next_cursor
        if cursor is None:
            break
        gone = [before[number] for number in forgotten if number < len(before)]
        await past.execute("UPDATE memory_records SET is_deleted = true WHERE memory_id = ANY ($1)", gone)
        there_all_along = [memory_id for memory_id in there_all_along if memory_id not in gone]
        await store_ages(past, dict.fromkeys(stored, 1), f"in step {step}: ")

    assert len(set(seen)) == len(seen)
    assert [memory_id for memory_id in seen if memory_id in there_all_along] == there_all_along


async def sent_by_find(**arguments: Any) -> list[str]:
    """The statements that list memories, or ask for the index."""
    async with tenant_scope("acme") as scope, statements_of(scope) as sent:
        await find(**arguments)
    return [text for text in sent if text in (WALK, SORT, PROBE)]


async def test_the_index_is_asked_for_once_in_a_while(past: Connection) -> None:
    assert PROBE in await sent_by_find()
    assert PROBE not in await sent_by_find()

    known_indexes[client()] = Memo(known_seconds=0)
    assert PROBE in await sent_by_find()
    assert PROBE in await sent_by_find()


async def test_recent_memories_are_found_by_one_statement(past: Connection) -> None:
    await store_ages(past, {"now": 3, "5 years ago": 2})
    await sent_by_find()

    assert await sent_by_find(limit=2) == [WALK]
    assert await sent_by_find(limit=2, include_forgotten=True) == [WALK]


async def test_old_ones_by_two_unless_there_is_the_index(past: Connection, url: str) -> None:
    await store_ages(past, {"5 years ago": 5, "without a time": 1})
    is_indexed = (await indexes.recommend(url))[0].state == "valid"
    await sent_by_find()

    assert await sent_by_find(limit=4) == ([WALK] if is_indexed else [WALK, SORT])
    assert await sent_by_find(limit=5) == [WALK, SORT]
    assert await sent_by_find(limit=4, include_forgotten=True) == [WALK, SORT]
    async with tenant_scope("acme"):
        undated = (await find(limit=6, include_forgotten=True)).memories[-1]
        assert await sent_by_find(cursor=cursor_after(undated)) == [SORT]


async def test_pages_after_each_other_are_near_each_other(past: Connection) -> None:
    """The window ends six hours before the cursor, not before now."""
    await store_ages(past, {"5 years ago": 20})
    async with tenant_scope("acme"):
        cursor = (await find(limit=2)).next_cursor

    assert await sent_by_find(limit=2, cursor=cursor) == [WALK]


async def test_an_index_is_used_soon_after_it_is_valid(database_url: str) -> None:
    name = "memory_guild_newest_of_tenant"
    async with connected(database_url) as past:
        await store_aged(past, ["1", "2"], "now() - interval '1 year'")
        async with connect(database_url):
            assert await sent_by_find(limit=1) == [PROBE, WALK, SORT]
        await indexes.create(database_url, names=[name])
        async with connect(database_url):
            known_indexes[client()] = Memo(known_seconds=0)
            known_windows[client()] = Memo(known_seconds=0)
            assert await sent_by_find(limit=1) == [PROBE, WALK]
            await past.execute(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass")
            assert await sent_by_find(limit=1) == [PROBE, WALK, SORT]


async def test_memories_of_the_scope_itself_are_recent(past: Connection) -> None:
    async with tenant_scope("acme", "agent-1"):
        await store_texts("first", "second")
        assert sorted(texts_of((await find()).memories)) == ["first", "second"]
