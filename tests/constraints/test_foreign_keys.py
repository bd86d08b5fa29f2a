"""The foreign keys: a missing memory is refused, and a deleted one takes its embeddings and edges along."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID, uuid4

import pytest

from memory_guild.database.engine import client
from memory_guild.errors import IdentityError, UnknownMemoryError
from memory_guild.models import MemoryEmbedding, MemoryRecord, MemoryRelationship, StrictModel
from tests.constraints.refusals import WRITES, Refusal, assert_refused
from tests.rows import Row, Write, stored_memory, through_model, valid_row

KEYS: list[tuple[type[StrictModel], str]] = [
    (MemoryEmbedding, "memory_id"),
    (MemoryRelationship, "source_memory_id"),
    (MemoryRelationship, "target_memory_id"),
]


def refusal(model: type[StrictModel], column: str) -> Refusal:
    return Refusal(
        UnknownMemoryError,
        "23503",
        "the memory does not exist; store it first, and check the id",
        f"{model._meta.db_table}_{column}_fkey",
    )


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(("model", "column"), KEYS)
async def test_missing_memory_is_refused(model: type[StrictModel], column: str, write: Write) -> None:
    row = {**await valid_row(model), column: uuid4()}

    await assert_refused(write, model, row, refusal(model, column))


@pytest.mark.parametrize(("model", "column"), KEYS)
async def test_stored_row_cannot_be_moved_to_a_missing_memory(model: type[StrictModel], column: str) -> None:
    stored = await model.create(**await valid_row(model))
    before = getattr(stored, column)

    async def move(_: object, row: Row) -> None:
        await stored.update_from_dict(row).save()

    await assert_refused(move, model, {column: uuid4()}, refusal(model, column))
    assert getattr(await model.get(pk=stored.pk), column) == before


@pytest.mark.parametrize("missing", [True, False], ids=["deleted", "garbage"])
async def test_deleted_memory_is_a_missing_one(missing: bool) -> None:
    memory_id = await stored_memory()
    await MemoryRecord.filter(memory_id=memory_id).delete()
    row = {**await valid_row(MemoryEmbedding), "memory_id": memory_id if missing else UUID(int=0)}

    await assert_refused(through_model, MemoryEmbedding, row, refusal(MemoryEmbedding, "memory_id"))


async def delete_instance(memory_id: UUID) -> None:
    await (await MemoryRecord.get(memory_id=memory_id)).delete()


async def delete_by_query(memory_id: UUID) -> None:
    assert await MemoryRecord.filter(memory_id=memory_id).delete() == 1


async def delete_in_sql(memory_id: UUID) -> None:
    await client().execute_query("DELETE FROM memory_records WHERE memory_id = $1", [memory_id])


@pytest.mark.parametrize("delete", [delete_instance, delete_by_query, delete_in_sql])
async def test_deleted_memory_takes_its_embeddings_and_edges_along(
    delete: Callable[[UUID], Coroutine[Any, Any, None]],
) -> None:
    memory_id, other_id, third_id = [await stored_memory() for _ in range(3)]
    for owner_id in (memory_id, other_id):
        for embedding_model in ("small", "large"):
            await MemoryEmbedding.create(memory_id=owner_id, vector_id="v", embedding_model=embedding_model)
    edges = {
        (source_id, target_id): await MemoryRelationship.create(
            source_memory_id=source_id, target_memory_id=target_id, relationship_type="follows"
        )
        for source_id, target_id in ((memory_id, other_id), (third_id, memory_id), (other_id, third_id))
    }

    await delete(memory_id)

    assert set(await MemoryRecord.all().values_list("memory_id", flat=True)) == {other_id, third_id}
    assert await MemoryEmbedding.all().values_list("memory_id", flat=True) == [other_id, other_id]
    assert await MemoryRelationship.all() == [edges[other_id, third_id]]


@pytest.mark.parametrize("model", [MemoryEmbedding, MemoryRelationship])
async def test_deleting_a_child_leaves_the_memories(model: type[StrictModel]) -> None:
    child = await model.create(**await valid_row(model))
    memories = await MemoryRecord.all().count()

    await child.delete()

    assert await MemoryRecord.all().count() == memories > 0
    assert await model.all().count() == 0


@pytest.mark.parametrize(("model", "column"), KEYS)
async def test_memory_that_is_referred_to_cannot_get_another_id(model: type[StrictModel], column: str) -> None:
    row = await valid_row(model)
    await model.create(**row)

    with pytest.raises(IdentityError) as caught:
        await client().execute_query(
            "UPDATE memory_records SET memory_id = gen_random_uuid() WHERE memory_id = $1", [row[column]]
        )
    assert caught.value.constraint == "memory_guild_identity_guard"
    assert await MemoryRecord.exists(memory_id=row[column])
