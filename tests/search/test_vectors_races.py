"""Scopes that change one neighborhood at the same time: what is searched is true when all have committed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextvars import Context
from uuid import UUID

import pytest

import memory_guild as guild
from memory_guild.errors import InvalidInputError, MemoryNotFoundError, TransactionConflictError, UnknownMemoryError
from tests.search.searched_vectors import assert_searched_vectors_are_true
from tests.search.test_embeddings import until_somebody_waits
from tests.search.words import Connection

MODEL = "written:down"


async def change(operation: str, one: UUID, other: UUID, chance: random.Random) -> None:
    """Do one of the operations in a scope of its own, again after a deadlock."""
    try:
        async with guild.tenant_scope("acme", agent_id="scribe"):
            match operation:
                case "attach":
                    vectors = {memory_id: [chance.random() for _ in range(3)] for memory_id in (one, other)}
                    await guild.embeddings.attach(vectors, model=MODEL)
                case "follows":
                    await guild.relate(one, other, operation)
                case "forget":
                    await guild.forget(one)
                case "restore":
                    await guild.restore(one)
                case "update":
                    await guild.update(one, content_text=f"memory {one} is {chance.choice('ab')}")
                case "unrelate":
                    await guild.MemoryRelationship.filter(source_memory_id=one).delete()
                case "delete":
                    await guild.MemoryRecord.filter(memory_id=one).delete()
                case "retire":
                    await guild.embeddings.retire(MODEL)
    except TransactionConflictError:
        await asyncio.sleep(random.random() / 50)
        await change(operation, one, other, chance)
    except (MemoryNotFoundError, UnknownMemoryError):
        pass  # another task has forgotten or deleted it


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
async def test_writers_of_one_neighborhood_at_once(search: str, past_scopes: Connection, seed: int) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        report = await guild.remember_many(
            {"content_text": f"memory {number}", "source_type": "document"} for number in range(10)
        )
    ids = [item.memory_id for item in report if item.memory_id]
    operations = [*["attach", "follows"] * 4, "forget", "restore", "restore", "update", "unrelate"]

    async def write(number: int) -> None:
        chance = random.Random(seed * 100 + number)
        for turn in range(10):
            one, other = chance.sample(ids, 2)
            rare = {(0, 5): "retire", (1, 9): "delete"}.get((number, turn))
            await change(rare or chance.choice(operations), one, other, chance)

    await asyncio.gather(*(write(number) for number in range(6)))
    await assert_searched_vectors_are_true(past_scopes, "acme")


async def two_memories(*, related: bool) -> list[guild.MemoryRecord]:
    """Two memories, one of which may follow the other."""
    async with guild.tenant_scope("acme", agent_id="scribe"):
        memories = [(await guild.remember(f"turn {number}", source_type="document")).memory for number in range(2)]
        if related:
            await guild.relate(memories[1], memories[0], "follows")
    return memories


async def attach(memory: guild.MemoryRecord, vector: Sequence[float]) -> int:
    """Attach a vector in a scope of its own."""
    async with guild.tenant_scope("acme", agent_id="scribe"):
        return await guild.embeddings.attach([(memory, vector)], model=MODEL)


async def test_two_that_attach_vectors_to_neighbors_see_each_other(search: str, past_scopes: Connection) -> None:
    first, second = await two_memories(related=True)
    async with guild.tenant_scope("acme"):
        await guild.embeddings.attach([(first, [1, 0])], model=MODEL)
        attaching = asyncio.create_task(attach(second, [0, 1]), context=Context())
        await until_somebody_waits(past_scopes)
    assert await attaching == 1
    await assert_searched_vectors_are_true(past_scopes, "acme")


async def test_who_relates_two_memories_waits_for_their_vectors(search: str, past_scopes: Connection) -> None:
    first, second = await two_memories(related=False)

    async def relate() -> None:
        async with guild.tenant_scope("acme"):
            await guild.relate(second, first, "follows")

    async with guild.tenant_scope("acme"):
        await guild.embeddings.attach([(first, [1, 0])], model=MODEL)
        await guild.embeddings.attach([(second, [0, 1])], model=MODEL)
        relating = asyncio.create_task(relate(), context=Context())
        await until_somebody_waits(past_scopes)
    await relating
    await assert_searched_vectors_are_true(past_scopes, "acme")


async def test_vectors_attached_while_their_memories_are_related_are_mixed(
    search: str, past_scopes: Connection
) -> None:
    first, second = await two_memories(related=False)
    async with guild.tenant_scope("acme"):
        await guild.relate(second, first, "follows")
        attaching = [
            asyncio.create_task(attach(memory, vector), context=Context())
            for memory, vector in ((first, [1, 0]), (second, [0, 1]))
        ]
        await until_somebody_waits(past_scopes)
    assert await asyncio.gather(*attaching) == [1, 1]
    await assert_searched_vectors_are_true(past_scopes, "acme")


async def test_a_vector_attached_while_its_neighbor_is_forgotten_has_no_part_of_it(
    search: str, past_scopes: Connection
) -> None:
    first, second = await two_memories(related=True)
    await attach(first, [1, 0])
    async with guild.tenant_scope("acme"):
        await guild.forget(first)
        attaching = asyncio.create_task(attach(second, [0, 1]), context=Context())
        await until_somebody_waits(past_scopes)
    await attaching
    searched = await past_scopes.fetchval("SELECT embedding::text FROM memory_vectors WHERE is_current")
    assert searched == "[0,1]"


# --- dimensions -------------------------------------------------------------------------------------------------


async def test_of_two_that_bring_the_first_vectors_of_a_model_one_says_the_dimensions(
    search: str, past_scopes: Connection
) -> None:
    first, second = await two_memories(related=False)
    async with guild.tenant_scope("acme"):
        await guild.embeddings.attach([(first, [1, 0])], model=MODEL)
        attaching = asyncio.create_task(attach(second, [1, 0, 0]), context=Context())
        await until_somebody_waits(past_scopes)
    with pytest.raises(InvalidInputError) as refused:
        await attaching
    assert str(refused.value) == (
        "vectors: have another number of dimensions than those that another scope has just stored by this model; name"
        " another model, or retire this one first"
    )
    async with guild.tenant_scope("acme"):
        assert list(await guild.embeddings.pending(MODEL)) == [second]
        assert await guild.MemoryEmbedding.all().count() == 1


async def test_where_the_first_one_rolls_back_the_other_says_the_dimensions(
    search: str, past_scopes: Connection
) -> None:
    first, second = await two_memories(related=False)
    with pytest.raises(ZeroDivisionError):
        async with guild.tenant_scope("acme"):
            await guild.embeddings.attach([(first, [1, 0])], model=MODEL)
            attaching = asyncio.create_task(attach(second, [1, 0, 0]), context=Context())
            await until_somebody_waits(past_scopes)
            raise ZeroDivisionError
    assert await attaching == 1
    assert await attach(first, [0, 1, 0]) == 1


async def test_who_attaches_more_vectors_of_a_model_waits_for_nobody(search: str) -> None:
    first, second = await two_memories(related=False)
    await attach(first, [1, 0])
    async with guild.tenant_scope("acme"):
        await guild.embeddings.attach([(first, [0, 1])], model=MODEL)
        attaching = asyncio.create_task(attach(second, [0, 1]), context=Context())
        assert await asyncio.wait_for(attaching, 10) == 1


async def test_a_vector_attached_while_its_model_is_retired_stays_and_says_the_dimensions(
    search: str, past_scopes: Connection
) -> None:
    first, second = await two_memories(related=False)
    await attach(first, [1, 0])

    async def retire() -> int:
        async with guild.tenant_scope("acme"):
            return await guild.embeddings.retire(MODEL)

    async with guild.tenant_scope("acme"):
        await guild.embeddings.attach([(second, [0, 1])], model=MODEL)
        retiring = asyncio.create_task(retire(), context=Context())
        await until_somebody_waits(past_scopes)
    assert await retiring == 1
    with pytest.raises(InvalidInputError):
        await attach(first, [1, 0, 0])
    async with guild.tenant_scope("acme"):
        assert await guild.embeddings.retire(MODEL) == 1
    assert await attach(first, [1, 0, 0]) == 1


@pytest.mark.long
async def test_many_first_vectors_with_different_dimensions_at_once(search: str, past_scopes: Connection) -> None:
    for attempt in range(5):
        async with guild.tenant_scope("acme", agent_id="scribe"):
            memories = [
                (await guild.remember(f"{attempt} {number}", source_type="document")).memory for number in range(8)
            ]
        outcomes = await asyncio.gather(
            *(attach(memory, [1.0] * (2 + number % 3)) for number, memory in enumerate(memories)),
            return_exceptions=True,
        )
        assert {type(outcome) for outcome in outcomes} <= {int, InvalidInputError}
        stored = "SELECT count(DISTINCT memory_guild_dimensions(own)) FROM memory_own_vectors"
        assert await past_scopes.fetchval(stored) == 1
        async with guild.tenant_scope("acme"):
            await guild.embeddings.retire(MODEL)
