"""The models, their CHECK fragments and the enums say the same as the catalog of the migrated database."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Any, TypeAlias

import asyncpg
import pytest
from tortoise.fields.base import OnDelete
from tortoise.indexes import Index, PartialIndex
from tortoise.migrations.constraints import UniqueConstraint

from memory_guild.models import (
    MODELS,
    DataSource,
    DescendingIndex,
    MemoryRecord,
    MemoryRelationship,
    StrictModel,
    check_constraints,
)
from memory_guild.types import DataSourceType, RelationshipType, SourceType
from memory_guild.values.fields import ChoiceField

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

CONSTRAINTS = """
SELECT conname, pg_get_constraintdef(oid)
FROM pg_constraint
WHERE conrelid = $1::text::regclass AND contype::text = $2
ORDER BY conname
"""
COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull, pg_get_expr(adbin, adrelid) AS default_expression
FROM pg_attribute
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
"""
INDEXES = """
SELECT indexes.relname AS name, pg_get_indexdef(indexrelid) AS definition
FROM pg_index
JOIN pg_class AS indexes ON indexes.oid = indexrelid
WHERE indrelid = $1::text::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
ORDER BY name
"""
TYPES = {
    "UUID": "uuid",
    "TEXT": "text",
    "JSONB": "jsonb",
    "TIMESTAMPTZ": "timestamp with time zone",
    "BOOL": "boolean",
    "DOUBLE PRECISION": "double precision",
}


@pytest.fixture
async def connection(verbs_database_url: str) -> AsyncIterator[Connection]:
    """A connection that leaves nothing behind."""
    connection = await asyncpg.connect(verbs_database_url)
    yield connection
    await connection.close()


def table_of(model: type[StrictModel]) -> str:
    return model._meta.db_table


async def constraints(connection: Connection, table: str, kind: str) -> dict[str, str]:
    return {row[0]: row[1] for row in await connection.fetch(CONSTRAINTS, table, kind)}


@pytest.mark.parametrize("model", MODELS, ids=table_of)
async def test_checks_are_those_of_the_catalog(model: type[StrictModel], connection: Connection) -> None:
    table = table_of(model)
    live = await constraints(connection, table, "c")

    await connection.execute(f"CREATE TEMPORARY TABLE declared AS SELECT * FROM {table} WITH NO DATA")
    for constraint in check_constraints(model):
        await connection.execute(f"ALTER TABLE declared ADD CONSTRAINT {constraint.name} CHECK ({constraint.check})")

    assert await constraints(connection, "declared", "c") == live


def test_number_of_checks_is_that_of_the_specification() -> None:
    assert [len(check_constraints(model)) for model in MODELS] == [1, 0, 3, 1, 0]


@pytest.mark.parametrize(
    ("model", "column", "choices"),
    [
        (MemoryRecord, "source_type", SourceType),
        (MemoryRelationship, "relationship_type", RelationshipType),
        (DataSource, "source_type", DataSourceType),
    ],
)
async def test_enum_lists_what_the_check_lists(
    model: type[StrictModel], column: str, choices: type[StrEnum], connection: Connection
) -> None:
    field = model._meta.fields_map[column]
    assert isinstance(field, ChoiceField)
    definition = (await constraints(connection, table_of(model), "c"))[field.check.name]

    assert re.findall(r"'([a-z_]+)'::character varying", definition) == list(choices)
    assert re.findall(r"'([a-z_]+)'", field.check.check) == list(choices)
    assert field.choices is choices
    assert [choice.name for choice in choices] == [str(choice).upper() for choice in choices]


@pytest.mark.parametrize("model", MODELS, ids=table_of)
async def test_unique_constraints_and_indexes_are_those_of_the_catalog(
    model: type[StrictModel], connection: Connection
) -> None:
    table = table_of(model)
    declared = {
        constraint.name: f"UNIQUE ({', '.join(constraint.fields)})"
        for constraint in model._meta.constraints
        if isinstance(constraint, UniqueConstraint)
    }
    for name in model._meta.db_fields:
        if model._meta.fields_map[name].unique and not model._meta.fields_map[name].pk:
            declared[f"{table}_{name}_key"] = f"UNIQUE ({name})"

    assert declared == await constraints(connection, table, "u")
    assert {f"{table}_pkey": f"PRIMARY KEY ({model._meta.pk_attr})"} == await constraints(connection, table, "p")


def definition(index: Index, table: str) -> str:
    columns = ", ".join(index.fields) + (" DESC" if isinstance(index, DescendingIndex) else "")
    text = f"CREATE INDEX {index.name} ON public.{table} USING btree ({columns})"
    if isinstance(index, PartialIndex):
        text += index.extra.replace("WHERE is_deleted = false", "WHERE (is_deleted = false)")
    return text


@pytest.mark.parametrize("model", MODELS, ids=table_of)
async def test_indexes_are_those_of_the_catalog(model: type[StrictModel], connection: Connection) -> None:
    declared = {}
    for index in model._meta.indexes:
        assert isinstance(index, Index)
        declared[index.name] = definition(index, table_of(model))

    assert declared == {row[0]: row[1] for row in await connection.fetch(INDEXES, table_of(model))}


@pytest.mark.parametrize("model", MODELS, ids=table_of)
async def test_foreign_keys_are_those_of_the_catalog(model: type[StrictModel], connection: Connection) -> None:
    declared = {}
    for name in model._meta.fk_fields:
        field: Any = model._meta.fields_map[name]
        assert field.on_delete is OnDelete.CASCADE
        target = field.related_model._meta
        declared[f"{table_of(model)}_{field.source_field}_fkey"] = (
            f"FOREIGN KEY ({field.source_field}) REFERENCES {target.db_table}({target.pk_attr}) ON DELETE CASCADE"
        )

    assert declared == await constraints(connection, table_of(model), "f")


def default_of(field: Any) -> str | None:
    if not field.has_db_default():
        return None
    default = field.db_default
    if isinstance(default, bool):
        return str(default).lower()
    return "'{}'::jsonb" if default.sql == "'{}'" else str(default.sql)


@pytest.mark.parametrize("model", MODELS, ids=table_of)
async def test_columns_are_those_of_the_catalog(model: type[StrictModel], connection: Connection) -> None:
    declared = []
    for name in model._meta.fields_map:
        if name in model._meta.db_fields:
            field: Any = model._meta.fields_map[name]
            kind = field.get_for_dialect("postgres", "SQL_TYPE")
            kind = kind.replace("VARCHAR", "character varying") if kind.startswith("VARCHAR") else TYPES[kind]
            declared.append((name, kind, not field.null, default_of(field)))

    live = [tuple(row) for row in await connection.fetch(COLUMNS, table_of(model))]
    assert sorted(declared, key=str) == sorted(live, key=str)
    # Tortoise adds the column of a foreign key behind all others, when it joins the models.
    foreign = {field.source_field for field in map(model._meta.fields_map.__getitem__, model._meta.fk_fields)}
    assert [column for column in declared if column[0] not in foreign] == [
        column for column in live if column[0] not in foreign
    ]


@pytest.mark.parametrize("model", MODELS, ids=table_of)
def test_every_column_is_described(model: type[StrictModel]) -> None:
    for name in model._meta.db_fields:
        description = model._meta.fields_map[name].description
        assert description
        assert not description.endswith(".")


def test_models_are_the_five_of_the_specification() -> None:
    assert [table_of(model) for model in MODELS] == [
        "memory_records",
        "memory_embeddings",
        "memory_relationships",
        "data_sources",
        "memory_access_policies",
    ]
