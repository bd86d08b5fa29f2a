"""Storing a stream: one outcome for each item in the items' order, all of it or nothing, and what is refused."""

from __future__ import annotations

import random
from typing import Any
from uuid import UUID

import pytest

from memory_guild import admin_scope, forget, remember, remember_many, restore, tenant_scope
from memory_guild.errors import (
    ForgottenMemoryError,
    InvalidInputError,
    TenantNotSetError,
)
from memory_guild.models import MemoryRecord, hash_content
from memory_guild.types import SourceType, StoreOutcome
from tests.memories.storing import (
    COLLIDING_TEXT,
    TEXT,
    Connection,
    RememberMany,
    insert,
    item,
    stored,
    texts,
)

pytestmark = pytest.mark.usefixtures("shared_database")


# --- outcomes ---------------------------------------------------------------------------------------------------


async def test_each_item_has_the_outcome_that_remember_would_have_had(
    superuser: Connection, remember_many: RememberMany
) -> None:
    """A thousand items of two hundred texts, some of them there before, some forgotten, against a plain dict."""
    chosen = random.Random(4)
    expected: dict[tuple[str, str], StoreOutcome] = {}
    known: dict[tuple[str, str], Any] = {}
    async with tenant_scope("acme", "scribe"):
        for number in range(0, 200, 3):
            memory, _ = await remember(f"text {number}", source_type="document", agent_id=f"agent {number % 2}")
            known[memory.agent_id, memory.content_text] = memory.memory_id
            expected[memory.agent_id, memory.content_text] = StoreOutcome.EXISTING
            if number % 2:
                await forget(memory)
                expected[memory.agent_id, memory.content_text] = StoreOutcome.RESTORED
        items = [
            item(f"text {chosen.randrange(200)}", agent_id=f"agent {chosen.randrange(2)}", metadata={"number": number})
            for number in range(1000)
        ]
        report = await remember_many(items)

    assert len(report) == 1000
    for given, outcome in zip(items, report, strict=True):
        key = given["agent_id"], given["content_text"]
        assert outcome.outcome is expected.get(key, StoreOutcome.CREATED)
        expected[key] = StoreOutcome.EXISTING
        assert outcome.memory_id == known.setdefault(key, outcome.memory_id)
        assert outcome.error is None
    rows = await stored(superuser)
    assert {(row["agent_id"], row["content_text"]): row["memory_id"] for row in rows.values()} == known
    met = {(given["agent_id"], given["content_text"]) for given in items}
    assert not any(row["is_deleted"] for row in rows.values() if (row["agent_id"], row["content_text"]) in met)


async def test_the_first_of_several_equal_items_is_the_one_that_is_stored(
    superuser: Connection, remember_many: RememberMany
) -> None:
    items = [item(f"text {number % 7}", metadata={"number": number}) for number in range(30)]
    async with tenant_scope("acme"):
        report = await remember_many(items)

    assert [outcome.outcome for outcome in report] == ["created"] * 7 + ["existing"] * 23
    assert [outcome.memory_id for outcome in report[7:14]] == [outcome.memory_id for outcome in report[:7]]
    numbers = await superuser.fetch("SELECT (metadata ->> 'number')::int AS number FROM memory_records ORDER BY number")
    assert [row["number"] for row in numbers] == list(range(7))


async def test_memories_keep_the_order_of_the_items(superuser: Connection, remember_many: RememberMany) -> None:
    in_order = [f"text {number}" for number in random.Random(2).sample(range(100), 100)]
    async with tenant_scope("acme"):
        await remember("before", source_type="document", agent_id="scribe")
        await remember_many(map(item, in_order))
        await remember("after", source_type="document", agent_id="scribe")

    assert await texts(superuser) == ["before", *in_order, "after"]
    assert await superuser.fetchval("SELECT count(DISTINCT created_at) FROM memory_records") == 102
    assert await superuser.fetchval("SELECT bool_and(created_at = updated_at) FROM memory_records")


async def test_what_is_there_is_not_written_again(superuser: Connection, remember_many: RememberMany) -> None:
    items = [item(f"text {number}", metadata={"kept": True}) for number in range(20)]
    async with tenant_scope("acme"):
        first = await remember_many(items)
    rows = await stored(superuser)

    async with tenant_scope("acme"):
        again = await remember_many(
            [given | {"metadata": {"kept": False}, "source_type": "external"} for given in items]
        )

    assert (again.created, again.existing, again.restored, again.refused) == (0, 20, 0, 0)
    assert [outcome.memory_id for outcome in again] == [outcome.memory_id for outcome in first]
    assert await stored(superuser) == rows


async def test_tenant_and_agent_are_the_scopes_where_an_item_names_none(superuser: Connection) -> None:
    plain = {"source_type": "document", "content_text": TEXT}
    async with tenant_scope("acme", "scribe"):
        report = await remember_many([plain, plain | {"tenant_id": "acme"}, plain | {"agent_id": "librarian"}])
        async with tenant_scope("acme", "archivist"):
            report_of_another = await remember_many([plain | {"agent_id": None}])

    assert [outcome.outcome for outcome in [*report, *report_of_another]] == [
        "created",
        "existing",
        "created",
        "created",
    ]
    owners = sorted((row["tenant_id"], row["agent_id"]) for row in (await stored(superuser)).values())
    assert owners == [("acme", "archivist"), ("acme", "librarian"), ("acme", "scribe")]


async def test_a_new_memory_has_every_column() -> None:
    text = "héllo 'wörld' \U0001f40d\r\n\\x00 \ufeff"
    async with tenant_scope("acme"):
        (outcome,) = await remember_many([item(text, metadata={"a": [1, None, "ü"]})])
        record = await MemoryRecord.get(memory_id=outcome.memory_id)

    assert outcome.outcome is StoreOutcome.CREATED
    assert (record.agent_id, record.tenant_id, record.source_type) == ("scribe", "acme", SourceType.DOCUMENT)
    assert (record.content_text, record.content_hash) == (text, hash_content(text))
    assert record.metadata == {"a": [1, None, "ü"]}
    assert (record.is_deleted, record.deleted_at) == (False, None)
    assert record.created_at is not None
    assert record.created_at == record.updated_at


@pytest.mark.parametrize("given", [item("."), item(".", metadata=None), item(".", metadata={})])
async def test_metadata_may_be_empty(given: dict[str, Any], superuser: Connection) -> None:
    async with tenant_scope("acme"):
        assert (await remember_many([given])).created == 1
    assert await superuser.fetchval("SELECT content_text || metadata FROM memory_records") == ".{}"


async def test_agents_and_tenants_keep_their_own_copies(superuser: Connection) -> None:
    owners: dict[UUID | None, tuple[str, str]] = {}
    for tenant_id in ("y", "x", "z"):
        async with tenant_scope(tenant_id):
            report = await remember_many([item(TEXT, agent_id=agent_id) for agent_id in "ab"])
        assert report.created == 2
        owners |= {report[0].memory_id: ("a", tenant_id), report[1].memory_id: ("b", tenant_id)}

    rows = (await stored(superuser)).values()
    assert {row["memory_id"]: (row["agent_id"], row["tenant_id"]) for row in rows} == owners


async def test_another_tenants_copies_are_none(superuser: Connection) -> None:
    await insert(superuser, TEXT, tenant_id="bolt")
    await insert(superuser, "forgotten", tenant_id="bolt", is_deleted=True)
    rows = await stored(superuser)
    async with tenant_scope("acme"):
        assert (await remember_many([item(TEXT), item("forgotten")], on_forgotten="raise")).created == 2
    assert (await stored(superuser)).items() >= rows.items()


@pytest.mark.parametrize(
    ("on_forgotten", "expected"),
    [("restore", ["restored", "existing"]), ("keep", ["existing"] * 2), ("raise", ["refused"] * 2)],
)
async def test_forgotten_texts(
    superuser: Connection, on_forgotten: Any, expected: list[str], remember_many: RememberMany
) -> None:
    forgotten = [await insert(superuser, f"text {number}", is_deleted=True) for number in range(10)]
    rows = await stored(superuser)
    items = [item(f"text {number}") for number in range(10)]
    async with tenant_scope("acme"):
        report = await remember_many([*items, item("new"), *items], on_forgotten=on_forgotten, on_error="report")

    assert [outcome.outcome for outcome in report] == [expected[0]] * 10 + ["created"] + [expected[1]] * 10
    if on_forgotten == "raise":
        assert all(isinstance(error, ForgottenMemoryError) for error in report.errors.values())
        assert [getattr(report.errors[number], "memory_id", None) for number in range(10)] == forgotten
    else:
        assert [outcome.memory_id for outcome in report[:10]] == forgotten
    after = await stored(superuser)
    assert len(after) == 11
    assert all(after[memory_id]["is_deleted"] is (on_forgotten != "restore") for memory_id in forgotten)
    if on_forgotten == "keep":
        assert after.items() >= rows.items()


# --- the counts and the report ----------------------------------------------------------------------------------


async def test_an_empty_stream() -> None:
    told: list[int] = []
    async with tenant_scope("acme"):
        report = await remember_many([], progress=told.append)
    assert (list(report), len(report), report.created, report.refused, told) == ([], 0, 0, 0, [])


@pytest.mark.parametrize("last", ["text 29", "\x00"])
async def test_progress_grows_up_to_the_number_of_items(last: str, remember_many: RememberMany) -> None:
    told: list[int] = []
    items = [item(f"text {number}") for number in range(29)]
    items[3] = item("\x00")
    items[10:12] = [item(TEXT), item(COLLIDING_TEXT)]
    async with tenant_scope("acme"):
        report = await remember_many([*items, item(last)], on_error="report", progress=told.append)

    assert told == sorted(set(told))
    assert len(told) > 3
    assert told[-1] == len(report) == 30


async def test_a_progress_that_fails_ends_it(superuser: Connection) -> None:
    def fail(done: int) -> None:
        raise ZeroDivisionError

    async with tenant_scope("acme"):
        with pytest.raises(ZeroDivisionError):
            await remember_many([item("one")], progress=fail)
        await remember_many([item("two")])
    assert await texts(superuser) == ["two"]


# --- arguments and scopes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("items", None),
        ("items", 5),
        ("items", item),
        ("on_forgotten", "revive"),
        ("on_forgotten", None),
        ("on_error", "skip"),
        ("on_error", True),
    ],
)
async def test_a_bad_argument_is_named(argument: str, value: Any) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError) as caught:
            await remember_many(**({"items": [item("one")]} | {argument: value}))
    assert caught.value.field == argument


@pytest.mark.parametrize("items", ["text", item("a dict by itself")])
async def test_one_item_is_no_stream(items: Any) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError, match="must be a dict or a MemoryRecordCreate") as caught:
            await remember_many(items)
    assert caught.value.field == "items[0]"


async def test_it_needs_a_tenant() -> None:
    with pytest.raises(TenantNotSetError):
        await remember_many([item("one")])
    async with admin_scope():
        with pytest.raises(TenantNotSetError):
            await remember_many([item("one", tenant_id="acme")])


async def test_a_scope_that_fails_undoes_it(superuser: Connection) -> None:
    with pytest.raises(ZeroDivisionError):
        async with tenant_scope("acme"):
            report = await remember_many([item("one"), item("two")])
            assert await restore(*[outcome.memory_id for outcome in report if outcome.memory_id]) == 0
            raise ZeroDivisionError
    assert await texts(superuser) == []
