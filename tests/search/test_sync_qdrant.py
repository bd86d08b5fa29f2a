"""The same with Qdrant's own library as the store."""

from __future__ import annotations

import pytest

import memory_guild as guild
from memory_guild.search import worker
from memory_guild.search.vectors import QdrantIndex
from tests.search.indexes import FaultyIndex
from tests.search.test_sync_faults import go_through
from tests.search.words import Connection


async def test_after_all_kinds_of_faults_qdrant_is_equal_without_a_sweep(
    search_url: str, past_scopes: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_VECTOR_TIMEOUT_SECONDS", "0.5")
    monkeypatch.setenv("MEMORY_GUILD_VECTOR_FENCE_SECONDS", "0.3")
    monkeypatch.setattr(worker, "_FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(worker, "_LONGEST_PAUSE_SECONDS", 0.5)
    qdrant = QdrantIndex(":memory:")
    async with guild.connect(search_url):
        index = FaultyIndex(qdrant, share=0.05, late_seconds=0.1, seed=3)
        found = await go_through(index, past_scopes, 400)
    await qdrant.close()
    assert sum(index.happened.values())
    assert (found.orphans, found.missing, found.stale) == (0, 0, 0)


async def recalled(tenant_id: str) -> list[guild.MemoryRecord]:
    results = await guild.recall("Crimson?", vector=[1, 0], model="mine", tenant_id=tenant_id)
    return [result.memory for result in results]


async def test_recall_asks_qdrant_and_brings_nothing_back_that_is_forgotten(search_url: str) -> None:
    async with guild.connect(search_url, vector_index="qdrant::memory:"):
        async with guild.tenant_scope("acme", agent_id="scribe"):
            door = await guild.remember("The door is red.", source_type="document")
            gate = await guild.remember("The gate squeaks.", source_type="document")
            await guild.embeddings.attach([(door, [1, 0]), (gate, [0.9, 0.1])], model="mine")
        assert (await guild.sync_vectors()).stored == 2

        assert await recalled("acme") == [door.memory, gate.memory]
        async with guild.tenant_scope("acme"):
            await guild.forget(door)
        assert await recalled("acme") == [gate.memory]
        assert await recalled("umbrella") == []
