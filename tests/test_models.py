"""The models: what they fill in, what they follow, what they store unchanged and what they refuse."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections import UserDict
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tortoise.exceptions import DoesNotExist
from tortoise.transactions import in_transaction

from memory_guild.database.engine import client
from memory_guild.errors import CheckError, DuplicateMemoryError, InvalidInputError
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
from memory_guild.types import DataSourceType, RelationshipType, SourceType
from memory_guild.values.checks import is_blank
from tests.rows import Row, columns_of, stored_memory, transaction_statements, valid_row

pytestmark = pytest.mark.usefixtures("tables")


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


# --- what the database fills in ---------------------------------------------------------------------------------

FILLED_IN: dict[type[StrictModel], dict[str, Any]] = {
    MemoryRecord: {
        "memory_id": UUID,
        "created_at": datetime,
        "updated_at": datetime,
        "is_deleted": False,
        "deleted_at": None,
        "metadata": {},
    },
    MemoryEmbedding: {"embedding_id": UUID, "created_at": datetime},
    MemoryRelationship: {"relationship_id": UUID, "created_at": datetime, "confidence_score": None},
    DataSource: {
        "source_id": UUID,
        "created_at": datetime,
        "is_active": True,
        "source_uri": None,
        "last_ingestion_at": None,
        "metadata": {},
    },
    MemoryAccessPolicy: {"policy_id": UUID, "created_at": datetime, "updated_at": datetime, "is_active": True},
}


@pytest.mark.parametrize("model", MODELS)
async def test_create_returns_what_the_database_fills_in_without_a_second_statement(model: type[StrictModel]) -> None:
    row = {name: value for name, value in (await valid_row(model)).items() if name not in FILLED_IN[model]}

    async with transaction_statements() as statements:
        created = await model.create(**row)

    (insert,) = statements
    assert insert.startswith("INSERT")
    for name, expected in FILLED_IN[model].items():
        value = getattr(created, name)
        assert isinstance(value, expected) if isinstance(expected, type) else value == expected, name
    stored = await model.get(pk=created.pk)
    assert columns_of(stored) == columns_of(created)
    for name, value in row.items():
        assert getattr(stored, name) == value


@pytest.mark.parametrize("model", MODELS)
async def test_timestamps_are_aware_and_now(model: type[StrictModel]) -> None:
    before = datetime.now(UTC) - timedelta(minutes=5)  # the server's clock is not the test's

    created = await model.create(**await valid_row(model))

    for instance in (created, await model.get(pk=created.pk)):
        for name in ("created_at", "updated_at"):
            if name in model._meta.db_fields:
                moment = getattr(instance, name)
                assert moment.utcoffset() == timedelta(0)
                assert before < moment < before + timedelta(minutes=10)


async def test_given_ids_and_timestamps_are_kept() -> None:
    moment = datetime(2001, 2, 3, 4, 5, 6, 789012, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    given_values: dict[str, Any] = {
        "memory_id": uuid4(),
        "created_at": moment,
        "updated_at": moment + timedelta(days=1),
        "is_deleted": True,
        "deleted_at": moment + timedelta(days=2),
        "metadata": {"a": 1},
    }

    async with transaction_statements() as statements:
        created = await MemoryRecord.create(**{**await valid_row(MemoryRecord), **given_values})

    assert len(statements) == 1
    for instance in (created, await MemoryRecord.get(memory_id=given_values["memory_id"])):
        assert {name: getattr(instance, name) for name in given_values} == given_values
    stored = await MemoryRecord.get(memory_id=given_values["memory_id"])
    assert stored.created_at is not None
    assert stored.created_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize("spelled", [lambda value: value, str, lambda value: value.hex, lambda value: f"{{{value}}}"])
@pytest.mark.parametrize("name", ["memory_id", "pk"])
async def test_id_can_be_given_as_text_and_as_pk(name: str, spelled: Any) -> None:
    memory_id = uuid4()
    row = await valid_row(MemoryRecord)

    created = await MemoryRecord.create(**row, **{name: spelled(memory_id)})

    assert created.memory_id == created.pk == memory_id
    assert (await MemoryRecord.get(**{name: spelled(memory_id)})).content_text == row["content_text"]


async def test_enums_come_back_as_enums_and_equal_their_text() -> None:
    memory = await MemoryRecord.create(**{**await valid_row(MemoryRecord), "source_type": SourceType.TOOL_OUTPUT})
    edge = await MemoryRelationship.create(**await valid_row(MemoryRelationship))
    source = await DataSource.create(**await valid_row(DataSource))

    assert memory.source_type is SourceType.TOOL_OUTPUT
    assert (await MemoryRecord.get(memory_id=memory.memory_id)).source_type is SourceType.TOOL_OUTPUT
    assert (await MemoryRelationship.get(pk=edge.pk)).relationship_type is RelationshipType.SUPPORTS
    assert (await DataSource.get(pk=source.pk)).source_type is DataSourceType.API
    assert await MemoryRecord.filter(source_type="tool_output").count() == 1
    assert await MemoryRecord.filter(source_type=SourceType.TOOL_OUTPUT).count() == 1
    assert str(memory.source_type) == "tool_output"


# --- the hash ---------------------------------------------------------------------------------------------------


async def memory_without_hash(text: str = "one", **changes: Any) -> MemoryRecord:
    row = {**await valid_row(MemoryRecord), "content_text": text, **changes}
    if "content_hash" not in changes:
        del row["content_hash"]
    return await MemoryRecord.create(**row)


async def test_hash_is_the_lower_case_md5_of_the_utf8_bytes() -> None:
    assert hash_content("") == "d41d8cd98f00b204e9800998ecf8427e"
    assert hash_content("Grüße, 漢字 𝄞") == md5("Grüße, 漢字 𝄞")

    memory = await memory_without_hash("Grüße, 漢字 𝄞")

    assert memory.content_hash == md5("Grüße, 漢字 𝄞")
    (row,) = await client().execute_query_dict("SELECT content_hash = md5(content_text) AS same FROM memory_records")
    assert row["same"]


async def test_hash_of_none_is_computed() -> None:
    assert (await memory_without_hash(content_hash=None)).content_hash == md5("one")


@pytest.mark.parametrize("order", [("content_text", "content_hash"), ("content_hash", "content_text")])
async def test_explicit_hash_is_kept(order: tuple[str, str]) -> None:
    values = {"content_text": "one", "content_hash": "0" * 64}
    row: Row = {"agent_id": "a", "tenant_id": "t", "source_type": "document", **{name: values[name] for name in order}}

    memory = await MemoryRecord.create(**row)
    memory.content_text = "two"
    await memory.save()

    stored = await MemoryRecord.get(memory_id=memory.memory_id)
    assert (stored.content_text, stored.content_hash) == ("two", "0" * 64)


async def change_attribute(memory: MemoryRecord, text: str) -> None:
    memory.content_text = text
    await memory.save()


async def change_only_the_text(memory: MemoryRecord, text: str) -> None:
    memory.content_text = text
    await memory.save(update_fields=["content_text"])


async def change_from_an_iterator(memory: MemoryRecord, text: str) -> None:
    memory.content_text = text
    await memory.save(update_fields=iter(["content_text"]))


async def change_from_dict(memory: MemoryRecord, text: str) -> None:
    await memory.update_from_dict({"content_text": text}).save()


async def change_through_none(memory: MemoryRecord, text: str) -> None:
    memory.content_text = None  # type: ignore[assignment]
    memory.content_text = text
    await memory.save()


async def change_after_a_refused_one(memory: MemoryRecord, text: str) -> None:
    memory.content_text = "\ud800"
    with pytest.raises(InvalidInputError):
        await memory.save()
    await change_attribute(memory, text)


async def change_in_bulk(memory: MemoryRecord, text: str) -> None:
    memory.content_text = text
    assert await MemoryRecord.bulk_update([memory], fields=["content_text"]) == 1


async def change_what_was_read(memory: MemoryRecord, text: str) -> None:
    await change_attribute(await MemoryRecord.get(memory_id=memory.memory_id), text)


async def change_what_was_read_in_part(memory: MemoryRecord, text: str) -> None:
    partial = await MemoryRecord.all().only("memory_id", "content_text").get(memory_id=memory.memory_id)
    await change_only_the_text(partial, text)


async def change_with_update_or_create(memory: MemoryRecord, text: str) -> None:
    _, created = await MemoryRecord.update_or_create({"content_text": text}, memory_id=memory.memory_id)
    assert not created


async def change_with_a_queryset(memory: MemoryRecord, text: str) -> None:
    assert await MemoryRecord.filter(memory_id=memory.memory_id).update(content_text=text) == 1


@pytest.mark.parametrize(
    "change",
    [
        change_attribute,
        change_only_the_text,
        change_from_an_iterator,
        change_from_dict,
        change_through_none,
        change_after_a_refused_one,
        change_in_bulk,
        change_what_was_read,
        change_what_was_read_in_part,
        change_with_a_queryset,
        change_with_update_or_create,
    ],
)
async def test_hash_follows_the_text(change: Any) -> None:
    memory = await memory_without_hash("one")

    await change(memory, "two")

    stored = await MemoryRecord.get(memory_id=memory.memory_id)
    assert (stored.content_text, stored.content_hash) == ("two", md5("two"))


async def test_saving_another_column_leaves_the_text_alone() -> None:
    memory = await memory_without_hash("one")
    memory.content_text = "two"
    memory.metadata = {"a": 1}

    await memory.save(update_fields=["metadata"])

    stored = await MemoryRecord.get(memory_id=memory.memory_id)
    assert (stored.content_text, stored.content_hash, stored.metadata) == ("one", md5("one"), {"a": 1})


# --- the ways to create -----------------------------------------------------------------------------------------


async def test_bulk_create_stores_all_in_one_statement() -> None:
    rows = [await valid_row(MemoryRecord) for _ in range(50)]
    for row in rows:
        del row["content_hash"]

    await MemoryRecord.bulk_create([MemoryRecord(**row) for row in rows])

    stored = {memory.content_text: memory for memory in await MemoryRecord.all()}
    assert set(stored) == {row["content_text"] for row in rows}
    for memory in stored.values():
        assert memory.content_hash == md5(memory.content_text)
        assert (memory.is_deleted, memory.deleted_at) == (False, None)
        assert memory.created_at == memory.updated_at is not None
    assert len({memory.memory_id for memory in stored.values()}) == 50


async def test_bulk_create_can_skip_and_replace_what_is_there() -> None:
    row = await valid_row(MemoryRecord)
    first = await MemoryRecord.create(**row)
    again = {**row, "metadata": {"seen": 2}}

    await MemoryRecord.bulk_create([MemoryRecord(**again)], ignore_conflicts=True)
    assert (await MemoryRecord.get()).metadata == row["metadata"]

    key = ["agent_id", "tenant_id", "content_hash"]
    await MemoryRecord.bulk_create([MemoryRecord(**again)], on_conflict=key, update_fields=["metadata"])
    stored = await MemoryRecord.get()
    assert (stored.memory_id, stored.metadata) == (first.memory_id, {"seen": 2})


async def test_get_or_create_finds_the_first() -> None:
    row = await valid_row(MemoryRecord)
    key = {name: row.pop(name) for name in ("agent_id", "tenant_id", "content_hash")}

    first, first_created = await MemoryRecord.get_or_create(row, **key)
    second, second_created = await MemoryRecord.get_or_create({**row, "source_type": "external"}, **key)

    assert (first_created, second_created) == (True, False)
    assert columns_of(first) == columns_of(second)


async def test_get_or_create_by_many_at_once_creates_one() -> None:
    row = await valid_row(MemoryRecord)
    key = {name: row.pop(name) for name in ("agent_id", "tenant_id", "content_hash")}

    results = await asyncio.gather(*(MemoryRecord.get_or_create(row, **key) for _ in range(8)))

    assert sorted(created for _, created in results) == [False] * 7 + [True]
    assert len({memory.memory_id for memory, _ in results}) == 1


async def test_update_or_create_creates_then_updates() -> None:
    row = await valid_row(MemoryRecord)
    key = {name: row.pop(name) for name in ("agent_id", "tenant_id", "content_hash")}

    first, first_created = await MemoryRecord.update_or_create(row, **key)
    second, second_created = await MemoryRecord.update_or_create({"metadata": {"a": 1}}, **key)

    assert (first_created, second_created) == (True, False)
    assert first.memory_id == second.memory_id
    assert (await MemoryRecord.get()).metadata == {"a": 1}


# --- relations --------------------------------------------------------------------------------------------------


async def graph() -> tuple[MemoryRecord, MemoryRecord, MemoryEmbedding, MemoryRelationship]:
    source, target = [await MemoryRecord.create(**await valid_row(MemoryRecord)) for _ in range(2)]
    embedding = await MemoryEmbedding.create(memory=source, vector_id="v-1", embedding_model="small")
    edge = await MemoryRelationship.create(source_memory=source, target_memory=target, relationship_type="supports")
    return source, target, embedding, edge


async def test_relations_can_be_followed_in_both_directions() -> None:
    source, target, embedding, edge = await graph()

    assert await source.embeddings == [embedding]
    assert await source.outgoing_edges == [edge]
    assert await source.incoming_edges == []
    assert await target.incoming_edges == [edge]
    assert await target.outgoing_edges == []
    assert await target.embeddings == []
    stored_embedding, stored_edge = await MemoryEmbedding.get(), await MemoryRelationship.get()
    assert stored_embedding.memory_id == source.memory_id
    assert await stored_embedding.memory == source
    assert await stored_edge.source_memory == source
    assert await stored_edge.target_memory == target
    assert (stored_edge.source_memory_id, stored_edge.target_memory_id) == (source.memory_id, target.memory_id)


async def test_relations_can_be_prefetched() -> None:
    source, target, embedding, edge = await graph()

    async with transaction_statements() as statements:
        memory = await MemoryRecord.get(memory_id=source.memory_id).prefetch_related(
            "embeddings", "outgoing_edges__target_memory", "incoming_edges"
        )
        assert list(memory.embeddings) == [embedding]
        assert list(memory.outgoing_edges) == [edge]
        assert list(memory.incoming_edges) == []
        assert memory.outgoing_edges[0].target_memory == target
    assert len(statements) == 5

    async with transaction_statements() as statements:
        (joined,) = await MemoryRelationship.all().select_related("source_memory", "target_memory")
        assert (joined.source_memory.content_text, joined.target_memory.content_text) == (
            source.content_text,
            target.content_text,
        )
    assert len(statements) == 1


async def test_relations_can_be_filtered_and_counted() -> None:
    source, target, embedding, edge = await graph()

    assert await MemoryRecord.filter(embeddings__embedding_model="small") == [source]
    assert await MemoryRecord.filter(incoming_edges__source_memory_id=source.memory_id) == [target]
    assert await MemoryEmbedding.filter(memory__agent_id="agent-1") == [embedding]
    assert await MemoryRelationship.filter(source_memory=source, target_memory_id=str(target.memory_id)) == [edge]
    assert await source.outgoing_edges.filter(relationship_type="supports").count() == 1


# --- what is stored unchanged -----------------------------------------------------------------------------------

STORABLE = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=200)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**300), 10**300) | st.floats(-1e15, 1e15, allow_nan=False) | STORABLE,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(STORABLE, children, max_size=4),
    max_leaves=30,
)
# One database serves all examples: each stores a row and reads it back in a transaction that is rolled back.
AGAINST_THE_DATABASE = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Undo(Exception):  # noqa: N818
    """Ends a transaction without a trace."""


async def read_back(**changes: Any) -> MemoryRecord:
    row = {**await valid_row(MemoryRecord), "content_hash": None, **changes}
    memory = None
    try:
        async with in_transaction():
            created = await MemoryRecord.create(**row)
            memory = await MemoryRecord.get(memory_id=created.memory_id)
            raise Undo
    except Undo:
        pass
    assert memory is not None
    return memory


@AGAINST_THE_DATABASE
@given(text=STORABLE.filter(lambda text: not is_blank(text)))
async def test_any_text_is_stored_byte_for_byte(text: str) -> None:
    memory = await read_back(content_text=text)

    assert memory.content_text == text
    assert memory.content_hash == md5(text)


@pytest.mark.parametrize(
    "text",
    [
        " . ",
        "\t\r\n\x0b\x0c\x1f.\x7f\x85\u2028\u2029",
        "\ufeff\ufffe\uffff\U0010ffff",
        "e\u0301 \u00e9",
        "\\x00 \\u0000",
        "%s $1 ';--",
    ],
    ids=ascii,
)
async def test_unusual_text_is_stored_byte_for_byte(text: str) -> None:
    memory = await read_back(content_text=text, agent_id=text or "agent", metadata={text: [text]})

    assert (memory.content_text, memory.agent_id, memory.metadata) == (text, text or "agent", {text: [text]})


@AGAINST_THE_DATABASE
@given(metadata=st.dictionaries(STORABLE, JSON, max_size=6))
@pytest.mark.long
async def test_any_json_object_is_stored(metadata: dict[str, Any]) -> None:
    assert (await read_back(metadata=metadata)).metadata == metadata


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for level in range(levels):
        value = {"a": value} if level % 2 else {"a": [value]}
    return value


@pytest.mark.parametrize(
    ("given_value", "stored_value"),
    [
        ({}, {}),
        ({"": {"": ""}}, {"": {"": ""}}),
        ({"a": 10**4000}, {"a": 10**4000}),
        ({"a": -(2**63) - 1}, {"a": -(2**63) - 1}),
        ({"a": 1.0, "b": 1, "c": True}, {"a": 1.0, "b": 1, "c": True}),
        ({"a": (1, [2])}, {"a": [1, [2]]}),
        ({"a": SourceType.DOCUMENT}, {"a": "document"}),
        (MappingProxyType({"a": UserDict({"b": MappingProxyType({"c": 1})})}), {"a": {"b": {"c": 1}}}),
        (nested(170), nested(170)),
    ],
    ids=["empty", "empty key", "big", "beyond bigint", "number types", "tuple", "enum", "mappings", "deep"],
)
async def test_unusual_json_object_is_stored(given_value: Any, stored_value: Any) -> None:
    memory = await read_back(metadata=given_value)

    assert memory.metadata == stored_value
    assert json.dumps(memory.metadata) == json.dumps(stored_value)


@pytest.mark.parametrize("number", [1e16, 1e22, 1e23, 1.7976931348623157e308, 5e-324, 2.5e-10, 0.1 + 0.2])
async def test_float_comes_back_as_the_same_number(number: float) -> None:
    metadata = (await read_back(metadata={"a": number})).metadata

    assert metadata is not None
    assert (metadata["a"], type(metadata["a"])) == (number, float)


OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@AGAINST_THE_DATABASE
@given(moment=st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=OFFSETS))
async def test_any_moment_is_stored_to_the_microsecond(moment: datetime) -> None:
    memory = await read_back(created_at=moment, deleted_at=moment.isoformat())

    assert memory.created_at == memory.deleted_at == moment
    assert memory.created_at is not None
    assert memory.created_at.tzinfo is not None


# --- what is refused --------------------------------------------------------------------------------------------


class NowhereZone(tzinfo):
    """A time zone that does not know its offset."""

    def utcoffset(self, _: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


NUL = "contains a NUL character (U+0000), which PostgreSQL cannot store; remove it"
SURROGATE = "contains a lone surrogate at character 1; decode the text correctly first"
NAIVE = "is a naive datetime; give it a time zone, such as datetime.now(UTC)"
NOT_IN_JSON = "which JSON does not have; convert it (a datetime with .isoformat())"
NOT_FINITE = "is NaN or infinite, which JSON does not have; use None or a string"
TOO_DEEP = "is nested too deeply; at most 256 levels are allowed"
CYCLE: dict[str, Any] = {}
CYCLE["a"] = CYCLE

REFUSED: list[tuple[type[StrictModel], str, Any, str, str]] = [
    (MemoryRecord, "agent_id", "a\x00", "agent_id", NUL),
    (MemoryRecord, "agent_id", "a\ud800", "agent_id", SURROGATE),
    (MemoryRecord, "agent_id", 5, "agent_id", "must be a str, not int"),
    (MemoryRecord, "tenant_id", "a\x00", "tenant_id", NUL),
    (MemoryRecord, "tenant_id", "a\udfff", "tenant_id", SURROGATE),
    (MemoryRecord, "tenant_id", b"tenant", "tenant_id", "must be a str, not bytes"),
    (MemoryRecord, "content_text", "a\x00", "content_text", NUL),
    (MemoryRecord, "content_text", "a\ud800b", "content_text", SURROGATE),
    (MemoryRecord, "content_text", b"text", "content_text", "must be a str, not bytes"),
    (MemoryRecord, "content_text", 5, "content_text", "must be a str, not int"),
    (MemoryRecord, "content_text", ["text"], "content_text", "must be a str, not list"),
    (MemoryRecord, "content_hash", "a\x00", "content_hash", NUL),
    (MemoryRecord, "content_hash", "a\ud800", "content_hash", SURROGATE),
    (MemoryRecord, "content_hash", 5, "content_hash", "must be a str, not int"),
    (MemoryRecord, "memory_id", "not an id", "memory_id", "is not a UUID"),
    (MemoryRecord, "memory_id", 5, "memory_id", "is not a UUID"),
    (MemoryRecord, "memory_id", b"0" * 16, "memory_id", "is not a UUID"),
    (MemoryRecord, "pk", "not an id", "memory_id", "is not a UUID"),
    (MemoryRecord, "is_deleted", 1, "is_deleted", "must be a bool, not int"),
    (MemoryRecord, "is_deleted", "false", "is_deleted", "must be a bool, not str"),
    (MemoryRecord, "created_at", datetime(2020, 1, 1), "created_at", NAIVE),
    (MemoryRecord, "created_at", "2020-01-01T00:00:00", "created_at", NAIVE),
    (MemoryRecord, "updated_at", datetime(2020, 1, 1, tzinfo=NowhereZone()), "updated_at", NAIVE),
    (MemoryRecord, "deleted_at", "yesterday", "deleted_at", "is not an ISO 8601 date and time"),
    (MemoryRecord, "deleted_at", 0, "deleted_at", "must be a datetime, not int"),
    (MemoryRecord, "deleted_at", datetime(2020, 1, 1).date(), "deleted_at", "must be a datetime, not date"),
    (MemoryRecord, "metadata", {"a": [1, {"b": "\x00"}]}, "metadata.a[1].b", NUL),
    (MemoryRecord, "metadata", {"a": "x\ud800"}, "metadata.a", SURROGATE),
    (MemoryRecord, "metadata", {"a": {"x\x00": 1}}, "metadata.a (a key)", NUL),
    (MemoryRecord, "metadata", {"x\udc00": 1}, "metadata (a key)", SURROGATE),
    (MemoryRecord, "metadata", {"a": math.nan}, "metadata.a", NOT_FINITE),
    (MemoryRecord, "metadata", {"a": [math.inf]}, "metadata.a[0]", NOT_FINITE),
    (MemoryRecord, "metadata", {"a": -math.inf}, "metadata.a", NOT_FINITE),
    (MemoryRecord, "metadata", {"a": {1, 2}}, "metadata.a", f"is a set, {NOT_IN_JSON}"),
    (MemoryRecord, "metadata", {"a": datetime(2020, 1, 1, tzinfo=UTC)}, "metadata.a", f"is a datetime, {NOT_IN_JSON}"),
    (MemoryRecord, "metadata", {"a": b"x"}, "metadata.a", f"is a bytes, {NOT_IN_JSON}"),
    (MemoryRecord, "metadata", {"a": uuid4()}, "metadata.a", f"is a UUID, {NOT_IN_JSON}"),
    (MemoryRecord, "metadata", {"a": object()}, "metadata.a", f"is a object, {NOT_IN_JSON}"),
    (MemoryRecord, "metadata", {"a": {1: 2}}, "metadata.a", "has a key of type int; keys must be str"),
    (MemoryRecord, "metadata", {None: 2}, "metadata", "has a key of type NoneType; keys must be str"),
    (MemoryRecord, "metadata", {"a": 10**5000}, "metadata.a", "is an integer with too many digits; use a string"),
    (MemoryRecord, "metadata", {"a": -(10**5000)}, "metadata.a", "is an integer with too many digits; use a string"),
    (MemoryRecord, "metadata", nested(200), "metadata", TOO_DEEP),
    (MemoryRecord, "metadata", nested(100_000), "metadata", TOO_DEEP),
    (MemoryRecord, "metadata", CYCLE, "metadata", TOO_DEEP),
    (MemoryRecord, "metadata", [1], "metadata", "must be a dict (a JSON object), not list"),
    (MemoryRecord, "metadata", "{}", "metadata", "must be a dict (a JSON object), not str"),
    (MemoryRecord, "metadata", 0, "metadata", "must be a dict (a JSON object), not int"),
    (MemoryRecord, "content", "text", "content", "is not a column of MemoryRecord"),
    (MemoryRecord, "id", uuid4(), "id", "is not a column of MemoryRecord"),
    (MemoryEmbedding, "memory_id", "not an id", "memory_id", "is not a UUID"),
    (MemoryEmbedding, "vector_id", "a\x00", "vector_id", NUL),
    (MemoryEmbedding, "vector_id", "a\ud800", "vector_id", SURROGATE),
    (MemoryEmbedding, "embedding_model", "a\x00", "embedding_model", NUL),
    (MemoryEmbedding, "embedding_model", "a\ud800", "embedding_model", SURROGATE),
    (MemoryEmbedding, "vector", [1.0], "vector", "is not a column of MemoryEmbedding"),
    (MemoryRelationship, "source_memory_id", "not an id", "source_memory_id", "is not a UUID"),
    (MemoryRelationship, "target_memory_id", 7, "target_memory_id", "is not a UUID"),
    (MemoryRelationship, "confidence_score", "0.5", "confidence_score", "must be a number, not str"),
    (MemoryRelationship, "confidence_score", True, "confidence_score", "must be a number, not bool"),
    (MemoryRelationship, "confidence_score", 10**400, "confidence_score", "must be between 0 and 1"),
    (MemoryRelationship, "weight", 1, "weight", "is not a column of MemoryRelationship"),
    (DataSource, "source_name", "a\x00", "source_name", NUL),
    (DataSource, "source_name", "a\ud800", "source_name", SURROGATE),
    (DataSource, "source_uri", "a\x00", "source_uri", NUL),
    (DataSource, "source_uri", "a\ud800", "source_uri", SURROGATE),
    (DataSource, "source_uri", 5, "source_uri", "must be a str, not int"),
    (DataSource, "is_active", "yes", "is_active", "must be a bool, not str"),
    (DataSource, "last_ingestion_at", datetime(2020, 1, 1), "last_ingestion_at", NAIVE),
    (DataSource, "metadata", {"a": math.nan}, "metadata.a", NOT_FINITE),
    (DataSource, "url", "x", "url", "is not a column of DataSource"),
    (MemoryAccessPolicy, "policy_name", "a\x00", "policy_name", NUL),
    (MemoryAccessPolicy, "policy_name", "a\ud800", "policy_name", SURROGATE),
    (MemoryAccessPolicy, "policy_rules", {"a": "x\ud800"}, "policy_rules.a", SURROGATE),
    (MemoryAccessPolicy, "policy_rules", "package x", "policy_rules", "must be a dict (a JSON object), not str"),
    (MemoryAccessPolicy, "is_active", 0, "is_active", "must be a bool, not int"),
    (MemoryAccessPolicy, "rules", {}, "rules", "is not a column of MemoryAccessPolicy"),
]


async def assert_refused(awaitable: Coroutine[Any, Any, object], field: str, reason: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        await awaitable
    assert (caught.value.field, caught.value.reason) == (field, reason)
    assert str(caught.value) == f"{field}: {reason}"


async def test_bad_values_are_refused_with_the_column_and_the_reason(subtests: pytest.Subtests) -> None:
    rows = {model: await valid_row(model) for model in MODELS}
    before = {model: await model.all().count() for model in MODELS}

    async def bulk_create(model: type[StrictModel], good: Row, bad: Row) -> None:
        await model.bulk_create([model(**good), model(**bad)])

    for number, (model, name, value, field, reason) in enumerate(REFUSED):
        bad = {**rows[model], name: value}
        with subtests.test(f"{number}: {field}: {reason}"):
            await assert_refused(model.create(**bad), field, reason)
            await assert_refused(bulk_create(model, rows[model], bad), field, reason)
    assert {model: await model.all().count() for model in MODELS} == before


async def test_bad_values_are_refused_when_a_stored_row_is_changed(subtests: pytest.Subtests) -> None:
    stored = {model: await model.create(**await valid_row(model)) for model in MODELS}
    before = {model: columns_of(await model.get(pk=stored[model].pk)) for model in MODELS}

    async def from_dict(instance: StrictModel, name: str, value: Any) -> None:
        await instance.update_from_dict({name: value}).save()

    async def attribute(instance: StrictModel, name: str, value: Any) -> None:
        setattr(instance, name, value)
        await instance.save()

    async def query(model: type[StrictModel], name: str, value: Any) -> None:
        await model.all().update(**{name: value})

    for number, (model, name, value, field, reason) in enumerate(REFUSED):
        with subtests.test(f"{number}: {field}: {reason}"):
            await assert_refused(from_dict(await model.get(pk=stored[model].pk), name, value), field, reason)
            if name in model._meta.db_fields and name != model._meta.pk_attr:
                await assert_refused(attribute(await model.get(pk=stored[model].pk), name, value), field, reason)
                await assert_refused(query(model, name, value), field, reason)
    assert {model: columns_of(await model.get(pk=stored[model].pk)) for model in MODELS} == before


async def test_update_from_dict_refuses_none_where_none_is_forbidden() -> None:
    memory = await memory_without_hash()

    with pytest.raises(CheckError) as caught:
        memory.update_from_dict({"agent_id": None})

    assert (caught.value.field, caught.value.sqlstate, caught.value.table) == ("agent_id", "23502", "memory_records")
    assert memory.agent_id == "agent-1"


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        ({"memory_id": "not an id"}, "memory_id"),
        ({"pk": "not an id"}, "memory_id"),
        ({"memory_id__in": [uuid4(), "not an id"]}, "memory_id"),
        ({"embeddings__embedding_id": "not an id"}, "embedding_id"),
        ({"outgoing_edges__target_memory_id": "not an id"}, "target_memory_id"),
        ({"agent_id": "a\x00"}, "agent_id"),
        ({"agent_id__in": ["a", "\ud800"]}, "agent_id"),
        ({"source_type": "rumour"}, "source_type"),
        ({"created_at__gt": datetime(2020, 1, 1)}, "created_at"),
        ({"is_deleted": 0}, "is_deleted"),
        ({"metadata__contains": {"a": math.nan}}, "metadata.a"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
async def test_bad_values_are_refused_in_conditions(condition: dict[str, Any], field: str) -> None:
    async def get() -> object:
        return await MemoryRecord.get(**condition)

    async def read() -> object:
        return await MemoryRecord.filter(**condition)

    for ask in (get, read):
        with pytest.raises(InvalidInputError) as caught:
            await ask()
        assert caught.value.field == field


async def test_missing_row_is_tortoises_own_error() -> None:
    with pytest.raises(DoesNotExist):
        await MemoryRecord.get(memory_id=uuid4())
    assert await MemoryRecord.get_or_none(memory_id=uuid4()) is None


# --- the limit --------------------------------------------------------------------------------------------------


async def test_content_of_a_million_bytes_fits_and_one_more_does_not() -> None:
    memory = await read_back(content_text="é" * 500_000)
    assert len(memory.content_text.encode()) == 1_000_000

    with pytest.raises(InvalidInputError) as caught:
        await memory_without_hash("é" * 500_000 + "x")
    assert str(caught.value) == (
        "content_text: has 1000001 bytes; at most 1000000 are allowed (MEMORY_GUILD_CONTENT_MAX_BYTES)"
    )


async def test_limit_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_CONTENT_MAX_BYTES", "4")
    await memory_without_hash("𝄞")

    with pytest.raises(InvalidInputError) as caught:
        await memory_without_hash("𝄞x")
    assert (caught.value.field, caught.value.reason) == (
        "content_text",
        "has 5 bytes; at most 4 are allowed (MEMORY_GUILD_CONTENT_MAX_BYTES)",
    )

    monkeypatch.setenv("MEMORY_GUILD_CONTENT_MAX_BYTES", "2000000")
    assert len((await memory_without_hash("x" * 2_000_000)).content_text) == 2_000_000


# --- the models as Tortoise sees them ---------------------------------------------------------------------------


async def test_instance_shows_its_id_and_nothing_of_its_content() -> None:
    memory_id = await stored_memory()
    memory = await MemoryRecord.get(memory_id=memory_id)

    assert repr(memory) == f"<MemoryRecord: {memory_id}>"
    assert str(memory) == f"{memory}" == f"<MemoryRecord: {memory_id}>"


async def test_duplicate_keeps_the_instance_unsaved() -> None:
    row = await valid_row(MemoryRecord)
    await MemoryRecord.create(**row)
    memory = MemoryRecord(**row)

    with pytest.raises(DuplicateMemoryError):
        await memory.save()
    memory.agent_id = "agent-2"
    await memory.save()

    assert await MemoryRecord.all().count() == 2
