"""Memories with their embeddings and edges, in a fixed number of statements."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest
from tortoise.exceptions import NoValuesFetched

from memory_guild.database.connecting import connect
from memory_guild.errors import InvalidInputError, MemoryGuildError
from memory_guild.memories.forgetting import forget
from memory_guild.memories.reading import find, get, get_many
from memory_guild.memories.relations import _relate, fetch_relations
from memory_guild.models import MemoryEmbedding, MemoryRecord
from memory_guild.rows import memories_from
from memory_guild.tenancy import tenant_scope
from memory_guild.types import RELATIONS
from tests.databases import copied_database, run_statement
from tests.memories.reading import Undone, ids_of, statements_of

# Memory n has n % 3 embeddings and n % 4 outgoing edges, but the last ones have none; a stranger has some too.
GRAPH = """
INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash, created_at)
SELECT 'agent-1', CASE WHEN n <= 40 THEN 'acme' ELSE 'bolt' END, 'document', n, md5(n::text),
       '2020-01-01'::timestamptz + n * interval '1 min'
FROM generate_series(1, 50) AS n;
INSERT INTO memory_embeddings (memory_id, vector_id, embedding_model)
SELECT memory_id, content_text, 'model-' || m
FROM memory_records, generate_series(content_text::int % 3, 1, -1) AS m
WHERE content_text::int NOT BETWEEN 30 AND 40;
INSERT INTO memory_relationships
    (source_memory_id, target_memory_id, relationship_type, confidence_score, created_at)
SELECT source.memory_id, target.memory_id, CASE m WHEN 1 THEN 'supports' ELSE 'related' END, m / 10.0,
       '2021-01-01'::timestamptz - m * interval '1 s'
FROM memory_records AS source, generate_series(1, source.content_text::int % 4) AS m, memory_records AS target
WHERE target.content_text::int = source.content_text::int - m AND target.tenant_id = source.tenant_id
    AND source.content_text::int < 30;
"""


@pytest.fixture(scope="module")
def graph_url(server_url: str, template: str) -> Iterator[str]:
    with copied_database(server_url, template, GRAPH) as url:
        yield url


@pytest.fixture
async def graph(graph_url: str) -> AsyncIterator[None]:
    async with connect(graph_url, check_schema=False):
        yield


def related(memories: list[MemoryRecord]) -> list[dict[str, list[dict[str, Any]]]]:
    """Every attribute of every related row, memory by memory, in an order that does not depend on the statement."""
    return [
        {name: [vars(row) for row in sorted(getattr(memory, name), key=lambda row: row.pk)] for name in RELATIONS}
        for memory in memories
    ]


def test_the_relations_are_those_of_the_model() -> None:
    assert set(RELATIONS) == MemoryRecord._meta.backward_fk_fields


@pytest.mark.parametrize("limit", [1, 40])
async def test_one_statement_for_each_relation_however_many_memories(graph: None, limit: int) -> None:
    async with tenant_scope("acme") as scope:
        memories = (await find(limit=limit)).memories
        async with statements_of(scope) as alone:
            await fetch_relations(memories)
        async with statements_of(scope) as first:
            await find(limit=limit)
        async with statements_of(scope) as along:
            await find(limit=limit, relations=RELATIONS)
        async with statements_of(scope) as by_id:
            await get_many(memories, relations=RELATIONS)
        async with statements_of(scope) as one:
            await fetch_relations(memories, ["embeddings"])

    assert len(memories) == limit
    assert (len(alone), len(along) - len(first), len(by_id), len(one)) == (3, 3, 4, 1)


async def test_they_are_what_prefetch_related_brings(graph: None) -> None:
    async with tenant_scope("acme"):
        expected = await MemoryRecord.all().prefetch_related(*RELATIONS).order_by("-created_at")
        found = (await find(limit=100, relations=RELATIONS)).memories
        by_id = (await get_many(found, relations=iter(RELATIONS))).memories

    assert found == by_id == expected
    assert related(found) == related(by_id) == related(expected)
    assert {len(memory.embeddings) for memory in found} == {0, 1, 2}
    assert {len(memory.outgoing_edges) for memory in found} == {0, 1, 2, 3}
    assert max(len(memory.incoming_edges) for memory in found) == 3


async def test_they_come_in_an_order(graph: None) -> None:
    async with tenant_scope("acme"):
        memories = (await find(relations=RELATIONS)).memories

    for memory in memories:
        models = [embedding.embedding_model for embedding in memory.embeddings]
        assert models == sorted(models)
        for edges in (memory.outgoing_edges, memory.incoming_edges):
            positions = [(edge.created_at, edge.relationship_id) for edge in edges]
            assert positions == sorted(positions)


async def test_a_memory_without_any_has_empty_lists(graph: None) -> None:
    async with tenant_scope("acme"):
        (memory,) = (await find(limit=1)).memories
        await fetch_relations([memory])

        for name in RELATIONS:
            assert list(getattr(memory, name)) == []


async def test_what_was_not_asked_for_is_not_there(graph: None) -> None:
    async with tenant_scope("acme"):
        (memory,) = (await find(limit=1, relations=["embeddings"])).memories

    assert list(memory.embeddings) == []
    with pytest.raises(NoValuesFetched):
        len(memory.outgoing_edges)


async def test_a_memory_that_is_named_twice_has_them_twice(graph: None) -> None:
    async with tenant_scope("acme"):
        oldest = (await find(limit=100)).memories[-2]
        again = await get(oldest)
        await fetch_relations([oldest, again])
        twice = (await get_many([oldest, oldest], relations=["embeddings"])).memories

    assert len(oldest.embeddings) == len(again.embeddings) == len(twice[0].embeddings) == 2
    assert len(twice) == 2


async def test_fetching_again_brings_what_is_new(database: str) -> None:
    async with tenant_scope("acme", "agent-1"):
        memory = await MemoryRecord.create(source_type="document", content_text="text")
        await fetch_relations([memory])
        assert list(memory.embeddings) == []
        await MemoryEmbedding.create(memory=memory, vector_id="1", embedding_model="small")

        await fetch_relations((memory,))

    assert [embedding.vector_id for embedding in memory.embeddings] == ["1"]


async def test_edges_of_forgotten_memories_are_read_too(graph: None) -> None:
    with pytest.raises(Undone):
        async with tenant_scope("acme"):
            by_text = {memory.content_text: memory for memory in (await find(limit=100)).memories}
            await forget(by_text["1"], by_text["2"])
            await fetch_relations([by_text["1"], by_text["3"]])

            assert by_text["3"].memory_id in [edge.source_memory_id for edge in by_text["1"].incoming_edges]
            assert {edge.target_memory_id for edge in by_text["3"].outgoing_edges} == {
                by_text["1"].memory_id,
                by_text["2"].memory_id,
            }
            raise Undone


async def test_nothing_is_sent_for_no_memories_or_no_relations(graph: None) -> None:
    async with tenant_scope("acme") as scope:
        memories = (await find(limit=1)).memories
        async with statements_of(scope) as sent:
            await fetch_relations([])
            await fetch_relations(memories, ())

    assert sent == []


@pytest.mark.parametrize("relations", [["embedding"], ["embeddings", "memory"], "embeddings", [None]])
async def test_an_unknown_relation_is_refused(graph: None, relations: Any) -> None:
    async with tenant_scope("acme"):
        memories = ids_of((await find(limit=1)).memories)
        for read in (
            lambda: fetch_relations([], relations),
            lambda: find(relations=relations),
            lambda: get_many(memories, relations=relations),
        ):
            with pytest.raises(InvalidInputError, match="embeddings, outgoing_edges, incoming_edges") as caught:
                await read()
            assert caught.value.field == "relations"


async def test_any_iterable_of_memories_and_nothing_else(graph: None) -> None:
    async with tenant_scope("acme"):
        memories = (await find(limit=3)).memories
        await fetch_relations(memory for memory in memories)
        assert related(memories) == related((await find(limit=3, relations=RELATIONS)).memories)
        nothing: Any = None
        for refused in (fetch_relations(nothing), get_many(nothing)):
            with pytest.raises(InvalidInputError, match="memories: must be an iterable, not NoneType"):
                await refused
        with pytest.raises(InvalidInputError, match="relations: must be an iterable, not NoneType"):
            await find(relations=nothing)


async def test_models_are_made_while_the_server_reads_the_next_relation(
    graph: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_reading: list[bool] = []

    async with tenant_scope("acme") as scope:

        def watched_memories(rows: Any) -> list[MemoryRecord]:
            is_reading.append(scope.transaction._lock.locked())
            return memories_from(rows)

        def watched_relation(*arguments: Any) -> None:
            is_reading.append(scope.transaction._lock.locked())
            _relate(*arguments)

        monkeypatch.setattr("memory_guild.memories.relations.memories_from", watched_memories)
        monkeypatch.setattr("memory_guild.memories.relations._relate", watched_relation)
        await find(limit=40, relations=RELATIONS)

    assert is_reading == [True, True, True, False]  # the memories, and three relations of which the last is read


async def test_memories_whose_ids_are_text_get_their_relations(graph: None) -> None:
    async with tenant_scope("acme"):
        there = (await find(limit=40, relations=RELATIONS)).memories
        by_text = (await find(limit=40)).memories
        for memory in by_text:
            memory.memory_id = str(memory.memory_id)  # type: ignore[assignment]
        await fetch_relations(by_text)

    assert any(memory.embeddings for memory in there)
    assert related(by_text) == related(there)


async def test_a_memory_that_is_not_stored_has_no_relations_to_read(graph: None) -> None:
    async with tenant_scope("acme") as scope:
        memories = [*(await find(limit=1)).memories, MemoryRecord(content_text="not stored")]
        async with statements_of(scope) as sent:
            with pytest.raises(InvalidInputError) as caught:
                await fetch_relations(memories)

    assert (caught.value.field, sent) == ("memories[1]", [])


def running_reads() -> list[asyncio.Task[Any]]:
    """The statements that tasks of their own are at."""
    return [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__qualname__", "") == "Statement.fetch"]


async def test_a_call_that_is_cancelled_leaves_nothing_running(graph: None) -> None:
    async def read() -> None:
        async with tenant_scope("acme"):
            memories = (await find(limit=40)).memories
            call = asyncio.create_task(fetch_relations(memories))
            for _ in range(3):
                await asyncio.sleep(0)
            assert len(running_reads()) == len(RELATIONS)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert running_reads() == []
            await find()

    with suppress(MemoryGuildError):  # where the server had not answered yet, the scope has failed
        await read()


async def test_a_server_that_goes_away_leaves_nothing_running(
    graph: None, graph_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def read() -> None:
        async with tenant_scope("acme") as scope:
            memories = (await find(limit=40)).memories
            pid = scope.transaction.session.connection.get_server_pid()
            await run_statement(graph_url, f"SELECT pg_terminate_backend({pid}, 5000)")
            await fetch_relations(memories)

    with pytest.raises(MemoryGuildError):
        await read()
    assert running_reads() == []
    gc.collect()
    assert "never retrieved" not in caplog.text  # the errors of the reads that nobody waited for
