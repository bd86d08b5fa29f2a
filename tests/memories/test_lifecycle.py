"""Forgetting and bringing back: how many, all or none, and what models that were given say afterwards."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from memory_guild import (
    admin_scope,
    count,
    find,
    forget,
    forget_where,
    get,
    purge,
    relate,
    remember,
    remember_many,
    restore,
    tenant_scope,
    traverse,
)
from memory_guild.errors import InvalidInputError, MemoryNotFoundError, TenantNotSetError
from memory_guild.models import MemoryEmbedding, MemoryRecord
from tests.memories.storing import TEXT, Connection, columns, insert, item, stored
from tests.rows import columns_of

pytestmark = pytest.mark.usefixtures("shared_database")


async def memories(number: int = 3) -> list[MemoryRecord]:
    return [(await remember(f"text {n}", source_type="document", agent_id="scribe")).memory for n in range(number)]


# --- forget and restore -----------------------------------------------------------------------------------------


async def test_what_is_forgotten_is_found_no_more_and_comes_back() -> None:
    async with tenant_scope("acme"):
        one, two, three = await memories()
        await relate(one, two, "supports")
        await relate(two, three, "supports")
        await MemoryEmbedding.create(memory=two, vector_id="v", embedding_model="small")

        assert await forget(two) == 1
        assert [memory.memory_id for memory in (await find()).memories] == [three.memory_id, one.memory_id]
        assert (await traverse(one)).steps == []
        with pytest.raises(MemoryNotFoundError):
            await get(two)
        assert (await get(two, include_forgotten=True)).is_deleted is True

        assert await restore(two) == 1
        assert [step.memory.memory_id for step in (await traverse(one)).steps] == [two.memory_id, three.memory_id]
        assert await (await get(two)).embeddings.all().count() == 1


@pytest.mark.parametrize(("verb", "inverse"), [(forget, restore), (restore, forget)])
async def test_only_what_changes_is_counted_and_written(verb: Any, inverse: Any, superuser: Connection) -> None:
    async with tenant_scope("acme"):
        one, two, three = await memories()
        await forget(one, two, three)
        await restore(one, two, three)
        await inverse(one, two, three)
        assert await verb(one) == 1
    rows = await columns(superuser)

    async with tenant_scope("acme"):
        assert await verb(one) == 0
        assert await verb() == 0
    assert await columns(superuser) == rows

    async with tenant_scope("acme"):
        assert await verb(one, two, two, str(two.memory_id), one) == 1
        assert await verb(three.memory_id, one) == 1


async def test_a_model_that_is_given_is_brought_up_to_date() -> None:
    async with tenant_scope("acme"):
        one, two, three = await memories()
        of_two = await get(two)
        two.metadata = {"not": "saved"}
        await forget(one, two, of_two, three.memory_id)

        assert columns_of(one) == columns_of(await get(one, include_forgotten=True))
        assert columns_of(of_two) == columns_of(await get(two, include_forgotten=True))
        assert (two.is_deleted, two.deleted_at, two.updated_at) == (True, of_two.deleted_at, of_two.updated_at)
        assert two.metadata == {"not": "saved"}
        assert three.is_deleted is False

        stale = await get(two, include_forgotten=True)
        await restore(two, three)
        assert (two.is_deleted, two.deleted_at) == (False, None)
        await restore(stale)  # it came back already, and the model learns that
        assert columns_of(stale) == columns_of(await get(two))


@pytest.mark.parametrize("is_deleted", [None, False])
async def test_a_memory_of_which_nobody_said_whether_it_is_forgotten(
    is_deleted: bool | None, superuser: Connection
) -> None:
    memory_id = await insert(superuser, TEXT, is_deleted=is_deleted)
    async with tenant_scope("acme"):
        assert await restore(memory_id) == 0
        assert await forget(memory_id) == 1
        assert await restore(memory_id) == 1


@pytest.mark.parametrize("verb", [forget, restore])
@pytest.mark.parametrize("strange", ["missing", "another tenant's", "purged"])
async def test_all_or_none(verb: Any, strange: str, superuser: Connection) -> None:
    live, forgotten = await insert(superuser, "live"), await insert(superuser, "forgotten", is_deleted=True)
    strangers: list[UUID] = [uuid4(), uuid4()]
    if strange == "another tenant's":
        strangers = [await insert(superuser, f"{n}", tenant_id="bolt", is_deleted=n > 0) for n in range(2)]
    if strange == "purged":
        strangers = [await insert(superuser, f"{n}", is_deleted=True, deleted_at=None) for n in range(2)]
        await superuser.execute("DELETE FROM memory_records WHERE memory_id = ANY ($1)", strangers)
    rows = await stored(superuser)
    async with tenant_scope("acme"):
        with pytest.raises(MemoryNotFoundError) as caught:
            await verb(live, strangers[1], forgotten, strangers[0])
    assert caught.value.memory_ids == (strangers[1], strangers[0])
    assert str(strangers[0]) in str(caught.value)
    assert await stored(superuser) == rows


@pytest.mark.parametrize("verb", [forget, restore])
async def test_a_name_of_no_memory(verb: Any) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError, match="is not a UUID") as caught:
            await verb(uuid4(), "no id")
    assert caught.value.field == "memories[1]"


async def test_they_need_a_tenant() -> None:
    async def attempts() -> None:
        with pytest.raises(TenantNotSetError):
            await forget(uuid4())
        with pytest.raises(TenantNotSetError):
            await restore(uuid4())
        with pytest.raises(TenantNotSetError):
            await forget_where(agent_id="scribe")
        with pytest.raises(TenantNotSetError):
            await purge(older_than=timedelta(0))

    await attempts()
    async with admin_scope():
        await attempts()


async def test_calls_over_the_same_memories_in_other_orders_do_not_deadlock(superuser: Connection) -> None:
    async with tenant_scope("acme"):
        report = await remember_many(item(f"text {n}") for n in range(50))
    ids = [outcome.memory_id for outcome in report if outcome.memory_id]

    async def work(seed: int) -> tuple[str, int]:
        order = random.Random(seed).sample(ids, len(ids))
        async with tenant_scope("acme"):
            match seed % 3:
                case 0:
                    return "restored", await restore(*order)
                case 1:
                    return "forgotten", await forget(*order)
            return "forgotten", await forget_where(agent_id="scribe")

    async with asyncio.timeout(60):
        results = await asyncio.gather(*map(work, range(30)))
    sums = {kind: sum(number for name, number in results if name == kind) for kind in ("forgotten", "restored")}
    is_deleted = await superuser.fetchval("SELECT count(*) FROM memory_records WHERE is_deleted")
    assert sums["forgotten"] - sums["restored"] == is_deleted


# --- forget_where -----------------------------------------------------------------------------------------------


@pytest.fixture
async def varied(superuser: Connection) -> None:
    """Forty memories of two agents and two tenants, of all source types, a day apart, some of them forgotten."""
    await superuser.execute(
        """
        INSERT INTO memory_records
        (agent_id, tenant_id, source_type, content_text, content_hash, metadata, created_at, is_deleted, deleted_at)
        SELECT
            'agent ' || n % 3,
            CASE WHEN n % 4 = 0 THEN 'bolt' ELSE 'acme' END,
            ('{conversation,tool_output,document,observation,external}'::text[])[n % 5 + 1],
            'text ' || n,
            md5('text ' || n),
            CASE WHEN n % 2 = 0 THEN jsonb_build_object('page', n) ELSE '{}' END,
            '2026-01-01 00:00+00'::timestamptz + n * interval '1 day',
            n % 7 = 0,
            CASE WHEN n % 7 = 0 THEN now() END
        FROM generate_series(1, 40) AS n
        """
    )


def day(number: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)


CONDITIONS: list[dict[str, Any]] = [
    {"agent_id": "agent 1"},
    {"agent_id": "nobody"},
    {"source_type": "document"},
    {"source_type": ["document", "external"]},
    {"source_type": []},
    {"created_from": day(10)},
    {"created_before": day(10)},
    {"created_from": day(10), "created_before": day(20), "agent_id": "agent 2"},
    {"metadata": {"page": 6}},
    {"metadata": {"page": {"$gte": 10, "$lt": 30}}},
    {"metadata": {"page": {"$exists": False}}, "source_type": "document"},
    {"agent_id": "agent 1", "include_forgotten": True},
    {"agent_id": None, "metadata": None, "source_type": "external"},
]


@pytest.mark.parametrize("conditions", CONDITIONS, ids=str)
async def test_forget_where_forgets_what_find_finds(
    conditions: dict[str, Any], superuser: Connection, varied: None
) -> None:
    before = {row["memory_id"]: row for row in await columns(superuser)}
    async with tenant_scope("acme"):
        expected = {memory.memory_id for memory in (await find(**conditions)).memories if not memory.is_deleted}
        live = await count()
        assert await forget_where(**conditions) == len(expected)
        assert await count() == live - len(expected)
        assert await forget_where(**conditions) == 0

    after = {row["memory_id"]: row for row in await columns(superuser)}
    assert {memory_id for memory_id, row in after.items() if row != before[memory_id]} == expected
    for memory_id in expected:
        row = after[memory_id]
        assert row["is_deleted"] is True
        assert row["deleted_at"] == row["updated_at"] > before[memory_id]["updated_at"]


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"include_forgotten": True},
        {"include_forgotten": False},
        {"metadata": {}},
        {"metadata": {}, "include_forgotten": True},
        {"agent_id": None, "source_type": None, "created_from": None, "created_before": None, "metadata": None},
    ],
    ids=str,
)
async def test_an_empty_condition_is_refused(conditions: Any, superuser: Connection, varied: None) -> None:
    rows = await stored(superuser)
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError, match="every memory of the tenant would be forgotten") as caught:
            await forget_where(**conditions)
    assert caught.value.field == "conditions"
    assert await stored(superuser) == rows


@pytest.mark.parametrize(
    ("conditions", "field"),
    [
        ({"agent_id": ""}, "agent_id"),
        ({"agent": "agent 1"}, "agent"),
        ({"metadata": []}, "metadata"),
        ({"metadata": ""}, "metadata"),
        ({"metadata": False}, "metadata"),
        ({"metadata": {"page": {"$like": "x"}}}, "metadata.page"),
        ({"source_type": "rumour"}, "source_type"),
        ({"created_before": "2026-01-01"}, "created_before"),
    ],
    ids=str,
)
async def test_a_condition_that_cannot_be_used_is_refused(
    conditions: Any, field: str, superuser: Connection, varied: None
) -> None:
    rows = await stored(superuser)
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError) as caught:
            await forget_where(**conditions)
    assert caught.value.field == field
    assert await stored(superuser) == rows
