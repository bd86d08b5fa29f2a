"""Erasing takes words and vectors along, and tells an index outside PostgreSQL."""

from __future__ import annotations

import pytest

import memory_guild as guild
from tests.audit.test_erasing import left_of
from tests.search.words import Connection

VECTORS = "SELECT tenant_id, memory_id, embedding_model, embedding::text FROM memory_vectors ORDER BY 1, 2"


async def store(tenant_id: str) -> None:
    async with guild.tenant_scope(tenant_id, agent_id="scribe"):
        question = await guild.remember("Where is the pottery?", source_type="conversation")
        answer = await guild.remember("Downtown.", source_type="conversation")
        await guild.embeddings.attach([(question, [1, 0]), (answer, [0, 1])], model="mine")
        await guild.relate(answer, question, "follows")
        await guild.forget(await guild.remember("Nobody knows.", source_type="conversation"))


@pytest.mark.parametrize("is_mirrored", [False, True])
async def test_a_tenant_leaves_no_words_and_no_vectors(search: str, past_scopes: Connection, is_mirrored: bool) -> None:
    if is_mirrored:
        await past_scopes.execute("INSERT INTO memory_vector_indexes VALUES ('elsewhere')")
    await store("gone")
    await store("stays")
    await past_scopes.execute("SELECT memory_guild_recount_words('gone')")
    before = [row for row in await past_scopes.fetch(VECTORS) if row["tenant_id"] == "stays"]
    async with guild.admin_scope("the contract ended"):
        receipt = await guild.erase_tenant("gone")
    left = await left_of(past_scopes, "gone")
    assert left == ({"memory_vector_outbox": 2} if is_mirrored else {})
    assert await past_scopes.fetch(VECTORS) == before
    counts = {table: receipt.rows[table] for table in ("memory_records", "memory_own_vectors", "memory_vectors")}
    assert counts == {"memory_records": 3, "memory_own_vectors": 2, "memory_vectors": 2}
    assert receipt.rows["memory_words"] >= 2
    async with guild.tenant_scope("stays"):
        assert len(await guild.recall("pottery")) > 0


async def test_what_has_the_words_is_erased(search: str, past_scopes: Connection) -> None:
    await store("acme")
    async with guild.tenant_scope("acme"):
        receipt = await guild.erase_where(text="pottery")
        assert [memory.content_text for memory in await guild.find()] == ["Downtown."]
    assert (receipt.memories, receipt.rows["memory_words"], receipt.rows["memory_vectors"]) == (1, 1, 1)
