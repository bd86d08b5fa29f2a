"""A rolling upgrade: a later migration has added a column to each table, and this version of the package goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from memory_guild import (
    contradictions,
    count,
    find,
    find_all,
    forget,
    get,
    get_many,
    neighbors,
    path,
    relate,
    relate_many,
    remember,
    remember_many,
    restore,
    subgraph,
    supersede,
    tenant_scope,
    traverse,
    unrelate,
    update,
)
from memory_guild.database.connecting import connect
from memory_guild.models import MemoryEmbedding, MemoryRecord, MemoryRelationship
from memory_guild.types import RELATIONS
from tests.databases import run_statement
from tests.tenancy.two_tenants import ACME_1, ACME_2, ACME_3, ROWS

ADDED = """
ALTER TABLE memory_records ADD COLUMN importance float8 NOT NULL DEFAULT 0.5, ADD COLUMN tags jsonb;
ALTER TABLE memory_embeddings ADD COLUMN dimensions int NOT NULL DEFAULT 3;
ALTER TABLE memory_relationships ADD COLUMN notes jsonb DEFAULT '{}';
"""


@pytest.fixture
async def upgraded(database_url: str) -> AsyncIterator[None]:
    """Connected to a database that a later version has migrated, with rows of two tenants."""
    await run_statement(database_url, ADDED + ROWS)
    async with connect(database_url):
        yield


async def test_memories_are_read(upgraded: None) -> None:
    async with tenant_scope("acme"):
        expected = vars(await MemoryRecord.get(memory_id=ACME_1))

        assert vars(await get(ACME_1)) == expected
        assert vars((await get_many([ACME_1])).memories[0]) == expected
        found = (await find(relations=RELATIONS)).memories
        assert len(found) == len([memory async for memory in find_all()]) == await count() == 3
        (embedding,) = [embedding for memory in found for embedding in memory.embeddings]
        assert vars(embedding) == vars(await MemoryEmbedding.get())


async def test_memories_are_stored_and_changed(upgraded: None) -> None:
    async with tenant_scope("acme", agent_id="agent-1"):
        remembered = await remember("new", source_type="document")
        assert vars(remembered.memory) == vars(await MemoryRecord.get(content_text="new"))
        assert (await remember("new", source_type="document")).outcome == "existing"
        report = await remember_many({"source_type": "document", "content_text": text} for text in ("new", "newer"))
        assert [outcome.outcome for outcome in report] == ["existing", "created"]
        changed = await update(remembered.memory, content_text="newest")
        assert vars(changed) == vars(await MemoryRecord.get(content_text="newest"))
        assert await forget(changed) == await restore(changed) == 1


async def test_edges_are_stored_and_deleted(upgraded: None) -> None:
    async with tenant_scope("acme"):
        related = await relate(ACME_2, ACME_3, "contradicts", confidence_score=0.5)
        stored = vars(await MemoryRelationship.get(relationship_type="contradicts"))
        assert (related.created, vars(related.edge)) == (True, stored)
        assert vars((await relate(ACME_2, ACME_3, "contradicts")).edge) == stored
        edge = {"source_memory_id": ACME_2, "target_memory_id": ACME_3, "relationship_type": "contradicts"}
        assert [outcome.created for outcome in await relate_many([edge])] == [False]
        (contradiction,) = await contradictions()
        assert vars(contradiction.edge) == stored
        assert await unrelate(ACME_2, ACME_3) == 1


async def test_the_graph_is_walked(upgraded: None) -> None:
    async with tenant_scope("acme"):
        expected, stored = vars(await MemoryRecord.get(memory_id=ACME_2)), vars(await MemoryRelationship.get())

        (step,) = (await traverse(ACME_1)).steps
        assert (vars(step.memory), step.depth, step.confidence) == (expected, 1, 1)
        found = await path(ACME_1, ACME_2)
        assert found is not None
        assert vars(found.memories[1]) == expected
        (neighbor,) = await neighbors(ACME_1)
        assert (vars(neighbor.memory), vars(neighbor.edge)) == (expected, stored)
        drawing = await subgraph(ACME_1)
        assert (vars(drawing.memories[1]), vars(drawing.edges[0])) == (expected, stored)


async def test_a_version_is_superseded(upgraded: None) -> None:
    async with tenant_scope("acme"):
        newer = (await supersede(ACME_1, "a newer version")).memory
        assert [(found.memory, found.edge.relationship_type) for found in await neighbors(newer)] == [
            (await get(ACME_1), "follows")
        ]
