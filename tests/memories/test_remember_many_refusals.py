"""What a stream to store is refused for: which item, why, and that nothing of it is stored where that was asked for."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from memory_guild import remember, remember_many, tenant_scope
from memory_guild.errors import (
    CheckError,
    ForgottenMemoryError,
    HashCollisionError,
    InvalidInputError,
    TenantMismatchError,
)
from memory_guild.memories.report import ItemOutcome
from memory_guild.models import hash_content
from memory_guild.serializers import MemoryRecordCreate
from memory_guild.types import StoreOutcome
from tests.memories.storing import (
    BAD_VALUES,
    COLLIDING_TEXT,
    CONTENT_LIMIT,
    METADATA_LIMIT,
    SECRET,
    TEXT,
    Connection,
    RememberMany,
    insert,
    item,
    stored,
    texts,
)

pytestmark = pytest.mark.usefixtures("shared_database")


@pytest.fixture
def small_contents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_CONTENT_MAX_BYTES", str(CONTENT_LIMIT))
    monkeypatch.setenv("MEMORY_GUILD_METADATA_MAX_BYTES", str(METADATA_LIMIT))


OTHER_BAD_ITEMS = [
    pytest.param("content_hash", "0" * 32, "content_hash", InvalidInputError, id="another text's hash"),
    pytest.param("content_hash", 5, "content_hash", InvalidInputError, id="hash is a number"),
    pytest.param("is_deleted", True, "is_deleted", InvalidInputError, id="what no caller decides"),
    pytest.param("memory_id", SECRET, "memory_id", InvalidInputError, id="id"),
    pytest.param(7, SECRET, "7", InvalidInputError, id="key is a number"),
    pytest.param("content_text", None, "content_text", InvalidInputError, id="no text"),
    pytest.param("source_type", None, "source_type", CheckError, id="no source type"),
    pytest.param("agent_id", None, "agent_id", InvalidInputError, id="no agent"),
]


@pytest.mark.parametrize(("column", "value", "field", "kind"), [*BAD_VALUES, *OTHER_BAD_ITEMS])
async def test_a_bad_item_is_named(
    column: str, value: Any, field: str, kind: type[InvalidInputError], superuser: Connection, small_contents: None
) -> None:
    items = [item("good"), item("bad") | {column: value}, item("good too")]
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError) as caught:
            await remember_many(items)
        assert await texts(superuser) == []
        report = await remember_many(items, on_error="report")

    assert caught.value.field == f"items[1].{field}"
    assert SECRET not in str(caught.value)
    assert [outcome.outcome for outcome in report] == ["created", "refused", "created"]
    assert report[1] == ItemOutcome(StoreOutcome.REFUSED, None, report.errors[1])
    assert report.errors.keys() == {1}
    assert type(report.errors[1]) is kind
    assert report.errors[1].field == field
    assert caught.value.reason == report.errors[1].reason
    assert await texts(superuser) == ["good", "good too"]


@pytest.mark.parametrize("tenant_id", ["bolt", "", None, 7, "t" * 256])
async def test_an_item_of_another_tenant(superuser: Connection, tenant_id: Any) -> None:
    items = [item("good"), item("bad", tenant_id=tenant_id)]
    async with tenant_scope("acme"):
        with pytest.raises(TenantMismatchError, match=r"^items\[1\]\.tenant_id: is not the scope's"):
            await remember_many(items)
        report = await remember_many(items, on_error="report")
    assert isinstance(report.errors[1], TenantMismatchError)
    assert await texts(superuser) == ["good"]


@pytest.mark.parametrize("bad", [None, 3, "text", ["agent_id"]])
async def test_an_item_that_is_no_object(bad: Any) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError, match="must be a dict or a MemoryRecordCreate") as caught:
            await remember_many([item("good"), bad])
    assert caught.value.field == "items[1]"


async def test_a_serializer_that_was_made_without_validation_is_checked_too(superuser: Connection) -> None:
    unchecked = MemoryRecordCreate.model_construct(**item("two", source_type="rumour", tenant_id="acme"))
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError) as caught:
            await remember_many([item("one"), unchecked])
    assert caught.value.field == "items[1].source_type"
    assert await texts(superuser) == []


@pytest.mark.parametrize("distance", [1, 3, 20])
async def test_two_texts_with_one_hash_in_a_stream(
    superuser: Connection, distance: int, remember_many: RememberMany
) -> None:
    """In one window, or far apart."""
    between = [item(f"text {number}") for number in range(distance - 1)]
    items = [item(TEXT), *between, item(COLLIDING_TEXT), item(TEXT), item(COLLIDING_TEXT, agent_id="librarian")]
    async with tenant_scope("acme"):
        with pytest.raises(HashCollisionError) as caught:
            await remember_many(items)
        assert await texts(superuser) == []
        report = await remember_many(items, on_error="report")

    assert (caught.value.agent_id, caught.value.content_hash) == ("scribe", hash_content(TEXT))
    assert [outcome.outcome for outcome in report[distance:]] == ["refused", "existing", "created"]
    assert isinstance(report.errors[distance], HashCollisionError)
    assert COLLIDING_TEXT not in str(caught.value)
    found = await texts(superuser)
    assert (found.count(TEXT), found.count(COLLIDING_TEXT), len(found)) == (1, 1, distance + 1)


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_another_text_with_the_hash_is_there(
    superuser: Connection, is_deleted: bool, remember_many: RememberMany
) -> None:
    await insert(superuser, TEXT, is_deleted=is_deleted)
    rows = await stored(superuser)
    items = [item("before"), item(COLLIDING_TEXT), item("after"), item(COLLIDING_TEXT)]
    async with tenant_scope("acme"):
        with pytest.raises(HashCollisionError):
            await remember_many(items)
    assert await stored(superuser) == rows

    async with tenant_scope("acme"):
        report = await remember_many(items, on_error="report")
    assert [outcome.outcome for outcome in report] == ["created", "refused", "created", "refused"]
    assert report.errors.keys() == {1, 3}
    assert (await stored(superuser)).items() >= rows.items()


@pytest.mark.parametrize("kind", ["invalid", "collision", "forgotten"])
async def test_an_error_undoes_the_call_and_nothing_else(
    superuser: Connection, kind: str, remember_many: RememberMany
) -> None:
    bad = {"invalid": item("\x00"), "collision": item(COLLIDING_TEXT), "forgotten": item("forgotten")}[kind]
    await insert(superuser, "forgotten", is_deleted=True)
    before = [item(f"text {number}") for number in range(20)]
    async with tenant_scope("acme", "scribe"):
        await remember(TEXT, source_type="document")
        with pytest.raises((InvalidInputError, HashCollisionError, ForgottenMemoryError)):
            await remember_many([*before, bad, item("after")], on_forgotten="raise")
        await remember_many([item("later")])
    assert await texts(superuser) == ["forgotten", TEXT, "later"]


class Text(str):
    """A text that can be watched."""

    __slots__ = ("__weakref__",)


async def test_what_is_reported_keeps_no_other_item_in_memory() -> None:
    watched: list[weakref.ref[Text]] = []

    def items() -> Iterator[dict[str, Any]]:
        for number in range(100):
            text = Text(f"text {number}")
            watched.append(weakref.ref(text))
            yield item(text)
        yield item("bad", source_type=SECRET)
        yield item("bad", metadata={"a": {"b": float("nan")}})
        yield item("\ud800")

    async with tenant_scope("acme"):
        report = await remember_many(items(), on_error="report")

    gc.collect()
    assert (report.created, report.refused) == (100, 3)
    assert [reference for reference in watched if reference() is not None] == []
