"""Scopes that change one neighborhood at the same time: the vectors are true when all have committed."""

from __future__ import annotations

import asyncio
import random
from uuid import UUID

import pytest

import memory_guild as guild
from memory_guild.errors import MemoryNotFoundError, TransactionConflictError
from tests.search.words import Connection, assert_vectors_are_true


async def change(operation: str, one: UUID, other: UUID, text: str) -> None:
    """Do one of the operations in a scope of its own, again after a deadlock."""
    try:
        async with guild.tenant_scope("acme", agent_id="scribe"):
            match operation:
                case "follows" | "references":
                    await guild.relate(one, other, operation)
                case "forget":
                    await guild.forget(one)
                case "restore":
                    await guild.restore(one)
                case "update":
                    await guild.update(one, content_text=text)
                case "unrelate":
                    await guild.MemoryRelationship.filter(source_memory_id=one).delete()
    except TransactionConflictError:
        await asyncio.sleep(random.random() / 50)
        await change(operation, one, other, text)
    except MemoryNotFoundError:
        pass  # another task has forgotten it


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
async def test_writers_of_one_neighborhood_at_once(search: str, past_scopes: Connection, seed: int) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        report = await guild.remember_many(
            {"content_text": f"memory{number} about the harbor", "source_type": "document"} for number in range(10)
        )
    ids = [item.memory_id for item in report if item.memory_id]

    async def write(number: int) -> None:
        chance = random.Random(seed * 100 + number)
        for _ in range(12):
            one, other = chance.sample(ids, 2)
            what = chance.choice(["follows", "follows", "references", "forget", "restore", "update", "unrelate"])
            text = f"memory{ids.index(one)} about {chance.choice(['pelicans', 'teapots'])} {chance.random()}"
            await change(what, one, other, text)

    await asyncio.gather(*(write(number) for number in range(6)))
    await assert_vectors_are_true(past_scopes, "acme")


@pytest.mark.long
async def test_what_was_committed_is_recalled_at_once_whatever_others_write(search: str) -> None:
    done = asyncio.Event()

    async def write(number: int) -> None:
        count = 0
        while not done.is_set():
            async with guild.tenant_scope("acme", agent_id=f"writer{number}"):
                await guild.remember(f"noise {number} {count}", source_type="document")
            count += 1

    async def read() -> None:
        for number in range(40):
            async with guild.tenant_scope("acme", agent_id="reader"):
                stored = await guild.remember(f"needle{number} in the haystack", source_type="document")
            async with guild.tenant_scope("acme"):
                best = (await guild.recall(f"Where is needle{number}?"))[0]
            assert best.memory.memory_id == stored.memory.memory_id
        done.set()

    await asyncio.gather(read(), *(write(number) for number in range(3)))
