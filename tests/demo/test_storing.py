"""The corpus as stored memories and edges."""

from __future__ import annotations

from typing import TypeAlias

import asyncpg
import pytest

from memory_guild import demo as python_docs
from memory_guild.demo import Passage, find_references
from memory_guild.errors import CheckError
from memory_guild.memories.reading import find
from memory_guild.models import MemoryRecord, MemoryRelationship
from memory_guild.tenancy import tenant_scope
from memory_guild.types import SourceType

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.mark.long
async def test_what_is_stored(tables: str, small: python_docs.Corpus) -> None:
    stored = await python_docs.store(small)
    assert stored.stored == await MemoryRecord.all().count()
    assert stored.stored + stored.merged == len(small.passages)
    assert stored.merged > 10
    assert stored.already_there == 0
    assert stored.edges == stored.new_edges == await MemoryRelationship.all().count()
    record = await MemoryRecord.get(memory_id=stored.memory_ids["asyncio.Queue"])
    assert (record.agent_id, record.tenant_id, record.source_type) == (
        "asyncio",
        python_docs.TENANT_ID,
        SourceType.DOCUMENT,
    )
    assert record.metadata == {"subject": "asyncio.Queue", "module": "asyncio", "kind": "class"}


@pytest.mark.long
async def test_every_subject_leads_to_its_text(tables: str, small: python_docs.Corpus) -> None:
    stored = await python_docs.store(small)
    texts = {record.memory_id: (record.agent_id, record.content_text) for record in await MemoryRecord.all()}
    for passage in small.passages:
        assert texts[stored.memory_ids[passage.subject]] == (passage.agent_id, passage.text)


async def test_edges_follow_merged_memories(tables: str) -> None:
    same = "The same text, which names f_new() and f_old()."
    texts = [
        Passage("shop", "shop", "module", "See shop.f_old."),
        Passage("shop.f_new", "shop", "function", same),
        Passage("shop.f_old", "shop", "function", same),
    ]
    corpus = python_docs.Corpus(texts, find_references(texts), has_topics=False)
    assert len(corpus.references) == 3
    stored = await python_docs.store(corpus)
    assert (stored.stored, stored.merged, stored.edges) == (2, 1, 1)
    assert stored.memory_ids["shop.f_new"] == stored.memory_ids["shop.f_old"]
    edge = await MemoryRelationship.get()
    assert edge.source_memory_id == stored.memory_ids["shop"]
    assert edge.target_memory_id == stored.memory_ids["shop.f_old"]
    assert edge.confidence_score == 1.0


async def test_a_second_run_stores_nothing(tables: str, small: python_docs.Corpus) -> None:
    first = await python_docs.store(small)
    again = await python_docs.store(small)
    assert again.memory_ids == first.memory_ids
    assert (again.stored, again.new_edges, again.already_there) == (0, 0, first.stored)
    assert (again.merged, again.edges) == (first.merged, first.edges)


async def test_progress_rises_to_the_number_of_passages_and_references(tables: str, small: python_docs.Corpus) -> None:
    done: list[int] = []
    await python_docs.store(small, progress=done.append)
    assert done == sorted(set(done))
    assert len(small.passages) in done
    assert done[-1] == len(small.passages) + len(small.references)


async def test_all_or_nothing(tables: str, connection: Connection, small: python_docs.Corpus) -> None:
    """The edges come last: where they are refused, the memories are not kept either."""
    await connection.execute("ALTER TABLE memory_relationships ADD CHECK (confidence_score < 1)")
    with pytest.raises(CheckError):
        await python_docs.store(small)
    assert await MemoryRecord.all().count() == await MemoryRelationship.all().count() == 0


async def test_a_forgotten_passage_stays_forgotten(
    tables: str, connection: Connection, small: python_docs.Corpus
) -> None:
    first = await python_docs.store(small)
    await connection.execute("UPDATE memory_records SET is_deleted = true WHERE agent_id = 'asyncio'")
    again = await python_docs.store(small)
    assert (again.stored, again.new_edges, again.already_there) == (0, 0, first.stored)
    assert await connection.fetchval("SELECT bool_and(is_deleted) FROM memory_records WHERE agent_id = 'asyncio'")


async def test_the_newest_is_the_last_passage(tables: str) -> None:
    passages = [Passage(f"shop.f_{number}", "shop", "function", f"Text {number}.") for number in range(20)]
    await python_docs.store(python_docs.Corpus(passages, [], has_topics=False))
    async with tenant_scope(python_docs.TENANT_ID):
        page = await find(limit=3)
    assert [memory.content_text for memory in page.memories] == ["Text 19.", "Text 18.", "Text 17."]
