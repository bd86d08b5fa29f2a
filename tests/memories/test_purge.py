"""Deleting for good what was forgotten long ago: exactly that, all of it, and nothing that came back meanwhile."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from memory_guild import count, forget, get_many, purge, relate, remember, restore, tenant_scope
from memory_guild.errors import InvalidInputError, MemoryNotFoundError
from memory_guild.models import MemoryEmbedding
from tests.memories.storing import TEXT, Connection, columns, insert, stored, texts, until_one_waits

pytestmark = pytest.mark.usefixtures("shared_database")

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


async def forgotten(connection: Connection, text: str, at: datetime | None = NOON, **changes: Any) -> UUID:
    row = {"is_deleted": True, "deleted_at": at, "updated_at": at, "created_at": NOON - timedelta(days=30)}
    return await insert(connection, text, **row | changes)


# --- beside restore ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_alone", [False, True])
@pytest.mark.parametrize("verb", [forget, restore])
async def test_what_is_purged_meanwhile_makes_it_all_or_none(superuser: Connection, verb: Any, is_alone: bool) -> None:
    """The call waits for the purge, which takes one of the memories away."""
    is_deleted = verb is restore
    kept, purged = [await insert(superuser, text, is_deleted=is_deleted) for text in ("kept", "purged")]
    before = await columns(superuser)
    await superuser.execute("BEGIN")
    await superuser.execute("DELETE FROM memory_records WHERE memory_id = $1", purged)

    async def change() -> None:
        async with tenant_scope("acme"):
            model = (await get_many([purged], include_forgotten=True)).memories[0]
            with pytest.raises(MemoryNotFoundError) as caught:
                await verb(*([] if is_alone else [kept]), model)
            assert caught.value.memory_ids == (purged,)

    changing = asyncio.create_task(change())
    await until_one_waits(superuser)
    await superuser.execute("COMMIT")
    await changing
    assert await columns(superuser) == [row for row in before if row["memory_id"] == kept]


# --- which ones -------------------------------------------------------------------------------------------------


async def test_what_was_forgotten_before_a_moment_is_gone(superuser: Connection) -> None:
    for number in range(-2, 3):
        await forgotten(superuser, f"{number} µs", NOON + number * timedelta(microseconds=1))
    await insert(superuser, "live", created_at=NOON - timedelta(days=365))
    async with tenant_scope("acme"):
        assert await purge(older_than=NOON) == 2
        assert sorted(await texts(superuser)) == sorted(["-2 µs", "-1 µs", "0 µs", "1 µs", "2 µs", "live"])
    assert sorted(await texts(superuser)) == sorted(["0 µs", "1 µs", "2 µs", "live"])

    async with tenant_scope("acme"):
        in_another_zone = (NOON + timedelta(microseconds=1)).astimezone(timezone(timedelta(hours=9)))
        assert await purge(older_than=in_another_zone) == 1
        assert await purge(older_than=in_another_zone) == 0
        assert await purge(older_than=datetime.now(UTC)) == 2
    assert await texts(superuser) == ["live"]


async def test_what_was_forgotten_for_a_while_is_gone(superuser: Connection) -> None:
    now = datetime.now(UTC)
    await forgotten(superuser, "two hours", now - timedelta(hours=2))
    await forgotten(superuser, "half an hour", now - timedelta(minutes=30))
    async with tenant_scope("acme"):
        assert await purge(older_than=timedelta(days=1)) == 0
        assert await purge(older_than=timedelta.max) == 0
        assert await purge(older_than=timedelta(hours=1)) == 1
    assert await texts(superuser) == ["half an hour"]


async def test_what_was_forgotten_just_now_is_gone_if_no_time_is_asked_for(superuser: Connection) -> None:
    async with tenant_scope("acme", "scribe"):
        for number in range(20):
            memory, _ = await remember(f"text {number}", source_type="document")
            await forget(memory)
            assert await purge(older_than=timedelta(0)) == 1
    assert await texts(superuser) == []


async def test_it_goes_by_the_servers_clock(superuser: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server forgot a moment ago is there to purge for a client whose clock is behind."""

    class Behind(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return super().now(tz) - timedelta(hours=1)

    monkeypatch.setattr("memory_guild.memories.forgetting.datetime", Behind)
    await forgotten(superuser, TEXT, datetime.now(UTC))
    async with tenant_scope("acme"):
        assert await purge(older_than=timedelta(0)) == 1


@pytest.mark.parametrize(
    ("deleted_at", "updated_at", "is_purged"),
    [
        (None, NOON - SECOND, True),
        (None, NOON + SECOND, False),
        (None, None, True),
        (NOON + SECOND, NOON - SECOND, False),
        (NOON - SECOND, NOON + SECOND, True),
    ],
)
async def test_without_the_time_of_forgetting_the_last_change_counts(
    deleted_at: datetime | None, updated_at: datetime | None, is_purged: bool, superuser: Connection
) -> None:
    """Somebody else may have set is_deleted alone."""
    await forgotten(superuser, TEXT, deleted_at, updated_at=updated_at)
    async with tenant_scope("acme"):
        assert await purge(older_than=NOON) == is_purged


@pytest.mark.parametrize("is_deleted", [None, False])
async def test_what_is_not_forgotten_stays(is_deleted: bool | None, superuser: Connection) -> None:
    await forgotten(superuser, TEXT, is_deleted=is_deleted)
    async with tenant_scope("acme"):
        assert await purge(older_than=timedelta(0)) == 0


async def test_another_tenants_memories_stay(superuser: Connection) -> None:
    await forgotten(superuser, TEXT)
    await forgotten(superuser, TEXT, tenant_id="bolt")
    async with tenant_scope("acme"):
        assert await purge(older_than=timedelta(0)) == 1
    assert [row["tenant_id"] for row in await columns(superuser)] == ["bolt"]


# --- all of it --------------------------------------------------------------------------------------------------


async def test_nothing_of_a_memory_is_left_anywhere(superuser: Connection) -> None:
    async with tenant_scope("acme", "scribe"):
        one, two, three = [(await remember(text, source_type="document")).memory for text in ("one", "two", "three")]
        for source, target in ((one, two), (two, three), (three, two), (one, three)):
            await relate(source, target, "supports")
        for memory in (one, two):
            for model in ("small", "large"):
                await MemoryEmbedding.create(memory=memory, vector_id=f"{memory.memory_id}", embedding_model=model)
        await forget(two)
        assert await purge(older_than=timedelta(0)) == 1
        assert await count(include_forgotten=True) == 2
        assert (await remember("two", source_type="document")).memory.memory_id != two.memory_id

    tables = await superuser.fetch(
        "SELECT quote_ident(table_name) AS name FROM information_schema.tables"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    assert len(tables) >= 5
    for table in tables:
        assert not await superuser.fetchval(
            f"SELECT count(*) FROM {table['name']} AS t WHERE t::text LIKE $1", f"%{two.memory_id}%"
        )
    edges = await superuser.fetch("SELECT source_memory_id, target_memory_id FROM memory_relationships")
    assert [tuple(edge) for edge in edges] == [(one.memory_id, three.memory_id)]
    assert await superuser.fetchval("SELECT count(*) FROM memory_embeddings") == 2


@pytest.mark.parametrize("batch_size", [1, 7, 10, 25, 10_000])
async def test_batches_reach_all_of_them(batch_size: int, superuser: Connection) -> None:
    for number in range(25):
        await forgotten(superuser, f"text {number}")
    await insert(superuser, "live")
    async with tenant_scope("acme"):
        assert await purge(older_than=timedelta(0), batch_size=batch_size) == 25
    assert await texts(superuser) == ["live"]


async def test_a_scope_that_fails_has_purged_nothing(superuser: Connection) -> None:
    for number in range(5):
        await forgotten(superuser, f"text {number}")
    rows = await columns(superuser)
    with pytest.raises(ZeroDivisionError):
        async with tenant_scope("acme"):
            assert await purge(older_than=timedelta(0), batch_size=2) == 5
            raise ZeroDivisionError
    assert await columns(superuser) == rows


# --- meanwhile --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "older_than", "purged"),
    [
        ("is_deleted = false, deleted_at = NULL", NOON + SECOND, 2),  # restored
        ("is_deleted = false, deleted_at = NULL", datetime(2100, 1, 1, tzinfo=UTC), 2),
        ("deleted_at = clock_timestamp()", NOON + SECOND, 2),  # restored and forgotten again
        ("metadata = '{}'", NOON + SECOND, 3),
    ],
)
@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK"])
async def test_a_memory_that_somebody_is_changing(
    change: str, older_than: datetime, purged: int, ending: str, superuser: Connection
) -> None:
    ids = [await forgotten(superuser, f"text {number}") for number in range(3)]
    await superuser.execute("BEGIN")
    await superuser.execute(f"UPDATE memory_records SET {change} WHERE memory_id = $1", ids[1])

    async def work() -> int:
        async with tenant_scope("acme"):
            return await purge(older_than=older_than)

    task = asyncio.create_task(work())
    await until_one_waits(superuser)
    await superuser.execute(ending)
    expected = purged if ending == "COMMIT" else 3
    assert await task == expected
    assert set(await stored(superuser)) == (set() if expected == 3 else {ids[1]})


async def test_a_memory_that_comes_back_while_others_are_purged_stays(superuser: Connection) -> None:
    """Between the batches of one call; its own scope sees no less."""
    ids = sorted([await forgotten(superuser, f"text {number}") for number in range(30)])

    async def come_back(memory_id: UUID) -> int:
        try:
            async with tenant_scope("acme"):
                return await restore(memory_id)
        except MemoryNotFoundError:  # it came too late
            return 0

    async def work() -> int:
        async with tenant_scope("acme"):
            return await purge(older_than=timedelta(0), batch_size=1)

    purged, back = await asyncio.gather(work(), come_back(ids[-1]))
    assert purged + back == 30
    assert set(await stored(superuser)) == ({ids[-1]} if back else set())


async def test_calls_at_the_same_time_share_the_work(superuser: Connection) -> None:
    for number in range(50):
        await forgotten(superuser, f"text {number}")

    async def work(batch_size: int) -> int:
        async with tenant_scope("acme"):
            return await purge(older_than=timedelta(0), batch_size=batch_size)

    async with asyncio.timeout(60):
        assert sum(await asyncio.gather(*map(work, (3, 50, 7, 1, 20)))) == 50
    assert await texts(superuser) == []


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "older_than", [timedelta(microseconds=-1), datetime(2026, 1, 1), 30, "30 days", None, NOON.date()]
)
async def test_a_time_that_is_none(older_than: Any, superuser: Connection) -> None:
    await forgotten(superuser, TEXT)
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError) as caught:
            await purge(older_than=older_than)
    assert caught.value.field == "older_than"
    assert await texts(superuser) == [TEXT]


@pytest.mark.parametrize("batch_size", [0, -1, 10_001, 2.5, True, "5"])
async def test_a_batch_of_no_size(batch_size: Any) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(InvalidInputError, match=r"must be a whole number from 1 to 10,000") as caught:
            await purge(older_than=timedelta(0), batch_size=batch_size)
    assert caught.value.field == "batch_size"
