"""Memories that came to be at a given time: what they are stored with, and how the reading verbs see them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from memory_guild import as_of, count, find, forget, get, remember, remember_many, tenant_scope, update
from memory_guild.errors import ConflictError
from memory_guild.serializers import MemoryRecordCreate
from tests.memories.reading import all_texts, pages_of, texts_of
from tests.memories.storing import TEXT, Connection, RememberMany, item, stored

pytestmark = pytest.mark.usefixtures("shared_database")

NOON = datetime(2019, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
IN_INDIA = timezone(timedelta(hours=5, minutes=30))


async def test_a_memory_has_the_time_that_is_given_and_its_version_is_when_it_was_stored() -> None:
    given = NOON.astimezone(IN_INDIA).replace(microsecond=123456)
    async with tenant_scope("acme", "scribe"):
        before, _ = await remember("before", source_type="document")
        memory, outcome = await remember(TEXT, source_type="conversation", created_at=given)
        read = await get(memory)
    assert outcome == "created"
    assert read == memory
    assert read.created_at == memory.created_at == given
    assert before.updated_at is not None
    assert read.updated_at is not None
    assert read.updated_at > before.updated_at


@pytest.mark.parametrize(
    "given", [NOON, NOON.astimezone(IN_INDIA), "2019-05-04T12:00:00Z", "2019-05-04T17:30:00+05:30"]
)
async def test_an_item_may_say_it_in_every_form_of_a_time(given: Any, remember_many: RememberMany) -> None:
    create = MemoryRecordCreate(**item("serializer", tenant_id="acme", created_at=given))
    assert create.created_at == NOON
    async with tenant_scope("acme"):
        report = await remember_many([item("dict", created_at=given), create, item("none", created_at=None)])
        times = [(await get(outcome.memory_id)).created_at for outcome in report if outcome.memory_id]
        assert (await get(report[2].memory_id)).created_at == (await get(report[2].memory_id)).updated_at  # type: ignore[arg-type]
    assert times[:2] == [NOON, NOON]
    assert report.created == 3


async def test_a_batch_keeps_times_and_the_order_of_what_has_none(
    superuser: Connection, remember_many: RememberMany
) -> None:
    items = [item(f"{n}", created_at=NOON - n * HOUR if n % 2 else None) for n in range(40)]
    async with tenant_scope("acme"):
        await remember_many(items)
        found = texts_of((await find(limit=50)).memories)
    assert found == [f"{n}" for n in range(38, -1, -2)] + [f"{n}" for n in range(1, 40, 2)]
    rows = await superuser.fetch("SELECT created_at FROM memory_records ORDER BY updated_at, created_at")
    assert [row["created_at"] for row in rows][1::2] == [given["created_at"] for given in items[1::2]]


@pytest.mark.parametrize("choice", ["keep", "merge", "replace"])
@pytest.mark.parametrize("is_forgotten", [False, True])
async def test_a_memory_that_is_there_or_comes_back_keeps_its_time(choice: Any, is_forgotten: bool) -> None:
    async with tenant_scope("acme", "scribe"):
        memory, _ = await remember(TEXT, source_type="document", created_at=NOON)
        batched = (await remember_many([item("batched", created_at=NOON)]))[0].memory_id
        assert batched is not None
        if is_forgotten:
            await forget(memory, batched)
        for created_at in (NOON - HOUR, NOON + HOUR, None):
            again, outcome = await remember(
                TEXT, source_type="document", metadata={"a": 1}, created_at=created_at, on_existing=choice
            )
            given = item("batched", metadata={"a": 1}, created_at=created_at)
            report = await remember_many([given], on_existing=choice)
            assert outcome == report[0].outcome != "created"
            assert again.created_at == (await get(batched)).created_at == NOON


async def test_reading_goes_by_that_time() -> None:
    """Pages, conditions and cursors, with equal times, old ones, and some that are still to come."""
    chosen = random.Random(3)
    now = datetime.now(UTC)
    times = [
        now + timedelta(days=400),
        datetime(1, 1, 2, tzinfo=UTC),
        datetime(1969, 7, 20, 20, 17, 40, 999999, UTC),
        NOON,
        NOON,
        NOON,
        *(now - timedelta(hours=chosen.randrange(20_000)) for _ in range(30)),
    ]
    async with tenant_scope("acme"):
        await remember_many(item(f"{number}", created_at=time) for number, time in enumerate(times))
        in_pages = [memory for page in await pages_of(4) for memory in page]
        assert len(in_pages) == len(times)
        keys = [(memory.created_at, memory.memory_id) for memory in in_pages]
        assert keys == sorted(keys, reverse=True)
        assert await all_texts() == texts_of(in_pages)
        for moment in (NOON, NOON + HOUR, times[0], times[2]):
            earlier = sum(time < moment for time in times)
            assert await count(created_before=moment) == earlier
            assert await count(created_from=moment) == len(times) - earlier
            assert await as_of(moment).count() == sum(time <= moment for time in times)


async def test_what_is_imported_between_two_pages_repeats_and_skips_nothing() -> None:
    async with tenant_scope("acme"):
        await remember_many(item(f"{n}", created_at=NOON + n * HOUR) for n in range(6))
        first = await find(limit=3)
        await remember_many([item("newer", created_at=NOON + 9 * HOUR), item("older", created_at=NOON - HOUR)])
        rest = await find(limit=10, cursor=first.next_cursor)
    assert texts_of(first.memories) == ["5", "4", "3"]
    assert texts_of(rest.memories) == ["2", "1", "0", "older"]


async def test_the_version_of_an_imported_memory_is_its_updated_at() -> None:
    async with tenant_scope("acme", "scribe"):
        memory, _ = await remember(TEXT, source_type="document", created_at=NOON)
        changed = await update(memory, metadata={"a": 1}, expected_updated_at=memory.updated_at)
        assert changed.created_at == NOON
        for stale in (memory.updated_at, memory.created_at):
            with pytest.raises(ConflictError):
                await update(memory, metadata={"a": 2}, expected_updated_at=stale)


async def test_a_time_that_is_the_moment_of_storing_is_still_created(superuser: Connection) -> None:
    """The outcome does not depend on the times."""
    async with tenant_scope("acme", "scribe"):
        memory, _ = await remember(TEXT, source_type="document", created_at=NOON)
        await forget(memory)
        again, outcome = await remember(TEXT, source_type="document", created_at=memory.updated_at)
    assert (outcome, again.created_at) == ("restored", NOON)
    assert len(await stored(superuser)) == 1
