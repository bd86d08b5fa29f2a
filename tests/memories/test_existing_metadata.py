"""What becomes of the metadata of a text that is already there: kept, merged or replaced, one by one and in batches."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import pytest

from memory_guild import forget, get, remember, remember_many, tenant_scope
from memory_guild.database.connecting import connect
from memory_guild.database.scope import current_scope
from memory_guild.errors import ForgottenMemoryError, HashCollisionError, InvalidInputError
from memory_guild.models import hash_content
from memory_guild.serializers import MemoryRecordCreate
from memory_guild.types import StoreOutcome
from tests.memories.reading import statements_of
from tests.memories.storing import (
    COLLIDING_TEXT,
    TEXT,
    Connection,
    RememberMany,
    insert,
    item,
    stored,
    until_one_waits,
)
from tests.rows import columns_of

TASKS = 30

Store: TypeAlias = Callable[..., Awaitable[StoreOutcome]]


async def one(text: str, **arguments: Any) -> StoreOutcome:
    """Store a text by itself."""
    return (await remember(text, source_type="external", **arguments)).outcome


async def in_a_batch(text: str, *, metadata: Any = None, created_at: Any = None, **arguments: Any) -> StoreOutcome:
    """Store a text as an item of a batch."""
    given = {"content_text": text, "source_type": "external", "metadata": metadata, "created_at": created_at}
    return (await remember_many([given], **arguments))[0].outcome


WAYS = pytest.mark.parametrize("store", [one, in_a_batch])

shared = pytest.mark.usefixtures("shared_database")

AFTERWARDS: list[tuple[str, Any, Any, Any]] = [
    # on_existing, the metadata that is there, the metadata that is given, the metadata afterwards
    ("keep", {"a": 1}, {"a": 2, "b": 3}, {"a": 1}),
    ("merge", {"a": 1, "c": 4}, {"a": 2, "b": 3}, {"a": 2, "b": 3, "c": 4}),
    ("merge", {"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"y": 2}}),
    ("merge", {"a": 1}, {"a": None}, {"a": None}),
    ("merge", {"a": 1}, {}, {"a": 1}),
    ("merge", {"a": 1}, None, {"a": 1}),
    ("merge", {}, {"a": 1e23}, {"a": 1e23}),
    ("replace", {"a": 1, "c": 4}, {"b": 3}, {"b": 3}),
    ("replace", {"a": 1}, {}, {}),
    ("replace", {"a": 1}, None, {"a": 1}),
]


@shared
@WAYS
@pytest.mark.parametrize(("choice", "before", "given", "after"), AFTERWARDS)
@pytest.mark.parametrize("is_forgotten", [False, True])
async def test_what_becomes_of_it(
    store: Store, choice: str, before: Any, given: Any, after: Any, is_forgotten: bool
) -> None:
    async with tenant_scope("acme", "scribe"):
        memory, _ = await remember(TEXT, source_type="document", metadata=before)
        if is_forgotten:
            await forget(memory)
        outcome = await store(TEXT, metadata=given, on_existing=choice)
        now = await get(memory)

    assert outcome == ("restored" if is_forgotten else "existing")
    assert now.metadata == after
    assert now.updated_at is not None
    assert memory.updated_at is not None
    assert (now.updated_at > memory.updated_at) is (is_forgotten or after != before)
    assert columns_of(now) == columns_of(memory) | {
        "metadata": after,
        "updated_at": now.updated_at,
        "is_deleted": False,
        "deleted_at": None,
    }


@shared
@WAYS
@pytest.mark.parametrize("choice", ["merge", "replace"])
async def test_what_stays_the_same_is_not_written(store: Store, choice: str, superuser: Connection) -> None:
    async with tenant_scope("acme", "scribe"):
        await remember(TEXT, source_type="document", metadata={"b": 3.0, "a": 1e30})
    rows = [row["ctid"] for row in (await stored(superuser)).values()]
    async with tenant_scope("acme", "scribe"):
        assert await store(TEXT, metadata={"a": 1e30, "b": 3}, on_existing=choice) == "existing"
    assert [row["ctid"] for row in (await stored(superuser)).values()] == rows


@shared
@WAYS
@pytest.mark.parametrize("choice", ["merge", "replace"])
async def test_what_stays_forgotten_or_is_an_error_keeps_its_metadata(
    store: Store, choice: str, superuser: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_METADATA_MAX_BYTES", "30")
    async with tenant_scope("acme", "scribe"):
        memory, _ = await remember(TEXT, source_type="document", metadata={"a": "x" * 20})
        await forget(memory)
    rows = {memory_id: row["ctid"] for memory_id, row in (await stored(superuser)).items()}
    async with tenant_scope("acme", "scribe"):
        given = {"metadata": {"b": "y" * 20}, "on_existing": choice}
        assert await store(TEXT, on_forgotten="keep", **given) == "existing"
        with pytest.raises(ForgottenMemoryError):
            await store(TEXT, on_forgotten="raise", **given)
        with pytest.raises(HashCollisionError):
            await store(COLLIDING_TEXT, **given)
    assert {memory_id: row["ctid"] for memory_id, row in (await stored(superuser)).items()} == rows


@shared
@WAYS
@pytest.mark.parametrize("before", [None, '["an array"]', "3"])
async def test_merging_with_no_object_replaces_it(store: Store, before: str | None, superuser: Connection) -> None:
    memory_id = await insert(superuser, TEXT, metadata=before)
    async with tenant_scope("acme", "scribe"):
        assert await store(TEXT, metadata={"a": 1}, on_existing="merge") == "existing"
        assert (await get(memory_id)).metadata == {"a": 1}


@shared
@WAYS
@pytest.mark.parametrize("is_forgotten", [False, True])
async def test_merged_metadata_has_the_limit_of_all_metadata(
    store: Store, is_forgotten: bool, superuser: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_METADATA_MAX_BYTES", "70")
    async with tenant_scope("acme", "scribe"):
        memory, _ = await remember(TEXT, source_type="document", metadata={"a": "x" * 40})
        if is_forgotten:
            await forget(memory)
    rows = [row["ctid"] for row in (await stored(superuser)).values()]
    async with tenant_scope("acme", "scribe"):
        with pytest.raises(InvalidInputError, match="MEMORY_GUILD_METADATA_MAX_BYTES") as caught:
            await store(TEXT, metadata={"b": "y" * 40}, on_existing="merge")
        assert caught.value.field.endswith("metadata")
    assert [row["ctid"] for row in (await stored(superuser)).values()] == rows

    async with tenant_scope("acme", "scribe"):
        await store(TEXT, metadata={"a": "z"}, on_existing="merge")
        await store(TEXT, metadata={"b": "y" * 40}, on_existing="merge")
        assert (await get(memory)).metadata == {"a": "z", "b": "y" * 40}


@shared
@WAYS
@pytest.mark.parametrize("choice", ["update", "", None, True, ["keep"]])
async def test_an_unknown_choice_is_refused(store: Store, choice: Any) -> None:
    async with tenant_scope("acme", "scribe"):
        with pytest.raises(InvalidInputError, match="must be one of: keep, merge, replace") as caught:
            await store(TEXT, on_existing=choice)
    assert caught.value.field == "on_existing"


@shared
async def test_it_is_one_statement() -> None:
    async with tenant_scope("acme", "scribe"):
        await remember(TEXT, source_type="document", metadata={"a": 1})
        for choice in ("keep", "merge", "replace"):
            async with statements_of(current_scope()) as sent:
                await remember(TEXT, source_type="document", metadata={choice: 1}, on_existing=choice)
            assert len(sent) == 1


@shared
async def test_a_serializer_without_metadata_changes_nothing() -> None:
    values = {"agent_id": "scribe", "tenant_id": "acme", "source_type": "document", "content_text": TEXT}
    async with tenant_scope("acme", "scribe"):
        memory, _ = await remember(TEXT, source_type="document", metadata={"a": 1})
        await remember_many([MemoryRecordCreate(**values)], on_existing="replace")
        assert (await get(memory)).metadata == {"a": 1}
        await remember_many([MemoryRecordCreate(**values, metadata={})], on_existing="replace")
        assert (await get(memory)).metadata == {}


@shared
@pytest.mark.parametrize("choice", ["keep", "merge", "replace"])
async def test_a_batch_ends_as_its_items_one_after_the_other(
    choice: Any, remember_many: RememberMany, superuser: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts that are new, there or forgotten, several times each, with metadata that sometimes does not fit."""
    monkeypatch.setenv("MEMORY_GUILD_METADATA_MAX_BYTES", "60")
    chosen = random.Random(7)
    items = [
        item(
            f"text {chosen.randrange(25)}",
            metadata=chosen.choice([None, {}, {chosen.choice("abc"): "x" * chosen.randrange(24)}]),
        )
        for _ in range(300)
    ]

    async def prepare() -> None:
        for number in range(0, 25, 2):
            memory, _ = await remember(
                f"text {number}", source_type="document", agent_id="scribe", metadata={"a": "x" * number}
            )
            if number % 3 == 0:
                await forget(memory)

    expected: list[str] = []
    async with tenant_scope("one by one"):
        await prepare()
        for given in items:
            try:
                remembered = await remember(**given, on_existing=choice)
                expected.append(remembered.outcome)
            except InvalidInputError:
                expected.append("refused")
    async with tenant_scope("together"):
        await prepare()
        report = await remember_many(items, on_existing=choice, on_error="report")

    assert [outcome.outcome for outcome in report] == expected
    assert {"created", "existing", "restored"} <= set(expected)
    assert ("refused" in expected) is (choice == "merge")
    query = "SELECT content_text, metadata, is_deleted FROM memory_records WHERE tenant_id = $1 ORDER BY content_text"
    assert await superuser.fetch(query, "together") == await superuser.fetch(query, "one by one")


# --- at the same time -------------------------------------------------------------------------------------------


@pytest.fixture
async def wide_pool(
    verbs_database_url: str, superuser: Connection, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """A connection for each task: all of them hold a transaction open at the same time."""
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", str(TASKS))
    async with connect(verbs_database_url):
        yield


@pytest.mark.usefixtures("wide_pool")
@WAYS
@pytest.mark.parametrize("state", ["new", "there", "forgotten"])
async def test_no_key_is_lost_whoever_merges_at_the_same_time(store: Store, state: str, superuser: Connection) -> None:
    if state != "new":
        await insert(superuser, TEXT, metadata='{"first": true}', is_deleted=state == "forgotten")

    async def merge(number: int) -> StoreOutcome:
        async with tenant_scope("acme", "scribe"):
            return await store(TEXT, metadata={str(number): number}, on_existing="merge")

    outcomes = await asyncio.gather(*map(merge, range(TASKS)))

    (row,) = (await stored(superuser)).values()
    first = {} if state == "new" else {"first": True}
    async with tenant_scope("acme"):
        assert (await get(row["memory_id"])).metadata == first | {str(number): number for number in range(TASKS)}
    assert outcomes.count(StoreOutcome.EXISTING) == TASKS - (state != "there")
    assert row["is_deleted"] is False


@pytest.mark.usefixtures("wide_pool")
@WAYS
@pytest.mark.parametrize("meanwhile", ["UPDATE", "forgotten", "restored", "DELETE", "INSERT"])
async def test_what_changes_while_it_waits_is_seen(store: Store, meanwhile: str, superuser: Connection) -> None:
    """Another transaction holds the row when the statement begins, and commits while it waits."""
    if meanwhile != "INSERT":
        await insert(superuser, TEXT, metadata='{"a": 1}', is_deleted=meanwhile == "restored")
    transaction = superuser.transaction()
    await transaction.start()
    match meanwhile:
        case "INSERT":
            await insert(superuser, TEXT, metadata='{"a": 1, "other": 2}')
        case "UPDATE":
            await superuser.execute("""UPDATE memory_records SET metadata = '{"a": 1, "other": 2}'""")
        case "forgotten" | "restored":
            await superuser.execute("UPDATE memory_records SET is_deleted = $1", meanwhile == "forgotten")
        case "DELETE":
            await superuser.execute("DELETE FROM memory_records")

    async def merge() -> StoreOutcome:
        async with tenant_scope("acme", "scribe"):
            return await store(TEXT, metadata={"b": 3}, on_existing="merge")

    task = asyncio.create_task(merge())
    await until_one_waits(superuser)
    await transaction.commit()
    outcome = await task

    (row,) = await superuser.fetch("SELECT metadata::text, is_deleted, content_hash FROM memory_records")
    assert (row["is_deleted"], row["content_hash"]) == (False, hash_content(TEXT))
    expected = {
        "UPDATE": ("existing", '{"a": 1, "b": 3, "other": 2}'),
        "INSERT": ("existing", '{"a": 1, "b": 3, "other": 2}'),
        "forgotten": ("restored", '{"a": 1, "b": 3}'),
        "restored": ("existing", '{"a": 1, "b": 3}'),
        "DELETE": ("created", '{"b": 3}'),
    }[meanwhile]
    assert (outcome, row["metadata"]) == expected
