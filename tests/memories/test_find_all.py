"""Iterating over all memories with a cursor on the server, while other things happen."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tortoise.transactions import in_transaction

from memory_guild.errors import ScopeClosedError, TenantNotSetError
from memory_guild.memories.conditions import condition_arguments
from memory_guild.memories.forgetting import forget, forget_where, purge
from memory_guild.memories.newest import all_newest
from memory_guild.memories.reading import count, find, find_all, get
from memory_guild.memories.relations import fetch_relations
from memory_guild.memories.storing import remember
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import tenant_scope
from tests.memories.reading import Undone, all_texts, texts_of

if TYPE_CHECKING:
    from tests.memories.reading import Connection

# More than the server is asked for at once, twice.
MANY = 1001
ROWS = """
INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash, created_at)
SELECT 'agent-1', tenant, 'document', n, md5(n::text), '2024-01-01'::timestamptz + n / 3 * interval '1 s'
FROM generate_series(1, 1001) AS n, (VALUES ('acme'), ('bolt')) AS tenants (tenant)
"""


@pytest.fixture
async def many(shared_database: str, superuser: Connection) -> None:
    """Connected to a database with many memories of two tenants, a few of each moment."""
    await superuser.execute(ROWS)


async def newest_first() -> list[str]:
    return [memory.content_text for memory in await MemoryRecord.all().order_by("-created_at", "-memory_id")]


async def test_all_of_them_newest_first(many: None) -> None:
    async with tenant_scope("acme"):
        expected = await newest_first()
        assert await all_texts() == expected
        assert await count() == len(expected) == MANY


@pytest.mark.parametrize(("number", "sizes"), [(0, []), (1, [1]), (500, [500]), (501, [500, 1]), (1000, [500, 500])])
async def test_the_server_is_asked_for_some_hundred_at_a_time(many: None, number: int, sizes: list[int]) -> None:
    async with tenant_scope("acme"):
        await MemoryRecord.filter(content_text__in=[str(n) for n in range(number + 1, MANY + 1)]).delete()

        assert [len(rows) async for rows in all_newest(condition_arguments("acme", {}))] == sizes
        assert len(await all_texts()) == number


async def test_other_verbs_may_come_between(many: None) -> None:
    async with tenant_scope("acme", "agent-1"):
        expected = await newest_first()
        seen: list[str] = []
        async for memory in find_all():
            seen.append(memory.content_text)
            if len(seen) % 100 == 0:
                assert await get(memory) == memory
                assert len((await find(limit=3, relations=["embeddings"])).memories) == 3
                await fetch_relations([memory])
                assert await MemoryRecord.filter(content_text=memory.content_text).count() == 1

    assert seen == expected


async def test_they_are_as_they_were_at_the_beginning(many: None) -> None:
    """Whatever the loop stores, forgets, changes or deletes for good: it sees each memory once, as it was."""
    moment = datetime(2024, 1, 1, 0, 2, tzinfo=UTC)
    async with tenant_scope("acme", "agent-1"):
        expected = await newest_first()
        seen: list[MemoryRecord] = []
        async for memory in find_all():
            if not seen:
                await forget_where(created_before=moment)
                await purge(older_than=timedelta(0))
                await MemoryRecord.filter(memory_id=memory.memory_id).update(metadata={"seen": True})
            seen.append(memory)
            if len(seen) in (100, 200):
                await remember(f"stored at {len(seen)}", source_type="observation")
                await forget(memory.memory_id)

        assert texts_of(seen) == expected
        assert not any(memory.is_deleted or memory.metadata for memory in seen)
        stored, forgotten, deleted = 2, 2, 359
        assert await count() == MANY + stored - forgotten - deleted


async def test_what_others_commit_meanwhile_is_not_seen(many: None, superuser: Connection) -> None:
    async with tenant_scope("acme"):
        seen = 0
        async for _ in find_all():
            if not seen:
                await superuser.execute("DELETE FROM memory_records WHERE tenant_id = 'acme'")
            seen += 1

        assert seen == MANY
        assert await all_texts() == []


@pytest.mark.long
async def test_all_may_be_forgotten_one_by_one(many: None) -> None:
    async with tenant_scope("acme"):
        async for memory in find_all():
            await forget(memory)

        assert await count() == 0
        assert await count(include_forgotten=True) == MANY


async def test_a_loop_may_be_left(many: None) -> None:
    async with tenant_scope("acme"):
        for _ in range(3):
            async for memory in find_all():
                assert memory
                break
        gc.collect()
        await asyncio.sleep(0)
        async with aclosing(find_all()) as memories:
            await anext(memories)

        assert len(await all_texts()) == MANY
    async with tenant_scope("acme"):
        assert await count() == MANY


async def test_a_loop_that_raises_ends_the_scope_as_any_error_does(many: None) -> None:
    with pytest.raises(Undone):
        async with tenant_scope("acme"):
            async for memory in find_all():
                await forget(memory)
                raise Undone
    async with tenant_scope("acme"):
        assert await count() == MANY


async def test_two_iterations_at_once(many: None) -> None:
    async with tenant_scope("acme"):
        expected = await newest_first()
        one, other = find_all(), find_all(agent_id="agent-1")
        pairs = [(memory.content_text, (await anext(other)).content_text) async for memory in one]

    assert pairs == list(zip(expected, expected, strict=True))


async def test_two_tasks_take_turns(many: None) -> None:
    async with tenant_scope("acme"):
        expected = await newest_first()
        async with asyncio.TaskGroup() as tasks:
            iterations = [tasks.create_task(all_texts()) for _ in range(3)]
            counted = tasks.create_task(count())

    assert [task.result() for task in iterations] == [expected] * 3
    assert counted.result() == MANY


async def test_nested_scopes_inside_the_loop_may_fail(many: None) -> None:
    async with tenant_scope("acme", "agent-1"):
        expected = await newest_first()
        seen: list[str] = []
        async for memory in find_all():
            seen.append(memory.content_text)
            if len(seen) % 250 == 0:
                with pytest.raises(Undone):
                    async with tenant_scope("acme"):
                        await forget(memory)
                        raise Undone
                async with in_transaction():
                    await remember(f"stored at {len(seen)}", source_type="observation")

        assert seen == expected
        assert await count() == MANY + 4


async def test_the_iteration_goes_on_inside_a_nested_scope(many: None) -> None:
    async with tenant_scope("acme"):
        expected = await newest_first()
        memories = find_all()
        seen = [(await anext(memories)).content_text]
        with pytest.raises(Undone):
            async with tenant_scope("acme"):
                seen += [(await anext(memories)).content_text for _ in range(700)]
                raise Undone
        seen += [memory.content_text async for memory in memories]

    assert seen == expected


async def test_an_iteration_ends_with_the_nested_scope_that_it_began_in(many: None) -> None:
    async with tenant_scope("acme"):
        async with tenant_scope("acme"):
            memories = find_all()
            await anext(memories)
        with pytest.raises(ScopeClosedError):
            async for _ in memories:
                pass
        assert await count() == MANY


async def test_an_iteration_ends_with_its_scope(many: None) -> None:
    async with tenant_scope("acme"):
        memories = find_all()
        await anext(memories)

    with pytest.raises(ScopeClosedError):
        async for _ in memories:
            pass


async def test_it_does_not_go_on_in_another_scope(many: None) -> None:
    async with tenant_scope("acme"):
        memories = find_all()
        await anext(memories)
    async with tenant_scope("bolt"):
        with pytest.raises(ScopeClosedError):
            await anext(memories)
        assert await count() == MANY


async def test_it_begins_with_the_first_step(many: None) -> None:
    memories = find_all()
    async with tenant_scope("acme"):
        assert (await anext(memories)).tenant_id == "acme"
    with pytest.raises(TenantNotSetError):
        await anext(find_all())
