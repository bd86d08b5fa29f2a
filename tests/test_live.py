"""Querysets without forgotten memories: of the memories, and of the edges and embeddings that belong to them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from tortoise.query_utils import Prefetch

from memory_guild import admin_scope, forget, relate, remember, restore, tenant_scope
from memory_guild.errors import TenantNotSetError
from memory_guild.models import MemoryEmbedding, MemoryRecord, MemoryRelationship
from tests.databases import run_statement

pytestmark = pytest.mark.usefixtures("database")


async def three_in_a_row() -> list[MemoryRecord]:
    """Three memories, each related to the next, each with an embedding."""
    memories = [(await remember(text, source_type="document")).memory for text in ("one", "two", "three")]
    for memory, following in pairwise(memories):
        await relate(memory, following, "supports")
    for memory in memories:
        await MemoryEmbedding.create(memory=memory, vector_id=memory.content_text, embedding_model="small")
    return memories


async def live_rows() -> tuple[list[str], list[str], list[tuple[str, str]]]:
    memories, embeddings = await MemoryRecord.live(), await MemoryEmbedding.live()
    edges = await MemoryRelationship.live().prefetch_related("source_memory", "target_memory")
    return (
        sorted([memory.content_text for memory in memories]),
        sorted([embedding.vector_id for embedding in embeddings]),
        sorted([(edge.source_memory.content_text, edge.target_memory.content_text) for edge in edges]),
    )


@pytest.mark.parametrize("number", range(3))
async def test_what_belongs_to_a_forgotten_memory_is_not_live(number: int) -> None:
    texts = ["one", "three", "two"]
    async with tenant_scope("bolt", "scribe"):
        await three_in_a_row()
    async with tenant_scope("acme", "scribe"):
        memories = await three_in_a_row()
        everything = (texts, texts, [("one", "two"), ("two", "three")])
        assert await live_rows() == everything
        (forgotten,) = [memory for memory in memories if memory.content_text == texts[number]]
        await forget(forgotten)
        left = [text for text in texts if text != texts[number]]
        edges = [edge for edge in everything[2] if texts[number] not in edge]
        assert await live_rows() == (left, left, edges)
        assert await MemoryRecord.all().count() == 3  # other querysets return forgotten memories, too
        await restore(forgotten)
        assert await live_rows() == everything


async def test_a_memory_of_which_nobody_said_whether_it_is_forgotten_is_live(database_url: str) -> None:
    async with tenant_scope("acme", "scribe"):
        await three_in_a_row()
        before = await live_rows()
    await run_statement(database_url, "UPDATE memory_records SET is_deleted = NULL")
    async with tenant_scope("acme"):
        assert await live_rows() == before


async def test_relations_are_live_where_one_says_so() -> None:
    async with tenant_scope("acme", "scribe"):
        one, two, three = await three_in_a_row()
        await forget(three)
        (read,) = (
            await MemoryRecord.live()
            .filter(memory_id=two.memory_id)
            .prefetch_related(
                Prefetch("outgoing_edges", MemoryRelationship.live()),
                Prefetch("incoming_edges", MemoryRelationship.live().select_related("source_memory")),
            )
        )
        assert list(read.outgoing_edges) == []
        assert [edge.source_memory for edge in read.incoming_edges] == [one]
        assert await two.outgoing_edges.all().count() == 1  # as any queryset
        edges = (
            MemoryRelationship.live().filter(source_memory_id=one.memory_id).values_list("target_memory_id", flat=True)
        )
        assert await edges == [two.memory_id]


async def test_it_is_filtered_and_changed_as_any_queryset() -> None:
    async with tenant_scope("acme", "scribe"):
        one, two, _ = await three_in_a_row()
        await forget(two)
        assert await MemoryRecord.live().filter(content_text__in=["one", "two"]).exclude(source_type="external") == [
            one
        ]
        assert await MemoryRecord.live().update(metadata={"a": 1}) == 2
        assert await MemoryRecord.filter(metadata__contains={"a": 1}).count() == 2
        assert await MemoryRecord.live().get_or_none(memory_id=two.memory_id) is None


async def test_without_a_scope_nothing_is_read() -> None:
    for model in (MemoryRecord, MemoryEmbedding, MemoryRelationship):
        with pytest.raises(TenantNotSetError):
            await model.live()
    async with tenant_scope("acme", "scribe"):
        await three_in_a_row()
    async with admin_scope():
        assert await MemoryRecord.live().count() == 3
