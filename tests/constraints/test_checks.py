"""The CHECKs: each value that they list or bound is stored, every other one is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from memory_guild.database.engine import client
from memory_guild.errors import CheckError, SelfReferenceError
from memory_guild.models import DataSource, MemoryRecord, MemoryRelationship, StrictModel
from tests.constraints.refusals import WRITES, Refusal, assert_refused
from tests.rows import Write, stored_memory, through_model, through_sql, valid_row

CHOICES: list[tuple[type[StrictModel], str, list[str]]] = [
    (MemoryRecord, "source_type", ["conversation", "tool_output", "document", "observation", "external"]),
    (MemoryRelationship, "relationship_type", ["references", "contradicts", "supports", "follows", "related"]),
    (DataSource, "source_type", ["api", "database", "file_system", "webhook", "manual"]),
]
ACCEPTED = [
    *(
        pytest.param(model, column, value, id=f"{model._meta.db_table}.{column}={value}")
        for model, column, values in CHOICES
        for value in values
    ),
    *(
        pytest.param(MemoryRelationship, "confidence_score", value, id=f"confidence_score={value}")
        for value in (0.0, 1.0, 0, 1, -0.0, 5e-324, 0.1, math.nextafter(1.0, 0.0), None)
    ),
]
NOT_CHOICES = ["", "Document", "DOCUMENT", " document", "document ", "api\n", "supports'", "x" * 50, "ünïcode"]
REFUSED = [
    *(
        pytest.param(model, column, value, id=f"{model._meta.db_table}.{column}={value!r}")
        for model, column, _ in CHOICES
        for value in NOT_CHOICES
    ),
    *(
        pytest.param(MemoryRelationship, "confidence_score", value, id=f"confidence_score={value}")
        for value in (-5e-324, -1.0, math.nextafter(1.0, 2.0), 2.0, math.nan, math.inf, -math.inf)
    ),
]


def refusal(model: type[StrictModel], column: str, write: Write) -> Refusal:
    constraint = f"{model._meta.db_table}_{column}_check"
    if write is through_sql:
        reason = f"is forbidden by the check {constraint}"
    elif column == "confidence_score":
        reason = "must be between 0 and 1"
    else:
        reason = "is not one of: " + ", ".join(next(values for kind, _, values in CHOICES if kind is model))
    return Refusal(CheckError, "23514", f"{column}: {reason}", constraint, column)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(("model", "column", "value"), ACCEPTED)
async def test_value_within_the_check_is_stored(
    model: type[StrictModel], column: str, value: Any, write: Write
) -> None:
    row = {**await valid_row(model), column: value}

    await write(model, row)

    (stored,) = await model.filter(**({f"{column}__isnull": True} if value is None else {column: value}))
    assert getattr(stored, column) == value


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(("model", "column", "value"), REFUSED)
async def test_value_outside_the_check_is_refused(
    model: type[StrictModel], column: str, value: Any, write: Write
) -> None:
    row = {**await valid_row(model), column: value}

    await assert_refused(write, model, row, refusal(model, column, write))


@pytest.mark.parametrize(("model", "column", "value"), REFUSED)
async def test_stored_row_cannot_be_changed_to_it(model: type[StrictModel], column: str, value: Any) -> None:
    stored = await model.create(**await valid_row(model))

    async def update(model: type[StrictModel], _: object) -> object:
        return await model.filter(pk=stored.pk).update(**{column: value})

    async def update_in_sql(model: type[StrictModel], _: object) -> object:
        return await client().execute_query(f"UPDATE {model._meta.db_table} SET {column} = $1", [value])

    await assert_refused(update, model, {}, refusal(model, column, through_model))
    await assert_refused(update_in_sql, model, {}, refusal(model, column, through_sql))
    assert getattr(await model.get(pk=stored.pk), column) == getattr(stored, column)


@pytest.mark.parametrize(
    "value", [5, ["document"], {"a": 1}, b"document", True], ids=["int", "list", "dict", "bytes", "bool"]
)
async def test_choice_of_another_type_is_refused(value: Any) -> None:
    row = {**await valid_row(MemoryRecord), "source_type": value}

    await assert_refused(through_model, MemoryRecord, row, refusal(MemoryRecord, "source_type", through_model))


SELF_REFERENCE = Refusal(
    SelfReferenceError,
    "23514",
    "target_memory_id: must not be the source; an edge connects two memories",
    "no_self_reference",
    "target_memory_id",
)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("relationship_type", ["references", "contradicts", "supports", "follows", "related"])
async def test_edge_to_itself_is_refused(relationship_type: str, write: Write) -> None:
    memory_id = await stored_memory()
    row = {"source_memory_id": memory_id, "target_memory_id": memory_id, "relationship_type": relationship_type}

    await assert_refused(write, MemoryRelationship, row, SELF_REFERENCE)


async def test_edge_to_itself_is_refused_by_model_instance() -> None:
    memory = await MemoryRecord.create(**await valid_row(MemoryRecord))
    row = {"source_memory": memory, "target_memory": memory, "relationship_type": "related"}

    await assert_refused(through_model, MemoryRelationship, row, SELF_REFERENCE)


async def test_edge_cannot_be_bent_to_itself() -> None:
    edge = await MemoryRelationship.create(**await valid_row(MemoryRelationship))
    source_memory_id, target_memory_id = edge.source_memory_id, edge.target_memory_id

    async def bend(_: object, __: object) -> None:
        edge.target_memory_id = edge.source_memory_id
        await edge.save()

    await assert_refused(bend, MemoryRelationship, {}, SELF_REFERENCE)
    stored = await MemoryRelationship.get(pk=edge.pk)
    assert (stored.source_memory_id, stored.target_memory_id) == (source_memory_id, target_memory_id)
