"""Each NOT NULL column refuses NULL, and each other column takes it, through the models and in plain SQL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from memory_guild.database.engine import client
from memory_guild.errors import CheckError, IdentityError
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
from tests.rows import Write, columns_of, counts, through_bulk_create, through_model, through_sql, valid_row

REQUIRED = {
    MemoryRecord: ["memory_id", "agent_id", "tenant_id", "source_type", "content_text", "content_hash"],
    MemoryEmbedding: ["embedding_id", "memory_id", "vector_id", "embedding_model"],
    MemoryRelationship: ["relationship_id", "source_memory_id", "target_memory_id", "relationship_type"],
    DataSource: ["source_id", "source_name", "source_type"],
    MemoryAccessPolicy: ["policy_id", "policy_name", "policy_rules"],
}
OPTIONAL = {
    MemoryRecord: ["metadata", "created_at", "updated_at", "is_deleted", "deleted_at"],
    MemoryEmbedding: ["created_at"],
    MemoryRelationship: ["confidence_score", "created_at"],
    DataSource: ["source_uri", "is_active", "created_at", "last_ingestion_at", "metadata"],
    MemoryAccessPolicy: ["is_active", "created_at", "updated_at"],
}
FILLED_IN = {"memory_id", "embedding_id", "relationship_id", "source_id", "policy_id", "content_hash"}


def cases(columns: dict[Any, list[str]], *, without: Iterable[str] = ()) -> list[ParameterSet]:
    return [
        pytest.param(model, column, id=f"{model._meta.db_table}.{column}")
        for model, names in columns.items()
        for column in names
        if column not in without or (model is not MemoryRecord and column == "memory_id")
    ]


def refusal(column: str) -> Refusal:
    return Refusal(CheckError, "23502", f"{column}: is required and cannot be None", field=column)


# A guard refuses the change before the column's own rule is asked.
IDENTITY = Refusal(
    IdentityError,
    "23001",
    "the id and the tenant of a memory cannot be changed; store a new memory instead",
    constraint="memory_guild_identity_guard",
)


def test_every_column_is_covered() -> None:
    for model in MODELS:
        assert set(REQUIRED[model] + OPTIONAL[model]) == set(model._meta.db_fields)


@pytest.mark.parametrize("write", [through_model, through_bulk_create])
@pytest.mark.parametrize(("model", "column"), cases(REQUIRED, without={"content_hash"}))
async def test_model_refuses_none(model: type[StrictModel], column: str, write: Write) -> None:
    await assert_refused(write, model, {**await valid_row(model), column: None}, refusal(column))


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(("model", "column"), cases(REQUIRED, without=FILLED_IN))
async def test_column_left_out_is_refused(model: type[StrictModel], column: str, write: Write) -> None:
    row = await valid_row(model)
    del row[column]

    await assert_refused(write, model, row, refusal(column))


@pytest.mark.parametrize(("model", "column"), cases(REQUIRED))
async def test_database_refuses_null(model: type[StrictModel], column: str) -> None:
    await assert_refused(through_sql, model, {**await valid_row(model), column: None}, refusal(column))


@pytest.mark.parametrize(("model", "column"), cases(REQUIRED))
async def test_stored_value_cannot_become_null(model: type[StrictModel], column: str) -> None:
    stored = await model.create(**await valid_row(model))

    async def set_null(model: type[StrictModel], _: object) -> None:
        await client().execute_query(f"UPDATE {model._meta.db_table} SET {column} = NULL")

    never_changes = model is MemoryRecord and column in ("memory_id", "tenant_id")
    await assert_refused(set_null, model, {}, IDENTITY if never_changes else refusal(column))
    assert columns_of(await model.get(pk=stored.pk)) == columns_of(stored)


@pytest.mark.parametrize(("model", "column"), cases(REQUIRED, without=FILLED_IN))
async def test_model_refuses_none_when_a_row_is_changed(model: type[StrictModel], column: str) -> None:
    stored = await model.create(**await valid_row(model))
    before = getattr(stored, column)

    async def save(_: object, __: object) -> None:
        setattr(stored, column, None)
        await stored.save()

    await assert_refused(save, model, {}, refusal(column))
    assert getattr(await model.get(pk=stored.pk), column) == before


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(("model", "column"), cases(OPTIONAL))
async def test_other_columns_take_null(model: type[StrictModel], column: str, write: Write) -> None:
    row, before = {**await valid_row(model), column: None}, await counts()

    await write(model, row)

    (stored,) = await model.filter(**{f"{column}__isnull": True})
    assert getattr(stored, column) is None
    assert (await counts())[model._meta.db_table] == before[model._meta.db_table] + 1
