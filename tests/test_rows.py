"""The one mechanism behind the verbs: fixed statements, whose models are those that querysets return."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import pytest
from asyncpg import InternalClientError
from tortoise.exceptions import OperationalError
from tortoise.transactions import in_transaction

from memory_guild.database.scope import Scope
from memory_guild.errors import ScopeAbortedError, ServerUnreachableError, StatementCanceledError
from memory_guild.memories.reading import count, find, find_all, get, get_many
from memory_guild.memories.relations import fetch_relations
from memory_guild.models import MemoryEmbedding, MemoryRecord, MemoryRelationship
from memory_guild.serializers import (
    MemoryEmbeddingRead,
    MemoryRecordRead,
    MemoryRecordWithRelationsRead,
    MemoryRelationshipRead,
)
from memory_guild.tenancy import tenant_scope
from memory_guild.types import RelationshipType, SourceType
from tests.databases import run_statement
from tests.memories.reading import READS, Read, Undone
from tests.tenancy.two_tenants import ACME_1, ACME_2, ROWS

if TYPE_CHECKING:
    from tests.memories.reading import Connection

UNUSUAL = """
UPDATE memory_records SET metadata = '{"page": 3.5, "tags": ["a", {"b": null}], "größe": "😀"}'
WHERE memory_id = '00000000-0000-0000-0000-0000000000a1';
UPDATE memory_records SET metadata = NULL, created_at = NULL, updated_at = NULL, is_deleted = NULL
WHERE memory_id = '00000000-0000-0000-0000-0000000000a2';
UPDATE memory_relationships SET confidence_score = 0.25
WHERE source_memory_id = '00000000-0000-0000-0000-0000000000a1';
"""


@pytest.fixture
async def rows(database: str) -> None:
    """Connected to a database of two tenants, some of whose columns are unusual."""
    await run_statement(database, ROWS + UNUSUAL)


@pytest.mark.parametrize("memory_id", [ACME_1, ACME_2])
async def test_a_memory_is_the_one_that_a_queryset_returns(rows: None, memory_id: str) -> None:
    async with tenant_scope("acme"):
        expected = vars(await MemoryRecord.get(memory_id=memory_id))

        assert vars(await get(memory_id)) == expected
        assert vars((await get_many([memory_id])).memories[0]) == expected
        for memories in ((await find()).memories, [memory async for memory in find_all()]):
            (memory,) = [memory for memory in memories if str(memory.memory_id) == memory_id]
            assert vars(memory) == expected


async def test_embeddings_and_edges_are_those_that_querysets_return(rows: None) -> None:
    async with tenant_scope("acme"):
        source, target = (await get_many([ACME_1, ACME_2])).memories
        await fetch_relations([source, target])
        embedding, edge = await MemoryEmbedding.get(memory_id=ACME_1), await MemoryRelationship.get()

        assert [vars(found) for found in source.embeddings] == [vars(embedding)]
        assert [vars(found) for found in source.outgoing_edges] == [vars(edge)]
        assert [vars(found) for found in target.incoming_edges] == [vars(edge)]


async def test_enums_are_members_and_json_is_decoded(rows: None) -> None:
    async with tenant_scope("acme"):
        memory = await get(ACME_1)
        await fetch_relations([memory])

    assert memory.source_type is SourceType.DOCUMENT
    assert memory.outgoing_edges[0].relationship_type is RelationshipType.SUPPORTS
    assert memory.outgoing_edges[0].confidence_score == 0.25
    assert memory.metadata == {"page": 3.5, "tags": ["a", {"b": None}], "größe": "😀"}
    assert memory.updated_at is not None
    assert memory.updated_at.tzinfo is UTC


async def test_a_memory_can_be_changed_and_saved(rows: None) -> None:
    async with tenant_scope("acme"):
        memory = await get(ACME_1)
        memory.content_text = "a new text"
        memory.metadata = {"page": 4}
        await memory.save()

        again = await MemoryRecord.get(memory_id=ACME_1)
        assert (again.content_text, again.metadata) == ("a new text", {"page": 4})
        assert again.content_hash == memory.content_hash
        assert await MemoryRecord.all().count() == 3


async def test_an_edge_and_an_embedding_can_be_changed_and_saved(rows: None) -> None:
    async with tenant_scope("acme"):
        memory = await get(ACME_1)
        await fetch_relations([memory])
        edge, embedding = memory.outgoing_edges[0], memory.embeddings[0]
        edge.confidence_score = 0.75
        embedding.vector_id = "elsewhere"
        await edge.save()
        await embedding.save()

        assert (await MemoryRelationship.get()).confidence_score == 0.75
        assert (await MemoryEmbedding.get()).vector_id == "elsewhere"
        assert (await edge.source_memory) == memory
        assert (await embedding.memory) == memory


async def test_a_memory_can_be_refreshed_and_deleted_and_reach_its_relations(rows: None) -> None:
    async with tenant_scope("acme"):
        memory = await get(ACME_1)
        await MemoryRecord.filter(memory_id=ACME_1).update(source_type="external")
        await memory.refresh_from_db()
        assert memory.source_type is SourceType.EXTERNAL

        await memory.fetch_related("embeddings", "outgoing_edges")
        assert [embedding.vector_id for embedding in memory.embeddings] == ["acme-1"]
        assert await memory.outgoing_edges.all().count() == 1

        await memory.delete()
        assert await MemoryRecord.get_or_none(memory_id=ACME_1) is None


async def test_models_are_equal_and_hashed_by_their_ids(rows: None) -> None:
    async with tenant_scope("acme"):
        assert {await get(ACME_1), await MemoryRecord.get(memory_id=ACME_1), await get(ACME_2)} == {
            await get(ACME_1),
            await get(ACME_2),
        }


@pytest.mark.parametrize("memory_id", [ACME_1, ACME_2])
async def test_the_serializers_read_them(rows: None, memory_id: str) -> None:
    async with tenant_scope("acme"):
        memory = await get(memory_id)
        await fetch_relations([memory])
        expected = await MemoryRecord.get(memory_id=memory_id).prefetch_related(
            "embeddings", "outgoing_edges", "incoming_edges"
        )

    def dumped(memory: MemoryRecord) -> list[Any]:
        return [
            MemoryRecordRead.model_validate(memory).model_dump(),
            MemoryRecordWithRelationsRead.model_validate(memory).model_dump_json(),
            *(MemoryEmbeddingRead.model_validate(embedding).model_dump() for embedding in memory.embeddings),
            *(MemoryRelationshipRead.model_validate(edge).model_dump_json() for edge in memory.outgoing_edges),
        ]

    assert dumped(memory) == dumped(expected)
    assert len(dumped(memory)) == (4 if memory_id == ACME_1 else 2)


async def test_a_statement_sees_what_the_scope_has_written(database: str) -> None:
    async with tenant_scope("acme", "agent-1"):
        memory = await MemoryRecord.create(source_type="document", content_text="just stored")

        assert (await get(memory)).content_text == "just stored"


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_after_an_error_that_was_caught_the_scope_says_so(rows: None, read: Read) -> None:
    async with tenant_scope("acme"):
        memory = await get(ACME_1)

    with pytest.raises(ScopeAbortedError, match="rolled back"):
        async with tenant_scope("acme") as scope:
            with pytest.raises(OperationalError):
                await scope.transaction.execute_script("SELECT 1 / 0")
            with pytest.raises(ScopeAbortedError, match="earlier statement"):
                await read(memory)


async def test_a_connection_that_breaks_between_two_statements_is_our_error(rows: None) -> None:
    """The driver then finds itself in a state that it does not expect; what it would do next nobody knows."""
    with pytest.raises(ServerUnreachableError):
        async with tenant_scope("acme") as scope:
            with pytest.raises(ServerUnreachableError, match="run it again"):
                async with scope.transaction.driver():
                    raise InternalClientError("cannot switch to state")
            assert not scope.transaction.session.is_alive


async def test_a_statement_that_takes_too_long_is_our_error(rows: None, connection: Connection) -> None:
    """Also where it is the cursor that waits: here for a lock that somebody else holds."""
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("LOCK TABLE memory_records")
    for read in (READS["count"], READS["find_all"]):
        with pytest.raises(StatementCanceledError):
            async with tenant_scope("acme") as scope:
                await scope.transaction.execute_script("SET LOCAL statement_timeout = 50")
                await read(MemoryRecord())
    await transaction.rollback()


async def test_what_a_savepoint_set_for_plans_is_set_again_after_it_is_undone(rows: None) -> None:
    async with tenant_scope("acme") as scope:
        for undone in (in_transaction(), tenant_scope("acme")):
            with pytest.raises(Undone):
                async with undone:
                    await count()
                    raise Undone
            assert await mode_of(scope) == "auto"
        with pytest.raises(Undone):
            async with in_transaction():
                await MemoryRecord.all().count()
                raise Undone
        assert await mode_of(scope) == "auto"

        await get(ACME_1)
        await count()
        assert await mode_of(scope) == "force_custom_plan"


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_lists_are_planned_for_the_values_at_hand(rows: None, read: Read) -> None:
    async with tenant_scope("acme") as scope:
        memory = await get(ACME_1)
        assert await mode_of(scope) == "auto"
        await read(memory)
        is_list = read in (READS["find"], READS["find_all"], READS["count"])
        assert await mode_of(scope) == ("force_custom_plan" if is_list else "auto")


async def mode_of(scope: Scope) -> str:
    mode: str = await scope.transaction.session.connection.fetchval("SELECT current_setting('plan_cache_mode')")
    return mode
