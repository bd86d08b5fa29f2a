"""What remember refuses, before anything is written: which value, why, and that the scope goes on."""

from __future__ import annotations

from typing import Any

import pytest

from memory_guild import remember, remember_many, tenant_scope, update
from memory_guild.errors import CheckError, ConstraintError, HashCollisionError, InvalidInputError
from memory_guild.models import MemoryRecord, hash_content
from tests.memories.storing import (
    BAD_VALUES,
    COLLIDING_TEXT,
    CONTENT_LIMIT,
    METADATA_LIMIT,
    SECRET,
    SOURCE_TYPE_CHECK,
    TEXT,
    Connection,
    insert,
    item,
    stored,
    texts,
)

pytestmark = pytest.mark.usefixtures("shared_database")


@pytest.mark.parametrize(("column", "value", "field", "kind"), BAD_VALUES)
async def test_a_bad_value_is_named_and_nothing_is_written(
    column: str, value: Any, field: str, kind: type[InvalidInputError], superuser: Connection, small_contents: None
) -> None:
    async with tenant_scope("acme", "scribe"):
        with pytest.raises(InvalidInputError) as caught:
            await remember(**({"content_text": TEXT, "source_type": "document"} | {column: value}))
        await remember("after", source_type="document")  # nothing was sent, so the scope goes on

    assert type(caught.value) is kind
    assert caught.value.field == field
    assert str(caught.value) == f"{field}: {caught.value.reason}"
    assert SECRET not in str(caught.value)
    assert await texts(superuser) == ["after"]


@pytest.fixture
def small_contents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_CONTENT_MAX_BYTES", str(CONTENT_LIMIT))
    monkeypatch.setenv("MEMORY_GUILD_METADATA_MAX_BYTES", str(METADATA_LIMIT))


async def test_metadata_has_a_limit(monkeypatch: pytest.MonkeyPatch, superuser: Connection) -> None:
    """In bytes of UTF-8, whatever the way in."""
    monkeypatch.setenv("MEMORY_GUILD_METADATA_MAX_BYTES", "100")
    fits, too_long = {"a": "ü" * 46}, {"a": "ü" * 46 + "u"}
    async with tenant_scope("acme", "scribe"):
        memory, _ = await remember("text", source_type="document", metadata=fits)
        for refused in (
            lambda: remember("other", source_type="document", metadata=too_long),
            lambda: update(memory, metadata=too_long),
            lambda: MemoryRecord.create(content_text="other", source_type="document", metadata=too_long),
        ):
            with pytest.raises(InvalidInputError, match="has 101 bytes as JSON; at most 100 are allowed") as caught:
                await refused()
            assert caught.value.field == "metadata"
        report = await remember_many([item("one"), item("two", metadata=too_long)], on_error="report")
    assert [outcome.outcome for outcome in report] == ["created", "refused"]
    assert await texts(superuser) == ["text", "one"]


async def test_a_text_of_exactly_the_limit_is_a_memory_and_so_is_a_single_sign(small_contents: None) -> None:
    async with tenant_scope("acme", "scribe"):
        for text in ("ü" * (CONTENT_LIMIT // 2), "?", " - ", "\ufeff.", "\U0001f40d", "\ue000", "\u0301"):
            memory, outcome = await remember(text, source_type="document")
            assert (memory.content_text, outcome) == (text, "created")


@pytest.mark.parametrize("missing", ["content_text", "source_type"])
async def test_what_is_required_cannot_be_none(missing: str, superuser: Connection) -> None:
    async with tenant_scope("acme", "scribe"):
        given: dict[str, Any] = {"content_text": TEXT, "source_type": "document", missing: None}
        with pytest.raises(InvalidInputError, match="is required and cannot be None") as caught:
            await remember(**given)
    assert caught.value.field == missing
    assert await stored(superuser) == {}


async def test_an_unknown_source_type_is_the_error_of_the_check() -> None:
    async with tenant_scope("acme", "scribe"):
        with pytest.raises(CheckError) as caught:
            await remember(TEXT, source_type="rumour")
    assert (caught.value.constraint, caught.value.table) == (SOURCE_TYPE_CHECK, "memory_records")
    assert caught.value.sqlstate == "23514"


async def test_without_any_agent_nothing_is_remembered(superuser: Connection) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError, match="is required") as caught:
            await remember(TEXT, source_type="document")
    assert caught.value.field == "agent_id"
    assert await stored(superuser) == {}


@pytest.mark.parametrize("choice", ["revive", "", None, True])
async def test_an_unknown_choice_is_refused(choice: Any) -> None:
    async with tenant_scope("acme", "scribe"):
        with pytest.raises(InvalidInputError, match="must be one of: restore, keep, raise") as caught:
            await remember(TEXT, source_type="document", on_forgotten=choice)
    assert caught.value.field == "on_forgotten"


async def test_no_metadata_is_an_empty_object() -> None:
    async with tenant_scope("acme", "scribe"):
        for text, metadata in (("none", None), ("empty", {})):
            assert (await remember(text, source_type="document", metadata=metadata)).memory.metadata == {}


@pytest.mark.parametrize("on_forgotten", ["restore", "keep", "raise"])
@pytest.mark.parametrize("is_deleted", [False, True])
async def test_another_text_with_the_hash_is_an_error_and_stays_as_it_is(
    superuser: Connection, is_deleted: bool, on_forgotten: Any
) -> None:
    assert hash_content(TEXT) == hash_content(COLLIDING_TEXT)
    await insert(superuser, TEXT, is_deleted=is_deleted)
    rows = await stored(superuser)

    async with tenant_scope("acme", "scribe"):
        with pytest.raises(HashCollisionError) as caught:
            await remember(COLLIDING_TEXT, source_type="document", on_forgotten=on_forgotten)
        await remember(COLLIDING_TEXT + " ", source_type="document")  # what the message advises, in the same scope

    error = caught.value
    assert isinstance(error, ConstraintError)
    assert (error.agent_id, error.content_hash) == ("scribe", hash_content(TEXT))
    assert (error.constraint, error.table) == ("unique_content_hash", "memory_records")
    assert TEXT not in str(error)
    assert COLLIDING_TEXT not in str(error)
    after = await stored(superuser)
    assert after.items() > rows.items()
    assert len(after) == 2
