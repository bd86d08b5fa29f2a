"""Changing a memory in place, compared and set."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from memory_guild import admin_scope, forget, get, remember, restore, tenant_scope, update
from memory_guild.errors import (
    CheckError,
    ConflictError,
    DuplicateMemoryError,
    InvalidInputError,
    MemoryNotFoundError,
    TenantNotSetError,
)
from memory_guild.models import MemoryRecord, hash_content
from tests.memories.storing import (
    BAD_VALUES,
    COLLIDING_TEXT,
    CONTENT_LIMIT,
    METADATA_LIMIT,
    SECRET,
    TEXT,
    Connection,
    columns,
    insert,
    stored,
)
from tests.rows import columns_of

pytestmark = pytest.mark.usefixtures("shared_database")


async def a_memory(text: str = TEXT, **changes: Any) -> MemoryRecord:
    return (await remember(text, **({"source_type": "document", "metadata": {"page": 3}} | changes))).memory


# --- what changes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"content_text": "another text"},
        {"content_text": "."},
        {"source_type": "external"},
        {"metadata": {"page": [4]}},
        {"metadata": {}},
        {"content_text": "another text", "source_type": "observation", "metadata": {"a": None}},
    ],
)
async def test_what_is_given_changes_and_nothing_else(changes: dict[str, Any], superuser: Connection) -> None:
    async with tenant_scope("acme", "scribe"):
        before = await a_memory()
        other = await a_memory("other")
        after = await update(before, **changes)
        assert columns_of(after) == columns_of(await get(before))

    changed = dict(changes)
    if "content_text" in changes:
        changed["content_hash"] = hash_content(changes["content_text"])
    assert columns_of(after) == columns_of(before) | changed | {"updated_at": after.updated_at}
    assert after.updated_at is not None
    assert before.updated_at is not None
    assert after.updated_at > before.updated_at
    rows = await stored(superuser)
    assert rows[other.memory_id]["updated_at"] == other.updated_at


@pytest.mark.parametrize("named", [lambda memory: memory.memory_id, lambda memory: str(memory.memory_id).upper()])
async def test_the_memory_may_be_named_by_its_id(named: Any) -> None:
    async with tenant_scope("acme", "scribe"):
        before = await a_memory()
        assert (await update(named(before), source_type="external")).memory_id == before.memory_id


async def test_a_new_text_is_found_and_the_old_one_is_free() -> None:
    async with tenant_scope("acme", "scribe"):
        before = await a_memory()
        await update(before, content_text="another text")
        assert (await remember("another text", source_type="document")).outcome == "existing"
        assert (await remember(TEXT, source_type="document")).outcome == "created"


# --- versions ---------------------------------------------------------------------------------------------------


async def test_versions_strictly_grow_even_inside_one_scope() -> None:
    versions: list[Any] = []
    async with tenant_scope("acme", "scribe"):
        memory = await a_memory()
        versions.append(memory.updated_at)
        for number in range(20):
            versions.append((await update(memory, metadata={"number": number})).updated_at)
            await forget(memory)
            versions.append(memory.updated_at)
            await restore(memory)
            versions.append(memory.updated_at)
            await forget(memory)
            versions.append(memory.updated_at)
            versions.append((await remember(TEXT, source_type="document")).memory.updated_at)
    assert versions == sorted(set(versions))
    assert len(versions) == 101


async def test_a_version_grows_where_the_clock_went_back(superuser: Connection) -> None:
    memory_id = await insert(superuser, TEXT)
    future = datetime.now(UTC) + timedelta(days=1)
    await superuser.execute("UPDATE memory_records SET updated_at = $1", future)
    async with tenant_scope("acme"):
        memory = await update(memory_id, metadata={"a": 1})
        assert memory.updated_at == future + timedelta(microseconds=1)
        await forget(memory)
        assert memory.updated_at == future + timedelta(microseconds=2)
        await restore(memory)
        assert memory.updated_at == future + timedelta(microseconds=3)


async def test_a_memory_without_a_version_gets_one(superuser: Connection) -> None:
    memory_id = await insert(superuser, TEXT, updated_at=None)
    async with tenant_scope("acme"):
        with pytest.raises(ConflictError) as caught:
            await update(memory_id, metadata={"a": 1}, expected_updated_at=datetime.now(UTC))
        assert caught.value.actual_updated_at is None
        assert (await update(memory_id, metadata={"a": 1})).updated_at is not None


async def test_the_expected_version_is_compared() -> None:
    async with tenant_scope("acme", "scribe"):
        first = await a_memory()
        second = await update(first, metadata={"page": 4}, expected_updated_at=first.updated_at)
        with pytest.raises(ConflictError) as caught:
            await update(first, metadata={"page": 5}, expected_updated_at=first.updated_at)
        assert columns_of(await get(first)) == columns_of(second)
        assert second.updated_at is not None
        in_another_zone = second.updated_at.astimezone()
        third = await update(first, metadata={"page": 6}, expected_updated_at=in_another_zone)

    error = caught.value
    assert (error.memory_id, error.expected_updated_at, error.actual_updated_at) == (
        first.memory_id,
        first.updated_at,
        second.updated_at,
    )
    assert str(first.updated_at) in str(error)
    assert str(second.updated_at) in str(error)
    assert third.metadata == {"page": 6}


async def test_of_many_who_change_one_version_one_succeeds() -> None:
    async with tenant_scope("acme", "scribe"):
        memory = await a_memory()

    async def change(number: int) -> MemoryRecord | ConflictError:
        async with tenant_scope("acme"):
            try:
                return await update(memory, metadata={"by": number}, expected_updated_at=memory.updated_at)
            except ConflictError as error:
                return error

    results = await asyncio.gather(*map(change, range(20)))
    (changed,) = [result for result in results if isinstance(result, MemoryRecord)]
    conflicts = [result for result in results if isinstance(result, ConflictError)]
    assert len(conflicts) == 19
    assert {conflict.actual_updated_at for conflict in conflicts} == {changed.updated_at}
    async with tenant_scope("acme"):
        assert (await get(memory)).metadata == changed.metadata


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expects_version", [False, True])
@pytest.mark.parametrize("state", ["forgotten", "missing", "another tenant's"])
async def test_a_memory_that_is_not_there(state: str, expects_version: bool, superuser: Connection) -> None:
    memory_id: UUID = uuid4()
    if state != "missing":
        tenant_id = "bolt" if state == "another tenant's" else "acme"
        memory_id = await insert(superuser, TEXT, tenant_id=tenant_id, is_deleted=state == "forgotten")
    rows = await stored(superuser)
    expected = rows[memory_id]["updated_at"] if rows else datetime.now(UTC)
    async with tenant_scope("acme"):
        with pytest.raises(MemoryNotFoundError) as caught:
            await update(memory_id, metadata={}, expected_updated_at=expected if expects_version else None)
    assert caught.value.memory_ids == (memory_id,)
    assert await stored(superuser) == rows


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_a_text_that_another_memory_has(is_deleted: bool, superuser: Connection) -> None:
    memory_id = await insert(superuser, "one")
    await insert(superuser, TEXT, is_deleted=is_deleted)
    rows = await columns(superuser)
    for text in (TEXT, COLLIDING_TEXT):
        with pytest.raises(DuplicateMemoryError) as caught:
            async with tenant_scope("acme"):
                await update(memory_id, content_text=text)
        assert (caught.value.constraint, caught.value.sqlstate) == ("unique_content_hash", "23505")
        assert text not in str(caught.value)
    async with tenant_scope("acme"):
        with pytest.raises(DuplicateMemoryError):
            async with tenant_scope("acme"):
                await update(memory_id, content_text=TEXT)
        await get(memory_id)  # the nested scope alone was undone
    assert await columns(superuser) == rows


@pytest.mark.parametrize("other", [{"agent_id": "librarian"}, {"tenant_id": "bolt"}])
async def test_a_text_that_somebody_elses_memory_has(other: dict[str, str], superuser: Connection) -> None:
    await insert(superuser, TEXT, **other)
    memory_id = await insert(superuser, "one")
    async with tenant_scope("acme"):
        assert (await update(memory_id, content_text=TEXT)).content_text == TEXT


async def test_nothing_to_change() -> None:
    async with tenant_scope("acme", "scribe"):
        memory = await a_memory()
        with pytest.raises(InvalidInputError, match="there is nothing to change"):
            await update(memory, expected_updated_at=memory.updated_at)


@pytest.mark.parametrize(
    ("column", "value", "field", "kind"),
    [case for case in BAD_VALUES if case.values[0] not in ("agent_id", "created_at")],
)
async def test_a_bad_value_is_named_and_nothing_changes(
    column: str,
    value: Any,
    field: str,
    kind: type[InvalidInputError],
    superuser: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_CONTENT_MAX_BYTES", str(CONTENT_LIMIT))
    monkeypatch.setenv("MEMORY_GUILD_METADATA_MAX_BYTES", str(METADATA_LIMIT))
    memory_id = await insert(superuser, TEXT)
    rows = await stored(superuser)
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError) as caught:
            await update(memory_id, **{column: value})
        await get(memory_id)
    assert (type(caught.value), caught.value.field) == (kind, field)
    assert (kind is CheckError) is (column == "source_type")
    assert SECRET not in str(caught.value)
    assert await stored(superuser) == rows


@pytest.mark.parametrize("expected", [datetime(2026, 1, 1), "2026-01-01T00:00:00Z", 5])
async def test_a_version_is_an_aware_datetime(expected: Any) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError) as caught:
            await update(uuid4(), metadata={}, expected_updated_at=expected)
    assert caught.value.field == "expected_updated_at"


@pytest.mark.parametrize("memory", ["no id", 5, None, b"0" * 16])
async def test_a_name_of_no_memory(memory: Any) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError, match="is not a UUID") as caught:
            await update(memory, metadata={})
    assert caught.value.field == "memory"


async def test_it_needs_a_tenant() -> None:
    with pytest.raises(TenantNotSetError):
        await update(uuid4(), metadata={})
    async with admin_scope():
        with pytest.raises(TenantNotSetError):
            await update(uuid4(), metadata={})
