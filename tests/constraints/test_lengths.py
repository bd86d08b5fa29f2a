"""The lengths: exactly the limit fits, counted in characters, one more does not."""

from __future__ import annotations

from typing import Any

import pytest

from memory_guild.errors import CheckError, InvalidInputError
from memory_guild.models import (
    DataSource,
    MemoryAccessPolicy,
    MemoryEmbedding,
    MemoryRecord,
    MemoryRelationship,
    StrictModel,
)
from tests.constraints.refusals import WRITES
from tests.rows import SECRET, Write, counts, through_bulk_create, through_model, through_sql, valid_row

LENGTHS: list[tuple[type[StrictModel], str, int]] = [
    (MemoryRecord, "agent_id", 255),
    (MemoryRecord, "tenant_id", 255),
    (MemoryRecord, "content_hash", 64),
    (MemoryEmbedding, "vector_id", 255),
    (MemoryEmbedding, "embedding_model", 100),
    (DataSource, "source_name", 255),
    (MemoryAccessPolicy, "policy_name", 255),
]
CHOICES: list[tuple[type[StrictModel], str]] = [
    (MemoryRecord, "source_type"),
    (MemoryRelationship, "relationship_type"),
    (DataSource, "source_type"),
]
CASES = [pytest.param(*case, id=f"{case[0]._meta.db_table}.{case[1]}") for case in LENGTHS]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("character", ["x", "é", "漢", "𝄞", "\n"], ids=["1", "2", "3", "4", "newline"])
@pytest.mark.parametrize(("model", "column", "limit"), CASES)
async def test_limit_in_characters_fits(
    model: type[StrictModel], column: str, limit: int, character: str, write: Write
) -> None:
    await write(model, {**await valid_row(model), column: character * limit})

    (stored,) = await model.filter(**{column: character * limit})
    assert getattr(stored, column) == character * limit


@pytest.mark.parametrize("character", ["x", "𝄞"], ids=["1", "4"])
@pytest.mark.parametrize(("model", "column", "limit"), CASES)
async def test_one_character_more_does_not(model: type[StrictModel], column: str, limit: int, character: str) -> None:
    row = {**await valid_row(model), column: SECRET + character * (limit + 1 - len(SECRET))}
    before = await counts()

    for write in (through_model, through_bulk_create):
        with pytest.raises(InvalidInputError) as caught:
            await write(model, row)
        assert type(caught.value) is InvalidInputError
        assert caught.value.field == column
        assert str(caught.value) == f"{column}: has {limit + 1} characters; at most {limit} fit"
    with pytest.raises(InvalidInputError) as caught:
        await through_sql(model, row)
    assert str(caught.value) == "value: does not fit its column (SQLSTATE 22001)"
    assert await counts() == before


@pytest.mark.parametrize("write", [through_model, through_bulk_create])
@pytest.mark.parametrize(("model", "column"), [case[:2] for case in LENGTHS if case[1] != "content_hash"])
async def test_model_refuses_an_empty_name(model: type[StrictModel], column: str, write: Write) -> None:
    row = {**await valid_row(model), column: ""}

    with pytest.raises(InvalidInputError) as caught:
        await write(model, row)
    assert (caught.value.field, str(caught.value)) == (column, f"{column}: must not be empty")


@pytest.mark.parametrize(("model", "column"), CHOICES)
async def test_choice_of_fifty_characters_reaches_the_check_and_a_longer_one_does_not_fit(
    model: type[StrictModel], column: str
) -> None:
    row: dict[str, Any] = await valid_row(model)

    with pytest.raises(CheckError):
        await through_sql(model, {**row, column: "é" * 50})
    with pytest.raises(InvalidInputError, match=r"^value: does not fit its column \(SQLSTATE 22001\)$"):
        await through_sql(model, {**row, column: "é" * 51})
