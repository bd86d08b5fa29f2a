from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest

from memory_guild import ingest
from memory_guild.errors import (
    CheckError,
    ConstraintError,
    HashCollisionError,
    InvalidInputError,
    MemoryGuildError,
    SelfReferenceError,
    TenantMismatchError,
    TenantNotSetError,
    UnknownMemoryError,
)
from memory_guild.ingest import Edge, Item, Stored, store_memories
from memory_guild.models import MemoryRecord, MemoryRelationship, hash_content
from memory_guild.serializers import MemoryRecordCreate, MemoryRelationshipCreate
from memory_guild.tenancy import tenant_scope
from memory_guild.types import RelationshipType, SourceType

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
SECRET = "the launch code is 0000"


def memory(text: str, **changed: Any) -> dict[str, Any]:
    return {
        "agent_id": "scribe",
        "tenant_id": "acme",
        "source_type": "document",
        "content_text": text,
        "metadata": {},
    } | changed


def edge(source: UUID, target: UUID, **changed: Any) -> dict[str, Any]:
    return {"source_memory_id": source, "target_memory_id": target, "relationship_type": "references"} | changed


async def store_edges(edges: Sequence[Edge]) -> int:
    async with tenant_scope("acme"):
        return await ingest.store_edges(edges)


async def three_memories() -> list[UUID]:
    return [stored.memory_id for stored in await store_memories([memory(text) for text in ("one", "two", "three")])]


class TestStoreMemories:
    async def test_every_column_arrives(self, tables: str) -> None:
        (stored,) = await store_memories([memory("héllo 'wörld' \U0001f40d", metadata={"a": [1, None, "ü"]})])
        record = await MemoryRecord.get(memory_id=stored.memory_id)
        assert stored.created
        assert (record.agent_id, record.tenant_id, record.source_type) == ("scribe", "acme", SourceType.DOCUMENT)
        assert record.content_text == "héllo 'wörld' \U0001f40d"
        assert record.content_hash == hash_content(record.content_text)
        assert record.metadata == {"a": [1, None, "ü"]}
        assert record.is_deleted is False
        assert record.created_at is not None
        assert record.created_at == record.updated_at

    async def test_takes_dicts_and_serializers_in_one_batch(self, tables: str) -> None:
        items: list[Item] = [memory("one"), MemoryRecordCreate(**memory("two", content_hash=hash_content("two")))]
        stored = await store_memories(items)
        assert [outcome.created for outcome in stored] == [True, True]
        texts = [(await MemoryRecord.get(memory_id=outcome.memory_id)).content_text for outcome in stored]
        assert texts == ["one", "two"]

    async def test_metadata_may_be_missing_or_none(self, tables: str) -> None:
        item = memory("one")
        del item["metadata"]
        first, second = await store_memories([item, memory("two", metadata=None)])
        assert (await MemoryRecord.get(memory_id=first.memory_id)).metadata == {}
        assert (await MemoryRecord.get(memory_id=second.memory_id)).metadata is None

    async def test_an_empty_batch(self, tables: str) -> None:
        assert await store_memories([]) == []
        assert await store_edges([]) == 0

    async def test_an_empty_text_is_a_memory(self, tables: str) -> None:
        (stored,) = await store_memories([memory("")])
        assert stored.created

    async def test_the_same_text_twice_in_a_batch_is_created_once(self, tables: str) -> None:
        one, two, one_again, one_more = await store_memories([memory(text) for text in ("one", "two", "one", "one")])
        assert (one.created, two.created) == (True, True)
        assert one_again == one_more == Stored(one.memory_id, created=False)
        assert await MemoryRecord.all().count() == 2

    async def test_a_stored_memory_is_found_and_left_as_it_is(self, tables: str) -> None:
        (before,) = await store_memories([memory("one", metadata={"kept": True})])
        old, new = await store_memories([memory("one", metadata={"kept": False}), memory("two")])
        assert old == Stored(before.memory_id, created=False)
        assert new.created
        record = await MemoryRecord.get(memory_id=before.memory_id)
        assert record.metadata == {"kept": True}
        assert record.updated_at == record.created_at

    async def test_a_forgotten_memory_stays_forgotten(self, tables: str, connection: Connection) -> None:
        (before,) = await store_memories([memory("one")])
        await connection.execute("UPDATE memory_records SET is_deleted = true, deleted_at = now()")
        row = await connection.fetchrow("SELECT * FROM memory_records")
        assert await store_memories([memory("one"), memory("one")]) == [Stored(before.memory_id, created=False)] * 2
        assert await connection.fetchrow("SELECT * FROM memory_records") == row

    async def test_agents_and_tenants_keep_their_own_copies(self, tables: str) -> None:
        items = [memory("one", agent_id=agent, tenant_id=tenant) for agent in "ab" for tenant in "yxz"]
        stored = await store_memories(items)
        assert all(outcome.created for outcome in stored)
        for item, outcome in zip(items, stored, strict=True):
            record = await MemoryRecord.get(memory_id=outcome.memory_id)
            assert (record.agent_id, record.tenant_id) == (item["agent_id"], item["tenant_id"])

    async def test_outcomes_are_in_the_order_of_the_items(self, tables: str, connection: Connection) -> None:
        chosen = random.Random(7)
        items = [
            memory(f"text {chosen.randrange(200)}", agent_id=chosen.choice("abc"), tenant_id=chosen.choice("xy"))
            for _ in range(1000)
        ]
        await store_memories(items[300:500])
        stored = await store_memories(items)
        assert {outcome.created for outcome in stored} == {True, False}
        await check_ids(connection, items, stored)

    async def test_inside_an_open_scope_it_is_a_part_of_it(self, tables: str) -> None:
        with pytest.raises(ZeroDivisionError):
            async with tenant_scope("acme"):
                await store_memories([memory("one")])
                with pytest.raises(InvalidInputError):
                    await store_memories([memory("two"), memory("three", agent_id="")])
                await store_memories([memory("four")])
                assert await MemoryRecord.all().count() == 2
                raise ZeroDivisionError
        assert await MemoryRecord.all().count() == 0

    async def test_inside_another_tenants_scope_nothing_is_stored(self, tables: str) -> None:
        async with tenant_scope("umbrella"):
            with pytest.raises(TenantMismatchError):
                await store_memories([memory("one")])
        assert await MemoryRecord.all().count() == 0


async def check_ids(connection: Connection, items: list[dict[str, Any]], stored: list[Stored]) -> None:
    rows = await connection.fetch("SELECT agent_id, tenant_id, content_text, memory_id FROM memory_records")
    ids = {(row["agent_id"], row["tenant_id"], row["content_text"]): row["memory_id"] for row in rows}
    assert len(ids) == len(rows)
    assert [outcome.memory_id for outcome in stored] == [
        ids[item["agent_id"], item["tenant_id"], item["content_text"]] for item in items
    ]


class TestConcurrency:
    async def test_overlapping_batches_in_every_order(self, tables: str, connection: Connection) -> None:
        """Unsorted, most of these would deadlock; with the lookup in the same statement, many would lose ids."""
        texts = [memory(f"text {number}", agent_id=f"agent {number % 3}") for number in range(300)]

        async def store(seed: int) -> tuple[list[dict[str, Any]], list[Stored]]:
            batch = random.Random(seed).sample(texts, 250)
            return batch, await store_memories(batch)

        results = await asyncio.gather(*(store(seed) for seed in range(20)))
        for batch, stored in results:
            await check_ids(connection, batch, stored)
        assert sum(outcome.created for _, stored in results for outcome in stored) == 300
        assert await connection.fetchval("SELECT count(*) FROM memory_records") == 300

    async def test_edges_in_every_order(self, tables: str, connection: Connection) -> None:
        stored = await store_memories([memory(f"text {number}") for number in range(20)])
        ids = [outcome.memory_id for outcome in stored]
        edges = [edge(source, target) for source in ids for target in ids if source != target]
        counts = await asyncio.gather(
            *(store_edges(random.Random(seed).sample(edges, len(edges))) for seed in range(20))
        )
        assert sum(counts) == len(edges)
        assert await connection.fetchval("SELECT count(*) FROM memory_relationships") == len(edges)

    async def test_waits_for_a_transaction_that_stores_the_same_text(self, tables: str, connection: Connection) -> None:
        transaction = connection.transaction()
        await transaction.start()
        memory_id = await insert(connection, "one")
        task = asyncio.create_task(store_memories([memory("one"), memory("two")]))
        done, _ = await asyncio.wait([task], timeout=0.2)
        assert not done
        await transaction.commit()
        one, two = await task
        assert one == Stored(memory_id, created=False)
        assert two.created


async def insert(connection: Connection, text: str, content_hash: str | None = None) -> UUID:
    memory_id: UUID = await connection.fetchval(
        "INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash)"
        " VALUES ('scribe', 'acme', 'document', $1, $2) RETURNING memory_id",
        text,
        content_hash or hash_content(text),
    )
    return memory_id


class TestRefusals:
    async def test_a_hash_collision_with_a_stored_text(self, tables: str, connection: Connection) -> None:
        await insert(connection, "another text", hash_content(SECRET))
        with pytest.raises(HashCollisionError) as caught:
            await store_memories([memory("before"), memory(SECRET), memory("zzz after")])
        assert caught.value.agent_id == "scribe"
        assert caught.value.content_hash == hash_content(SECRET)
        assert caught.value.constraint == "unique_content_hash"
        assert isinstance(caught.value, ConstraintError)
        assert SECRET not in str(caught.value)
        assert await MemoryRecord.all().count() == 1

    async def test_a_hash_collision_within_a_batch(self, tables: str) -> None:
        # Two texts with one MD5 are too long to write here: a serializer made without validation stands for one.
        colliding = MemoryRecordCreate.model_construct(**memory(SECRET, content_hash=hash_content("one")))
        with pytest.raises(HashCollisionError):
            await store_memories([memory("one"), colliding])
        assert await MemoryRecord.all().count() == 0

    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            ({"agent_id": ""}, "items[1].agent_id"),
            ({"tenant_id": "t" * 256}, "items[1].tenant_id"),
            ({"source_type": SECRET}, "items[1].source_type"),
            ({"content_text": None}, "items[1].content_text"),
            ({"content_text": f"{SECRET}\x00"}, "items[1].content_text"),
            ({"content_text": f"{SECRET}\ud800"}, "items[1].content_text"),
            ({"content_text": SECRET * 100_000}, "items[1].content_text"),
            ({"content_hash": "0" * 32}, "items[1].content_hash"),
            ({"metadata": {"a": float("nan")}}, "items[1].metadata.a"),
            ({"metadata": {"a": {SECRET}}}, "items[1].metadata.a"),
            ({"metadata": [SECRET]}, "items[1].metadata"),
            ({"is_deleted": True}, "items[1].is_deleted"),
        ],
    )
    async def test_a_bad_item_is_named_and_nothing_is_stored(
        self, tables: str, changed: dict[str, Any], field: str
    ) -> None:
        with pytest.raises(InvalidInputError) as caught:
            await store_memories([memory("good"), memory("text") | changed, memory("good too")])
        assert caught.value.field == field
        assert SECRET not in str(caught.value)
        assert await MemoryRecord.all().count() == 0

    @pytest.mark.parametrize("item", [None, 3, "text", ["agent_id"]])
    async def test_an_item_that_is_no_object(self, tables: str, item: Any) -> None:
        with pytest.raises(InvalidInputError, match=r"items\[0\]"):
            await store_memories([item])

    async def test_what_the_database_refuses_undoes_the_batch(self, tables: str) -> None:
        unchecked = MemoryRecordCreate.model_construct(**memory("two", source_type="rumour", content_hash=None))
        with pytest.raises(CheckError):
            await store_memories([memory("one"), unchecked])
        assert await MemoryRecord.all().count() == 0

    async def test_a_trigger_that_swallows_rows_is_an_error_and_no_endless_loop(
        self, tables: str, connection: Connection
    ) -> None:
        await connection.execute(
            "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
            "CREATE TRIGGER swallow BEFORE INSERT ON memory_records FOR EACH ROW EXECUTE FUNCTION swallow()"
        )
        with pytest.raises(ConstraintError, match="neither be stored nor be seen"):
            await store_memories([memory("one")])


class TestStoreEdges:
    async def test_every_column_arrives(self, tables: str) -> None:
        one, two, three = await three_memories()
        edges: list[Edge] = [
            edge(one, two, confidence_score=0.25),
            MemoryRelationshipCreate(**edge(two, three, relationship_type="supports")),
        ]
        assert await store_edges(edges) == 2
        first = await MemoryRelationship.get(source_memory_id=one)
        second = await MemoryRelationship.get(source_memory_id=two)
        assert (first.target_memory_id, first.relationship_type) == (two, RelationshipType.REFERENCES)
        assert (first.confidence_score, second.confidence_score) == (0.25, None)
        assert (second.target_memory_id, second.relationship_type) == (three, RelationshipType.SUPPORTS)

    async def test_an_edge_is_stored_once_and_keeps_its_confidence(self, tables: str) -> None:
        one, two, _ = await three_memories()
        first = edge(one, two, confidence_score=0.25)
        assert await store_edges([first, edge(one, two, confidence_score=0.75)]) == 1
        assert await store_edges([edge(one, two, confidence_score=1), edge(two, one)]) == 1
        assert (await MemoryRelationship.get(source_memory_id=one)).confidence_score == 0.25

    async def test_types_and_directions_are_different_edges(self, tables: str) -> None:
        one, two, _ = await three_memories()
        edges = [edge(*ids, relationship_type=kind) for ids in ((one, two), (two, one)) for kind in RelationshipType]
        assert await store_edges(edges) == 2 * len(RelationshipType)

    async def test_ids_may_be_text(self, tables: str) -> None:
        one, two, _ = await three_memories()
        assert await store_edges([{**edge(one, two), "source_memory_id": str(one)}, edge(one, two)]) == 1

    async def test_an_edge_to_itself(self, tables: str) -> None:
        one, two, _ = await three_memories()
        with pytest.raises(SelfReferenceError) as caught:
            await store_edges([edge(one, two), edge(two, two)])
        assert caught.value.field == "edges[1].target_memory_id"
        assert caught.value.constraint == "no_self_reference"
        assert await MemoryRelationship.all().count() == 0

    async def test_edges_need_a_scope(self, tables: str) -> None:
        one, two, _ = await three_memories()
        with pytest.raises(TenantNotSetError):
            await ingest.store_edges([edge(one, two)])

    async def test_an_edge_to_another_tenants_memory_is_one_to_a_missing_memory(self, tables: str) -> None:
        one, *_ = await three_memories()
        (strange,) = await store_memories([memory("one", tenant_id="umbrella")])
        with pytest.raises(UnknownMemoryError) as foreign:
            await store_edges([edge(one, strange.memory_id)])
        with pytest.raises(UnknownMemoryError) as missing:
            await store_edges([edge(one, uuid4())])
        assert (str(foreign.value), vars(foreign.value)) == (str(missing.value), vars(missing.value))

    @pytest.mark.parametrize(
        "ends", [lambda known: (known, uuid4()), lambda known: (uuid4(), known)], ids=["target", "source"]
    )
    async def test_an_edge_to_a_missing_memory(self, tables: str, ends: Callable[[UUID], tuple[UUID, UUID]]) -> None:
        one, two, _ = await three_memories()
        with pytest.raises(UnknownMemoryError):
            await store_edges([edge(one, two), edge(*ends(one))])
        assert await MemoryRelationship.all().count() == 0

    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            ({"confidence_score": 1.01}, "edges[1].confidence_score"),
            ({"confidence_score": float("nan")}, "edges[1].confidence_score"),
            ({"relationship_type": SECRET}, "edges[1].relationship_type"),
            ({"target_memory_id": SECRET}, "edges[1].target_memory_id"),
            ({"relationship_id": uuid4()}, "edges[1].relationship_id"),
        ],
    )
    async def test_a_bad_edge_is_named_and_nothing_is_stored(
        self, tables: str, changed: dict[str, Any], field: str
    ) -> None:
        one, two, three = await three_memories()
        with pytest.raises(MemoryGuildError) as caught:
            await store_edges([edge(one, two), edge(two, three) | changed])
        assert isinstance(caught.value, InvalidInputError)
        assert caught.value.field == field
        assert SECRET not in str(caught.value)
        assert await MemoryRelationship.all().count() == 0
