"""The serializers: round trips, the JSON Schema that a tool call reads, and what they refuse."""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from memory_guild import serializers
from memory_guild.models import (
    MODELS,
    DataSource,
    MemoryAccessPolicy,
    MemoryEmbedding,
    MemoryRecord,
    MemoryRelationship,
    StrictModel,
    hash_content,
)
from memory_guild.serializers import (
    MemoryRecordCreate,
    MemoryRecordRead,
    MemoryRecordWithRelationsRead,
    MemoryRelationshipCreate,
)
from memory_guild.types import RELATIONS, DataSourceType, RelationshipType, SourceType
from tests.rows import SECRET, columns_of, transaction_statements, valid_row


def read_of(model: type[StrictModel]) -> Any:
    return getattr(serializers, f"{model.__name__}Read")


def create_of(model: type[StrictModel]) -> Any:
    return getattr(serializers, f"{model.__name__}Create")


# --- round trips ------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=50)
NAME = TEXT.filter(bool)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXT, children, max_size=3),
    max_leaves=10,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=4)
MOMENT = st.datetimes(
    datetime(2, 1, 1),
    datetime(9998, 12, 31),
    timezones=st.integers(-1400, 1400).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
ROWS: dict[type[StrictModel], dict[str, st.SearchStrategy[Any]]] = {
    MemoryRecord: {
        "memory_id": st.uuids(),
        "agent_id": NAME,
        "tenant_id": NAME,
        "source_type": st.sampled_from(SourceType),
        "content_text": TEXT,
        "content_hash": TEXT,
        "metadata": st.none() | OBJECT,
        "created_at": st.none() | MOMENT,
        "updated_at": st.none() | MOMENT,
        "is_deleted": st.none() | st.booleans(),
        "deleted_at": st.none() | MOMENT,
    },
    MemoryEmbedding: {
        "embedding_id": st.uuids(),
        "memory_id": st.uuids(),
        "vector_id": NAME,
        "embedding_model": NAME,
        "created_at": st.none() | MOMENT,
    },
    MemoryRelationship: {
        "relationship_id": st.uuids(),
        "source_memory_id": st.uuids(),
        "target_memory_id": st.uuids(),
        "relationship_type": st.sampled_from(RelationshipType),
        "confidence_score": st.none() | st.floats(0, 1),
        "created_at": st.none() | MOMENT,
    },
    DataSource: {
        "source_id": st.uuids(),
        "source_name": NAME,
        "source_type": st.sampled_from(DataSourceType),
        "source_uri": st.none() | TEXT,
        "is_active": st.none() | st.booleans(),
        "created_at": st.none() | MOMENT,
        "last_ingestion_at": st.none() | MOMENT,
        "metadata": st.none() | OBJECT,
    },
    MemoryAccessPolicy: {
        "policy_id": st.uuids(),
        "policy_name": NAME,
        "policy_rules": OBJECT,
        "is_active": st.none() | st.booleans(),
        "created_at": st.none() | MOMENT,
        "updated_at": st.none() | MOMENT,
    },
}


@pytest.mark.parametrize("model", MODELS)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_row_survives_model_to_json_to_model(model: type[StrictModel], data: st.DataObject) -> None:
    row = data.draw(st.fixed_dictionaries(ROWS[model]))
    assert set(row) == set(model._meta.db_fields)
    instance = model(**row)

    read = read_of(model).model_validate(instance)
    text = read.model_dump_json()
    again = read_of(model).model_validate_json(text)

    assert again == read
    assert columns_of(model(**again.model_dump())) == columns_of(instance) == row
    assert set(json.loads(text)) == set(row)


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("model", MODELS)
async def test_create_to_row_to_read_to_json(model: type[StrictModel]) -> None:
    row = await valid_row(model)
    asked = create_of(model).model_validate_json(create_of(model)(**row).model_dump_json())

    stored = await model.create(**asked.model_dump())

    fetched = await model.get(pk=stored.pk)
    read = read_of(model).model_validate(fetched)
    assert read == read_of(model).model_validate(stored)
    assert read_of(model).model_validate_json(read.model_dump_json()) == read
    assert columns_of(model(**read.model_dump())) == columns_of(fetched)
    assert {name: getattr(read, name) for name in row} == row


@pytest.mark.usefixtures("tables")
async def test_create_with_the_least_gets_the_databases_defaults() -> None:
    least = {
        MemoryRecord: ["agent_id", "tenant_id", "source_type", "content_text"],
        MemoryEmbedding: ["memory_id", "vector_id", "embedding_model"],
        MemoryRelationship: ["source_memory_id", "target_memory_id", "relationship_type"],
        DataSource: ["source_name", "source_type"],
        MemoryAccessPolicy: ["policy_name", "policy_rules"],
    }
    for model in MODELS:
        rows = [await valid_row(model) for _ in range(2)]
        asked = create_of(model)(**{name: rows[0][name] for name in least[model]})

        from_serializer = columns_of(await model.create(**asked.model_dump()))
        plain = columns_of(await model.create(**{name: rows[1][name] for name in least[model]}))

        for name in set(plain) - set(rows[0]) - {model._meta.pk_attr, "created_at", "updated_at"}:
            assert from_serializer[name] == plain[name]


def test_defaults_are_not_shared() -> None:
    row = {"agent_id": "a", "tenant_id": "t", "source_type": "document", "content_text": "x"}

    first, second = MemoryRecordCreate(**row), MemoryRecordCreate(**row)
    first.metadata["a"] = 1

    assert second.metadata == {}


# --- relations and queries --------------------------------------------------------------------------------------


async def graph() -> tuple[MemoryRecord, MemoryEmbedding, MemoryRelationship, MemoryRelationship]:
    memory, other = [await MemoryRecord.create(**await valid_row(MemoryRecord)) for _ in range(2)]
    embedding = await MemoryEmbedding.create(memory=memory, vector_id="v", embedding_model="small")
    leaving = await MemoryRelationship.create(source_memory=memory, target_memory=other, relationship_type="supports")
    reaching = await MemoryRelationship.create(source_memory=other, target_memory=memory, relationship_type="follows")
    return memory, embedding, leaving, reaching


@pytest.mark.usefixtures("tables")
async def test_memory_with_relations_survives_json() -> None:
    memory, embedding, leaving, reaching = await graph()
    await memory.fetch_related(*RELATIONS)

    read = MemoryRecordWithRelationsRead.model_validate(memory)

    assert [item.embedding_id for item in read.embeddings] == [embedding.embedding_id]
    assert [item.relationship_id for item in read.outgoing_edges] == [leaving.relationship_id]
    assert [item.relationship_id for item in read.incoming_edges] == [reaching.relationship_id]
    again = MemoryRecordWithRelationsRead.model_validate_json(read.model_dump_json())
    assert again == read
    assert columns_of(MemoryEmbedding(**again.embeddings[0].model_dump())) == columns_of(embedding)
    assert columns_of(MemoryRelationship(**again.outgoing_edges[0].model_dump())) == columns_of(leaving)
    assert columns_of(MemoryRecord(**again.model_dump(exclude=set(RELATIONS)))) == columns_of(memory)


@pytest.mark.usefixtures("tables")
async def test_no_serializer_sends_a_statement() -> None:
    memory, embedding, leaving, _ = await graph()
    fetched = await MemoryRecord.get(memory_id=memory.memory_id).prefetch_related(*RELATIONS)

    async with transaction_statements() as statements:
        for instance in (memory, embedding, leaving):
            read_of(type(instance)).model_validate(instance).model_dump_json()
        MemoryRecordWithRelationsRead.model_validate(fetched).model_dump_json()
        with pytest.raises(ValidationError):
            MemoryRecordWithRelationsRead.model_validate(memory)

    assert statements == []


@pytest.mark.usefixtures("tables")
async def test_relations_that_were_not_fetched_are_an_error_that_says_so() -> None:
    memory, *_ = await graph()

    with pytest.raises(ValidationError) as caught:
        MemoryRecordWithRelationsRead.model_validate(memory)

    message = (
        "Value error, relations: were not fetched;"
        " first `await memory.fetch_related('embeddings', 'outgoing_edges', 'incoming_edges')`"
    )
    assert [(error["loc"], error["msg"]) for error in caught.value.errors()] == [
        ((relation,), message) for relation in RELATIONS
    ]


@pytest.mark.usefixtures("tables")
async def test_serializers_can_be_filled_from_queries() -> None:
    memory, embedding, leaving, reaching = await graph()

    (read,) = await MemoryRecordRead.from_queryset(MemoryRecord.filter(memory_id=memory.memory_id))
    assert read == MemoryRecordRead.model_validate(memory)
    assert await MemoryRecordRead.from_queryset_single(MemoryRecord.get(memory_id=memory.memory_id)) == read
    assert await MemoryRecordRead.from_tortoise_orm(memory) == read

    async with transaction_statements() as statements:
        (with_relations,) = await MemoryRecordWithRelationsRead.from_queryset(
            MemoryRecord.filter(memory_id=memory.memory_id)
        )
    assert len(statements) == 1 + len(RELATIONS)
    assert [item.embedding_id for item in with_relations.embeddings] == [embedding.embedding_id]
    assert [item.relationship_id for item in with_relations.outgoing_edges] == [leaving.relationship_id]
    assert [item.relationship_id for item in with_relations.incoming_edges] == [reaching.relationship_id]


# --- the JSON Schema --------------------------------------------------------------------------------------------

CHOICES: dict[tuple[type[StrictModel], str], list[str]] = {
    (MemoryRecord, "source_type"): ["conversation", "tool_output", "document", "observation", "external"],
    (MemoryRelationship, "relationship_type"): ["references", "contradicts", "supports", "follows", "related"],
    (DataSource, "source_type"): ["api", "database", "file_system", "webhook", "manual"],
}
LENGTHS = {
    "agent_id": 255,
    "tenant_id": 255,
    "content_hash": 64,
    "vector_id": 255,
    "embedding_model": 100,
    "source_name": 255,
    "policy_name": 255,
}
CREATE: dict[type[StrictModel], tuple[set[str], set[str]]] = {
    MemoryRecord: (
        {"agent_id", "tenant_id", "source_type", "content_text"},
        {"content_hash", "metadata", "created_at"},
    ),
    MemoryEmbedding: ({"memory_id", "vector_id", "embedding_model"}, set()),
    MemoryRelationship: ({"source_memory_id", "target_memory_id", "relationship_type"}, {"confidence_score"}),
    DataSource: ({"source_name", "source_type"}, {"source_uri", "is_active", "metadata"}),
    MemoryAccessPolicy: ({"policy_name", "policy_rules"}, {"is_active"}),
}


def values(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a schema, at any depth, with its value."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            yield key, value
            yield from values(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from values(item)


@pytest.mark.parametrize("model", MODELS)
def test_schema_of_create_is_what_a_tool_call_can_use(model: type[StrictModel]) -> None:
    schema = create_of(model).model_json_schema()
    required, optional = CREATE[model]

    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == required
    assert set(schema["properties"]) == required | optional
    assert schema["title"] == f"{model.__name__}Create"
    assert schema["description"].endswith(".")
    assert not {"$ref", "$defs"} & {key for key, _ in values(schema)}
    for name in optional:
        assert "default" in schema["properties"][name]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("suffix", ["Create", "Read"])
def test_schema_describes_every_column(model: type[StrictModel], suffix: str) -> None:
    schema = getattr(serializers, f"{model.__name__}{suffix}").model_json_schema()

    for name, part in schema["properties"].items():
        assert part["description"] == described(model, name)
        kinds = [option.get("type") for option in part.get("anyOf", [part])]
        assert all(kinds), f"{name} takes anything"
        text: Any = next((option for option in part.get("anyOf", [part]) if option.get("type") == "string"), {})
        if (model, name) in CHOICES:
            assert part["enum"] == CHOICES[model, name]
        elif name in LENGTHS:
            assert text["maxLength"] == LENGTHS[name]
            assert text.get("minLength") == (None if name == "content_hash" else 1)
        elif name.endswith("_id"):
            assert text["format"] == "uuid"
        elif name.endswith("_at"):
            assert text["format"] == "date-time"


def described(model: type[StrictModel], column: str) -> str | None:
    """The column's description; that of a foreign key stands with the relation."""
    fields = model._meta.fields_map
    relation = next((name for name in model._meta.fk_fields if fields[name].source_field == column), column)
    return fields[relation].description


@pytest.mark.parametrize("model", MODELS)
def test_schema_of_read_has_every_column(model: type[StrictModel]) -> None:
    schema = read_of(model).model_json_schema()

    assert set(schema["properties"]) == set(model._meta.db_fields)
    assert set(schema["required"]) == {name for name in model._meta.db_fields if not model._meta.fields_map[name].null}
    assert "$ref" not in {key for key, _ in values(schema)}


def test_confidence_is_bounded_in_the_schema() -> None:
    options = MemoryRelationshipCreate.model_json_schema()["properties"]["confidence_score"]["anyOf"]

    assert options == [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "null"}]


def test_relations_have_their_own_types_in_the_schema() -> None:
    schema = MemoryRecordWithRelationsRead.model_json_schema()

    assert schema["title"] == "MemoryRecordWithRelationsRead"
    assert set(schema["properties"]) == {*MemoryRecord._meta.db_fields, *RELATIONS}
    assert [schema["properties"][relation]["items"] for relation in RELATIONS] == [
        {"$ref": "#/$defs/MemoryEmbeddingRead"},
        {"$ref": "#/$defs/MemoryRelationshipRead"},
        {"$ref": "#/$defs/MemoryRelationshipRead"},
    ]


# --- what is refused --------------------------------------------------------------------------------------------

MEMORY = {"agent_id": "a", "tenant_id": "t", "source_type": "document", "content_text": SECRET}
EDGE = {"source_memory_id": UUID(int=1), "target_memory_id": UUID(int=2), "relationship_type": "supports"}
NUL = "contains a NUL character (U+0000), which PostgreSQL cannot store; remove it"
REFUSED: list[tuple[Any, dict[str, Any], tuple[str, ...], str]] = [
    (MemoryRecordCreate, {"colour": SECRET}, ("colour",), "Extra inputs are not permitted"),
    (MemoryRecordCreate, {"memory_id": UUID(int=1)}, ("memory_id",), "Extra inputs are not permitted"),
    (MemoryRecordCreate, {"updated_at": datetime.now(UTC)}, ("updated_at",), "Extra inputs are not permitted"),
    (MemoryRecordCreate, {"created_at": datetime(2024, 5, 4)}, ("created_at",), "naive datetime"),
    (MemoryRecordCreate, {"created_at": 1714823999}, ("created_at",), "must be a datetime, not int"),
    (MemoryRecordCreate, {"content_text": " \n"}, ("content_text",), "is blank"),
    (MemoryRecordCreate, {"is_deleted": True}, ("is_deleted",), "Extra inputs are not permitted"),
    (MemoryRecordCreate, {"agent_id": ""}, ("agent_id",), "String should have at least 1 character"),
    (MemoryRecordCreate, {"agent_id": SECRET * 10}, ("agent_id",), "String should have at most 255 characters"),
    (MemoryRecordCreate, {"tenant_id": "a\x00"}, ("tenant_id",), f"Value error, tenant_id: {NUL}"),
    (MemoryRecordCreate, {"content_text": 5}, ("content_text",), "Input should be a valid string"),
    (MemoryRecordCreate, {"content_text": f"{SECRET}\x00"}, ("content_text",), f"Value error, content_text: {NUL}"),
    (
        MemoryRecordCreate,
        {"content_text": f"{SECRET}\ud800"},
        ("content_text",),
        f"Value error, content_text: contains a lone surrogate at character {len(SECRET)};"
        " decode the text correctly first",
    ),
    (
        MemoryRecordCreate,
        {"content_text": SECRET * 40_000},
        ("content_text",),
        f"Value error, content_text: has {len(SECRET) * 40_000} bytes;"
        " at most 1000000 are allowed (MEMORY_GUILD_CONTENT_MAX_BYTES)",
    ),
    (
        MemoryRecordCreate,
        {"content_hash": hash_content("another text")},
        (),
        "Value error, content_hash: is not the MD5 of content_text; leave it out to have it computed",
    ),
    (
        MemoryRecordCreate,
        {"source_type": SECRET},
        ("source_type",),
        "Input should be 'conversation', 'tool_output', 'document', 'observation' or 'external'",
    ),
    (MemoryRecordCreate, {"metadata": [SECRET]}, ("metadata",), "Input should be a valid dictionary"),
    (MemoryRecordCreate, {"metadata": {"a": {"b": "x\x00"}}}, ("metadata",), f"Value error, metadata.a.b: {NUL}"),
    (
        MemoryRecordCreate,
        {"metadata": {"a": math.nan}},
        ("metadata",),
        "Value error, metadata.a: is NaN or infinite, which JSON does not have; use None or a string",
    ),
    (
        MemoryRecordCreate,
        {"metadata": {"a": {SECRET}}},
        ("metadata",),
        "Value error, metadata.a: is a set, which JSON does not have; convert it (a datetime with .isoformat())",
    ),
    (MemoryRelationshipCreate, {"confidence_score": 1.5}, ("confidence_score",), "less than or equal to 1"),
    (MemoryRelationshipCreate, {"confidence_score": -0.1}, ("confidence_score",), "greater than or equal to 0"),
    (MemoryRelationshipCreate, {"confidence_score": math.nan}, ("confidence_score",), "Input should be"),
    (MemoryRelationshipCreate, {"source_memory_id": SECRET}, ("source_memory_id",), "Input should be a valid UUID"),
    (MemoryRelationshipCreate, {"weight": 1}, ("weight",), "Extra inputs are not permitted"),
    (serializers.MemoryEmbeddingCreate, {"vector": [1.0]}, ("vector",), "Extra inputs are not permitted"),
    (serializers.DataSourceCreate, {"url": SECRET}, ("url",), "Extra inputs are not permitted"),
    (serializers.MemoryAccessPolicyCreate, {"rules": SECRET}, ("rules",), "Extra inputs are not permitted"),
]
GOOD: dict[Any, dict[str, Any]] = {
    MemoryRecordCreate: MEMORY,
    MemoryRelationshipCreate: EDGE,
    serializers.MemoryEmbeddingCreate: {"memory_id": UUID(int=1), "vector_id": "v", "embedding_model": "m"},
    serializers.DataSourceCreate: {"source_name": "s", "source_type": "api"},
    serializers.MemoryAccessPolicyCreate: {"policy_name": "p", "policy_rules": {}},
}


@pytest.mark.parametrize(
    ("serializer", "change", "place", "message"),
    REFUSED,
    ids=[f"{case[0].__name__}-{case[1]!r:.40}" for case in REFUSED],
)
def test_bad_value_is_refused_and_not_repeated(
    serializer: type[BaseModel], change: dict[str, Any], place: tuple[str, ...], message: str
) -> None:
    serializer(**GOOD[serializer])
    with pytest.raises(ValidationError) as caught:
        serializer(**{**GOOD[serializer], **change})

    (error,) = caught.value.errors()
    assert error["loc"] == place
    assert message in error["msg"]
    assert "swordfish" not in "".join(traceback.format_exception(caught.value)) + str(caught.value) + repr(caught.value)


@pytest.mark.parametrize("model", MODELS)
def test_read_hides_what_it_refuses(model: type[StrictModel]) -> None:
    with pytest.raises(ValidationError) as caught:
        read_of(model).model_validate_json(json.dumps({name: [SECRET] for name in model._meta.db_fields}))

    assert caught.value.error_count() == len(model._meta.db_fields)
    assert "swordfish" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize("model", MODELS)
def test_missing_columns_are_all_named(model: type[StrictModel]) -> None:
    with pytest.raises(ValidationError) as caught:
        create_of(model)()

    assert {(error["loc"], error["type"]) for error in caught.value.errors()} == {
        ((name,), "missing") for name in CREATE[model][0]
    }


def test_right_hash_is_accepted() -> None:
    assert MemoryRecordCreate(**MEMORY, content_hash=hash_content(SECRET)).content_hash == hash_content(SECRET)
