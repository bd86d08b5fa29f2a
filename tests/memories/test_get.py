"""Reading memories by id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeAlias
from uuid import UUID

import pytest

from memory_guild.database.connecting import connect
from memory_guild.errors import InvalidInputError, MemoryNotFoundError, ScopeClosedError, TenantNotSetError
from memory_guild.memories.arguments import MemoryArgument
from memory_guild.memories.forgetting import forget
from memory_guild.memories.reading import count, find, find_all, get, get_many
from memory_guild.memories.relations import fetch_relations
from memory_guild.memories.storing import remember
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import admin_scope, tenant_scope
from tests.databases import copied_database
from tests.memories.reading import READS, Read, ids_of, statements_of
from tests.tenancy.two_tenants import ACME_1, ACME_2, ACME_3, BOLT_1, MISSING, ROWS

ALL_NAMES = [ACME_2, BOLT_1, ACME_1, ACME_2, MISSING, BOLT_1]
Naming: TypeAlias = Callable[[MemoryRecord], MemoryArgument]
NAMINGS: dict[str, Naming] = {
    "model": lambda memory: memory,
    "id": lambda memory: memory.memory_id,
    "plain id": lambda memory: UUID(str(memory.memory_id)),
    "text": lambda memory: str(memory.memory_id),
    "text in capitals": lambda memory: str(memory.memory_id).upper(),
}
NO_MEMORIES: list[Any] = ["no id", "", 5, None, b"0" * 16, MemoryRecord(content_text="never stored")]


@pytest.fixture(scope="module")
def shared_url(server_url: str, template: str) -> Iterator[str]:
    with copied_database(server_url, template, ROWS) as url:
        yield url


@pytest.fixture
async def two_tenants(shared_url: str) -> AsyncIterator[None]:
    """Connected to a database of two tenants, for tests that write nothing that lasts."""
    async with connect(shared_url, check_schema=False):
        yield


@pytest.mark.parametrize("naming", NAMINGS.values(), ids=NAMINGS)
async def test_a_memory_is_named_by_its_model_its_id_or_the_ids_text(two_tenants: None, naming: Naming) -> None:
    async with tenant_scope("acme"):
        memory = await MemoryRecord.get(memory_id=ACME_1)

        assert await get(naming(memory)) == memory
        assert (await get_many([naming(memory)])).memories == [memory]


async def test_get_sends_one_statement(two_tenants: None) -> None:
    async with tenant_scope("acme") as scope, statements_of(scope) as sent:
        await get(ACME_1)

    assert len(sent) == 1


@pytest.mark.parametrize("memory_id", [MISSING, BOLT_1])
async def test_a_strangers_memory_is_missing_like_any_other(two_tenants: None, memory_id: str) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(MemoryNotFoundError) as caught:
            await get(memory_id, include_forgotten=True)

    assert caught.value.memory_ids == (UUID(memory_id),)
    assert memory_id in str(caught.value)


@pytest.mark.parametrize("bad", NO_MEMORIES, ids=[type(bad).__name__ + str(bad)[:9] for bad in NO_MEMORIES])
async def test_what_names_no_memory_is_refused_before_anything_is_sent(two_tenants: None, bad: Any) -> None:
    async with tenant_scope("acme") as scope, statements_of(scope) as sent:
        with pytest.raises(InvalidInputError) as caught:
            await get(bad)
        assert caught.value.field == "memory"
        with pytest.raises(InvalidInputError) as caught:
            await get_many([ACME_1, bad])
        assert caught.value.field == "memories[1]"

    assert sent == []


async def test_get_finds_a_forgotten_memory_only_where_asked(database: str) -> None:
    async with tenant_scope("acme", "agent-1"):
        memory = (await remember("soon forgotten", source_type="observation")).memory
        await forget(memory)

        with pytest.raises(MemoryNotFoundError) as caught:
            await get(memory)
        assert caught.value.memory_ids == (memory.memory_id,)
        found = await get(memory, include_forgotten=True)

    assert found.is_deleted
    assert found.deleted_at is not None


async def test_a_memory_whose_flag_is_null_is_live(database: str) -> None:
    async with tenant_scope("acme", "agent-1"):
        memory = (await remember("of unknown state", source_type="observation")).memory
        await MemoryRecord.filter(memory_id=memory.memory_id).update(is_deleted=None)

        assert (await get(memory)).is_deleted is None
        assert (await get_many([memory])).missing == []


async def test_get_many_keeps_the_order_and_reports_what_is_missing(two_tenants: None) -> None:
    async with tenant_scope("acme") as scope, statements_of(scope) as sent:
        found = await get_many(ALL_NAMES)

    assert [str(memory_id) for memory_id in ids_of(found.memories)] == [ACME_2, ACME_1, ACME_2]
    assert [str(memory_id) for memory_id in found.missing] == [BOLT_1, MISSING, BOLT_1]
    assert len(sent) == 1


async def test_get_many_takes_any_iterable_also_an_empty_one(two_tenants: None) -> None:
    async with tenant_scope("acme"):
        assert ids_of((await get_many(name for name in (ACME_3, ACME_1))).memories) == [UUID(ACME_3), UUID(ACME_1)]
        nothing, one = await get_many(()), await get_many([MISSING], relations=["embeddings"])
        assert (nothing, nothing.missing) == ([], [])
        assert (one, one.missing) == ([], [UUID(MISSING)])


async def test_get_many_counts_forgotten_memories_as_missing_unless_asked(database: str) -> None:
    async with tenant_scope("acme", "agent-1"):
        kept = (await remember("kept", source_type="observation")).memory
        gone = (await remember("gone", source_type="observation")).memory
        await forget(gone)

        live, both = await get_many([gone, kept]), await get_many([gone, kept], include_forgotten=True)
        assert (live, live.missing) == ([kept], [gone.memory_id])
        assert (both, both.missing) == ([gone, kept], [])


async def test_get_many_takes_more_ids_than_a_statement_takes_parameters(two_tenants: None) -> None:
    async with tenant_scope("acme"):
        found = await get_many([ACME_1, *(UUID(int=number) for number in range(1 << 100, (1 << 100) + 40_000))])

    assert [str(memory_id) for memory_id in ids_of(found.memories)] == [ACME_1]
    assert len(found.missing) == 40_000


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_no_read_works_outside_a_scope(two_tenants: None, read: Read) -> None:
    async with tenant_scope("acme"):
        memory = await get(ACME_1)

    with pytest.raises(TenantNotSetError):
        await read(memory)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_no_read_works_in_a_maintenance_scope(two_tenants: None, read: Read) -> None:
    async with admin_scope("a test") as scope:
        memory = await MemoryRecord.get(memory_id=ACME_1)
        async with statements_of(scope) as sent:
            with pytest.raises(TenantNotSetError, match="maintenance scope"):
                await read(memory)

    assert sent == []


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_no_read_works_in_a_task_that_outlived_its_scope(two_tenants: None, read: Read) -> None:
    scope_has_ended = asyncio.Event()

    async def late(memory: MemoryRecord) -> None:
        await scope_has_ended.wait()
        await read(memory)

    async with tenant_scope("acme"):
        task = asyncio.create_task(late(await get(ACME_1)))
    scope_has_ended.set()

    with pytest.raises(ScopeClosedError):
        await task


async def test_no_list_shows_anything_of_another_tenant(two_tenants: None) -> None:
    async with tenant_scope("bolt"):
        strangers = [await get(BOLT_1)]
        await fetch_relations(strangers)
        assert len(strangers[0].embeddings) == len(strangers[0].outgoing_edges) == 1

    async with tenant_scope("acme"):
        assert {memory.tenant_id for memory in (await find()).memories} == {"acme"}
        assert {memory.tenant_id async for memory in find_all()} == {"acme"}
        assert await count() == 3
        await fetch_relations(strangers)
        assert len(strangers[0].embeddings) == len(strangers[0].outgoing_edges) == 0
