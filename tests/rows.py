"""A valid row of each table for the tests to change, and the ways to write it: through the model and as plain SQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
from tortoise.transactions import in_transaction

from memory_guild.database.engine import client
from memory_guild.models import (
    DataSource,
    MemoryAccessPolicy,
    MemoryEmbedding,
    MemoryRecord,
    MemoryRelationship,
    StrictModel,
    hash_content,
)

Row: TypeAlias = dict[str, Any]
Write: TypeAlias = Callable[[type[StrictModel], Row], Coroutine[Any, Any, object]]

SECRET = "the swordfish is in the third drawer"
"""Content that no message, traceback or log may repeat; every valid row has it wherever a caller's text can be."""

_numbers = count(1)


async def valid_row(model: type[StrictModel]) -> Row:
    """A row that can be inserted, different from every other one; the memories that it needs are stored first."""
    number = next(_numbers)
    if model is MemoryRecord:
        text = f"{SECRET} ({number})"
        return {
            "agent_id": "agent-1",
            "tenant_id": "tenant-1",
            "source_type": "document",
            "content_text": text,
            "content_hash": hash_content(text),
            "metadata": {"note": SECRET},
        }
    if model is MemoryEmbedding:
        return {"memory_id": await stored_memory(), "vector_id": f"{SECRET} ({number})", "embedding_model": "small"}
    if model is MemoryRelationship:
        return {
            "source_memory_id": await stored_memory(),
            "target_memory_id": await stored_memory(),
            "relationship_type": "supports",
            "confidence_score": 0.5,
        }
    if model is DataSource:
        return {"source_name": f"{SECRET} ({number})", "source_type": "api", "metadata": {"note": SECRET}}
    assert model is MemoryAccessPolicy
    return {"policy_name": f"{SECRET} ({number})", "policy_rules": {"rego": SECRET}}


async def stored_memory(**changes: Any) -> UUID:
    """The id of a memory that is in the database."""
    memory = await MemoryRecord.create(**{**await valid_row(MemoryRecord), **changes})
    return memory.memory_id


async def through_model(model: type[StrictModel], row: Row) -> None:
    """Insert with ``Model.create``."""
    await model.create(**row)


async def through_bulk_create(model: type[StrictModel], row: Row) -> None:
    """Insert with ``Model.bulk_create``."""
    await model.bulk_create([model(**row)])


async def through_sql(model: type[StrictModel], row: Row) -> None:
    """Insert with plain SQL on the same Tortoise connection, past every check of the models."""
    columns = ", ".join(row)
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    values = [json.dumps(value) if isinstance(value, dict) else value for value in row.values()]
    await client().execute_query(
        f"INSERT INTO {model._meta.db_table} ({columns}) VALUES ({places})",  # names of tables and columns only
        values,
    )


async def counts() -> dict[str, int]:
    """How many rows each table has."""
    return {
        model._meta.db_table: await model.all().count()
        for model in (MemoryRecord, MemoryEmbedding, MemoryRelationship, DataSource, MemoryAccessPolicy)
    }


@asynccontextmanager
async def transaction_statements() -> AsyncIterator[list[str]]:
    """A transaction, and every statement that it sends between BEGIN and COMMIT; complete after the block."""
    sent: list[str] = []
    async with in_transaction() as transaction:
        connection: asyncpg.Connection[asyncpg.Record] = transaction._connection
        with connection.query_logger(lambda logged: sent.append(logged.query)):
            yield sent
            await asyncio.sleep(0)  # asyncpg calls its loggers in the next turn of the event loop


def columns_of(instance: StrictModel) -> Row:
    """Every column's value."""
    return {name: getattr(instance, name) for name in instance._meta.db_fields}
