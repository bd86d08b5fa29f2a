"""The unique constraints and primary keys: the same key is refused, and a key that differs in any part is stored."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from memory_guild.database.engine import client
from memory_guild.errors import (
    DuplicateEmbeddingError,
    DuplicateError,
    DuplicateMemoryError,
    DuplicateNameError,
    DuplicateRelationshipError,
)
from memory_guild.models import (
    MODELS,
    DataSource,
    MemoryAccessPolicy,
    MemoryEmbedding,
    MemoryRecord,
    MemoryRelationship,
    StrictModel,
)
from tests.constraints.refusals import WRITES, Refusal, assert_refused
from tests.rows import (
    Row,
    Write,
    counts,
    stored_memory,
    through_model,
    through_sql,
    valid_row,
)

KEYS: dict[type[StrictModel], tuple[list[str], Refusal]] = {
    MemoryRecord: (
        ["agent_id", "tenant_id", "content_hash"],
        Refusal(
            DuplicateMemoryError,
            "23505",
            "this agent already has a memory with this content_hash; read that one instead of storing it again",
            "unique_content_hash",
        ),
    ),
    MemoryEmbedding: (
        ["memory_id", "embedding_model"],
        Refusal(
            DuplicateEmbeddingError,
            "23505",
            "this memory already has an embedding by this model; update its vector_id instead",
            "unique_memory_embedding",
        ),
    ),
    MemoryRelationship: (
        ["source_memory_id", "target_memory_id", "relationship_type"],
        Refusal(
            DuplicateRelationshipError,
            "23505",
            "the two memories already have an edge of this type in this direction; update that one instead",
            "unique_relationship",
        ),
    ),
    DataSource: (
        ["source_name"],
        Refusal(
            DuplicateNameError,
            "23505",
            "a data source with this name exists; choose another name",
            "data_sources_source_name_key",
        ),
    ),
    MemoryAccessPolicy: (
        ["policy_name"],
        Refusal(
            DuplicateNameError,
            "23505",
            "an access policy with this name exists; choose another name",
            "memory_access_policies_policy_name_key",
        ),
    ),
}


async def with_key_of(model: type[StrictModel], row: Row) -> Row:
    """Another valid row with the same unique key."""
    return {**await valid_row(model), **{column: row[column] for column in KEYS[model][0]}}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("model", MODELS)
async def test_same_key_is_refused(model: type[StrictModel], write: Write) -> None:
    row = await valid_row(model)
    await model.create(**row)

    await assert_refused(write, model, await with_key_of(model, row), KEYS[model][1])


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    ("model", "column"), [(model, column) for model, (columns, _) in KEYS.items() for column in columns]
)
async def test_key_that_differs_in_one_column_is_stored(model: type[StrictModel], column: str, write: Write) -> None:
    row = await valid_row(model)
    await model.create(**row)
    other: dict[str, Any] = {
        "agent_id": "agent-2",
        "tenant_id": "tenant-2",
        "content_hash": "0" * 32,
        "embedding_model": "large",
        "relationship_type": "follows",
        "source_name": "other",
        "policy_name": "other",
    }
    value = await stored_memory() if column.endswith("memory_id") else other[column]

    await write(model, {**await with_key_of(model, row), column: value})

    assert (await counts())[model._meta.db_table] >= 2


async def test_edge_in_the_other_direction_is_stored() -> None:
    row = await valid_row(MemoryRelationship)
    await MemoryRelationship.create(**row)

    turned = {"source_memory_id": row["target_memory_id"], "target_memory_id": row["source_memory_id"]}
    await MemoryRelationship.create(**{**row, **turned})

    assert await MemoryRelationship.all().count() == 2


@pytest.mark.parametrize(
    ("agent_id", "tenant_id"), [("agent-2", "tenant-1"), ("agent-1", "tenant-2"), ("agent-2", "tenant-2")]
)
async def test_same_text_is_kept_once_for_each_agent_of_each_tenant(agent_id: str, tenant_id: str) -> None:
    row = await valid_row(MemoryRecord)
    first = await MemoryRecord.create(**row)

    second = await MemoryRecord.create(**{**row, "agent_id": agent_id, "tenant_id": tenant_id})

    assert first.content_hash == second.content_hash
    assert first.memory_id != second.memory_id
    await assert_refused(
        through_model, MemoryRecord, {**row, "agent_id": agent_id, "tenant_id": tenant_id}, KEYS[MemoryRecord][1]
    )


async def test_forgotten_memory_still_holds_its_key() -> None:
    row = await valid_row(MemoryRecord)
    await MemoryRecord.create(**row, is_deleted=True)

    await assert_refused(through_model, MemoryRecord, row, KEYS[MemoryRecord][1])


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("model", MODELS)
async def test_same_primary_key_is_refused(model: type[StrictModel], write: Write) -> None:
    stored = await model.create(**await valid_row(model))
    expected = Refusal(DuplicateError, "23505", "a row with the same unique key exists", f"{model._meta.db_table}_pkey")

    await assert_refused(write, model, {**await valid_row(model), model._meta.pk_attr: stored.pk}, expected)


@pytest.mark.parametrize("model", MODELS)
async def test_row_cannot_be_changed_to_the_key_of_another(model: type[StrictModel]) -> None:
    first, second = await valid_row(model), await valid_row(model)
    await model.create(**first)
    stored = await model.create(**second)

    async def save(_: object, row: Row) -> None:
        await stored.update_from_dict(row).save()

    async def update(model: type[StrictModel], row: Row) -> None:
        await model.filter(pk=stored.pk).update(**row)

    key = {column: first[column] for column in KEYS[model][0]}
    for write in (save, update):
        await assert_refused(write, model, key, KEYS[model][1])
    unchanged = await model.get(pk=stored.pk)
    assert {column: getattr(unchanged, column) for column in key} == {column: second[column] for column in key}


async def test_only_one_of_two_concurrent_writers_stores_the_text() -> None:
    row = await valid_row(MemoryRecord)

    results = await asyncio.gather(*(MemoryRecord.create(**row) for _ in range(8)), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["DuplicateMemoryError"] * 7 + ["MemoryRecord"]
    assert await MemoryRecord.all().count() == 1


async def test_unknown_unique_constraint_is_a_plain_duplicate() -> None:
    await client().execute_script("CREATE TABLE own (id int CONSTRAINT own_key UNIQUE); INSERT INTO own VALUES (1)")
    try:
        with pytest.raises(DuplicateError) as caught:
            await client().execute_query("INSERT INTO own VALUES (1)")
    finally:
        await client().execute_script("DROP TABLE own")
    assert type(caught.value) is DuplicateError
    assert (caught.value.constraint, caught.value.table) == ("own_key", "own")


async def test_hash_is_all_that_the_database_compares() -> None:
    shared = {"agent_id": "agent-1", "tenant_id": "tenant-1", "source_type": "document", "content_hash": uuid4().hex}
    await through_sql(MemoryRecord, {**shared, "content_text": "one"})

    await assert_refused(through_sql, MemoryRecord, {**shared, "content_text": "two"}, KEYS[MemoryRecord][1])
