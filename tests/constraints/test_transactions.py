"""What a refused row does to the transaction around it, and to the rows beside it in the same statement."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from tortoise.transactions import in_transaction

from memory_guild.database.engine import client
from memory_guild.errors import (
    CheckError,
    ConstraintError,
    DuplicateMemoryError,
    InvalidInputError,
    ScopeAbortedError,
    UnknownMemoryError,
)
from memory_guild.models import DataSource, MemoryEmbedding, MemoryRecord
from tests.rows import counts, transaction_statements, valid_row

REFUSED_BEFORE_SENDING: list[dict[str, Any]] = [
    {"source_type": "rumour"},
    {"agent_id": None},
    {"tenant_id": ""},
    {"agent_id": "x" * 256},
    {"content_text": "a\x00b"},
    {"content_text": "\ud800"},
    {"metadata": {"when": object()}},
    {"is_deleted": "no"},
    {"memory_id": "not an id"},
    {"colour": "red"},
]


@pytest.mark.parametrize("change", REFUSED_BEFORE_SENDING, ids=lambda change: next(iter(change)))
async def test_model_refuses_before_a_statement_is_sent(change: dict[str, Any]) -> None:
    row = await valid_row(MemoryRecord)

    async with transaction_statements() as statements:
        with pytest.raises(InvalidInputError):
            await MemoryRecord.create(**{**row, **change})
        with pytest.raises(InvalidInputError):
            await MemoryRecord.bulk_create([MemoryRecord(**row), MemoryRecord(**{**row, **change})])
        assert statements == []
        await MemoryRecord.create(**row)

    assert len(statements) == 1
    assert await MemoryRecord.all().count() == 1


async def test_refused_statement_ends_the_transaction() -> None:
    row = await valid_row(MemoryRecord)

    with pytest.raises(ScopeAbortedError):
        async with in_transaction():
            await MemoryRecord.create(**row)
            with pytest.raises(DuplicateMemoryError):
                await MemoryRecord.create(**row)
            await MemoryRecord.all().count()

    assert await MemoryRecord.all().count() == 0


async def test_savepoint_keeps_the_transaction_usable() -> None:
    row = await valid_row(MemoryRecord)

    async with in_transaction():
        await MemoryRecord.create(**row)
        with pytest.raises(DuplicateMemoryError):
            async with in_transaction():
                await MemoryRecord.create(**await valid_row(MemoryRecord))
                await MemoryRecord.create(**row)
        await MemoryRecord.create(**await valid_row(MemoryRecord))

    assert await MemoryRecord.all().count() == 2


async def test_error_that_leaves_the_block_rolls_everything_back() -> None:
    row = await valid_row(MemoryRecord)

    with pytest.raises(DuplicateMemoryError):
        async with in_transaction():
            await MemoryRecord.create(**row)
            await DataSource.create(**await valid_row(DataSource))
            await MemoryRecord.create(**row)

    assert set((await counts()).values()) == {0}


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize(
    ("change", "kind"),
    [({"memory_id": uuid4()}, UnknownMemoryError), ({"vector_id": "x" * 256}, InvalidInputError)],
    ids=["refused by the database", "refused by the model"],
)
async def test_one_bad_row_of_a_batch_keeps_all_out(position: int, change: Any, kind: type[Exception]) -> None:
    rows = [await valid_row(MemoryEmbedding) for _ in range(3)]
    rows[position].update(change)

    with pytest.raises(kind):
        await MemoryEmbedding.bulk_create([MemoryEmbedding(**row) for row in rows])
    assert await MemoryEmbedding.all().count() == 0

    with pytest.raises(kind):  # in batches, each is a transaction of its own unless there is one around them
        async with in_transaction():
            await MemoryEmbedding.bulk_create([MemoryEmbedding(**row) for row in rows], batch_size=1)
    assert await MemoryEmbedding.all().count() == 0


INSERT_SOURCE = "INSERT INTO data_sources (source_name, source_type) VALUES ($1, $2)"


async def test_each_way_to_send_a_statement_translates() -> None:
    refused = INSERT_SOURCE.replace("$1", "'a'").replace("$2", "'rumour'")

    for method, arguments in (
        ("execute_query", [refused]),
        ("execute_query_dict", [refused]),
        ("execute_insert", [INSERT_SOURCE, ["a", "rumour"]]),
        ("execute_many", [INSERT_SOURCE, [["a", "api"], ["b", "rumour"]]]),
        ("execute_script", [refused]),
    ):
        with pytest.raises(CheckError) as caught:
            await getattr(client(), method)(*arguments)
        assert caught.value.constraint == "data_sources_source_type_check"
        async with in_transaction() as transaction:
            with pytest.raises(CheckError):
                await getattr(transaction, method)(*arguments)
    assert await DataSource.all().count() == 0


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        (
            "CREATE TEMPORARY TABLE own (id int, EXCLUDE USING btree (id WITH =)); INSERT INTO own VALUES (1), (1)",
            "23P01",
        ),
        (
            "CREATE TEMPORARY TABLE own (id int PRIMARY KEY); INSERT INTO own VALUES (1);"
            "CREATE TEMPORARY TABLE other (id int REFERENCES own ON DELETE RESTRICT); INSERT INTO other VALUES (1);"
            "DELETE FROM own",
            None,
        ),
    ],
    ids=["exclusion", "restrict"],
)
async def test_other_constraints_are_constraint_errors(statement: str, sqlstate: str | None) -> None:
    with pytest.raises(ConstraintError) as caught:
        await client().execute_script(statement)
    if sqlstate is not None:
        assert type(caught.value) is ConstraintError
        assert (caught.value.sqlstate, caught.value.table) == (sqlstate, "own")
    assert caught.value.constraint is not None
