"""Rows dated outside the years 1 to 9999 are read, found, changed and forgotten; the package writes none."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from memory_guild import (
    DataSource,
    MemoryRecord,
    as_of,
    count,
    find,
    find_all,
    forget,
    forget_where,
    get,
    path,
    relate,
    remember,
    restore,
    subgraph,
    supersede,
    tenant_scope,
    traverse,
    update,
)
from memory_guild.database.engine import client
from memory_guild.errors import ConflictError, InvalidInputError
from memory_guild.memories.cursors import Position, cursor_after, read_cursor
from memory_guild.moments import DistantMoment, decode, encode, microseconds_of, moment_at
from memory_guild.serializers import MemoryRecordRead
from tests.databases import run_statement

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
DISTANT = ["infinity", "294276-12-31 23:59:59.999999+00", "20000-06-01+00", "10000-01-01+00"]
ANCIENT = ["0001-12-31 23:59:59+00 BC", "4000-01-01+00 BC", "4714-11-24+00 BC", "-infinity"]

ROWS = """
INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash, created_at, updated_at)
SELECT 'a', 'acme', 'document', moment, md5(moment), moment::timestamptz, moment::timestamptz
FROM unnest($1::text[]) AS given (moment);
"""


@pytest.fixture
async def distant(shared_database: str, superuser: asyncpg.Connection[asyncpg.Record]) -> str:
    """Memories of all times; no Python could have written most of them."""
    await superuser.execute(
        ROWS, [*DISTANT, "9999-12-31 23:59:59.999999+00", "2024-01-01+00", "0001-01-01+00", *ANCIENT]
    )
    return shared_database


@pytest.mark.any_server
@pytest.mark.parametrize(
    "moment", [FIRST, LAST, datetime(2024, 2, 29, 1, 2, 3, 4, UTC), datetime(1999, 12, 31, tzinfo=UTC)]
)
def test_a_moment_of_python_is_the_same_afterwards(moment: datetime) -> None:
    assert decode(encode(moment)) == moment
    assert moment_at(microseconds_of(moment)) == moment
    assert type(decode(encode(moment))) is datetime


@pytest.mark.any_server
def test_a_distant_moment_is_exact_and_can_be_used() -> None:
    for microseconds in (2**63 - 1, -(2**63), 9_223_371_331_199_999_999, -211_813_488_000_000_000):
        moment = moment_at(microseconds)
        assert isinstance(moment, DistantMoment)
        assert moment == (LAST if microseconds > 0 else FIRST)
        assert microseconds_of(moment) == microseconds
        assert decode(encode(moment)).isoformat() == moment.isoformat()
        assert copy.copy(moment) == moment
    for microseconds in (2**63 - 2, 9_223_371_331_200_000_000, -211_813_488_000_000_001, 2**64):
        with pytest.raises(OverflowError):
            moment_at(microseconds)


@pytest.mark.any_server
def test_what_the_driver_takes_is_taken() -> None:
    plus_two = timezone(timedelta(hours=2))
    assert encode(datetime(2024, 1, 1, 2, tzinfo=plus_two)) == encode(datetime(2024, 1, 1, tzinfo=UTC))
    assert encode(date(2024, 1, 1)) == encode(datetime(2024, 1, 1).astimezone())
    assert encode(datetime(2024, 1, 1)) == encode(datetime(2024, 1, 1).astimezone())
    assert decode(encode(datetime.max)) == LAST
    assert microseconds_of(decode(encode(datetime.min))) == -(2**63)
    with pytest.raises(TypeError):
        encode("2024-01-01")


async def test_the_server_and_the_driver_mean_the_same_moments(shared_database: str) -> None:
    for text in [*DISTANT, *ANCIENT, "2024-05-06 07:08:09.123456+02", "0001-01-01+00", "1969-12-31 23:59:59.9+00"]:
        (row,) = await client().execute_query_dict(f"SELECT '{text}'::timestamptz AS moment, now() AS now")
        (same,) = await client().execute_query_dict(
            f"SELECT $1::timestamptz = '{text}'::timestamptz AS same, ARRAY[$1] AS several", [row["moment"]]
        )
        assert (same["same"], same["several"]) == (True, [row["moment"]])
        assert row["now"].tzinfo is not None


async def test_rows_of_all_times_are_read(distant: str) -> None:
    async with tenant_scope("acme"):
        found = (await find()).memories
        assert [memory.content_text for memory in found] == [
            *DISTANT, "9999-12-31 23:59:59.999999+00", "2024-01-01+00", "0001-01-01+00", *ANCIENT
        ]  # fmt: skip
        assert [memory async for memory in find_all()] == found
        assert await count() == await count(created_from=FIRST) + len(ANCIENT) == len(found)
        assert {memory.memory_id for memory in await MemoryRecord.all()} == {memory.memory_id for memory in found}
        assert len(await as_of(LAST)) == len(found) - len(DISTANT)
        for memory in found:
            assert vars(await get(memory)) == vars(await MemoryRecord.get(memory_id=memory.memory_id)) == vars(memory)
            assert memory.created_at is not None
            assert memory.created_at.tzinfo is not None
            text = MemoryRecordRead.model_validate(memory, from_attributes=True).model_dump_json()
            assert MemoryRecordRead.model_validate_json(text).created_at == memory.created_at


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
async def test_pages_go_through_all_times(distant: str, limit: int) -> None:
    async with tenant_scope("acme"):
        expected = (await find()).memories
        found: list[MemoryRecord] = []
        cursor: str | None = None
        for _ in range(len(expected)):
            page = await find(limit=limit, cursor=cursor)
            found += page.memories
            if (cursor := page.next_cursor) is None:
                break
        assert found == expected
        assert cursor is None


@pytest.mark.any_server
def test_a_cursor_of_a_moment_that_postgresql_lacks_is_none() -> None:
    memory = MemoryRecord(memory_id="00000000-0000-0000-0000-000000000001", tenant_id="t", agent_id="a")
    for microseconds in (2**63 - 1, -(2**63), 9_223_371_331_199_999_999, 0):
        memory.created_at = moment_at(microseconds)
        assert read_cursor(cursor_after(memory)) == Position(memory.created_at, memory.memory_id)
    impossible = DistantMoment(9999, 12, 31, tzinfo=UTC)
    impossible.microseconds = 2**63 - 2
    memory.created_at = impossible
    with pytest.raises(InvalidInputError):
        read_cursor(cursor_after(memory))


async def test_memories_of_all_times_can_be_changed(distant: str) -> None:
    async with tenant_scope("acme", agent_id="a"):
        for memory in (await find()).memories:
            before = memory.updated_at
            changed = await update(memory, metadata={"checked": True}, expected_updated_at=before)
            assert changed.updated_at is not None
            assert not isinstance(changed.updated_at, DistantMoment)
            assert changed.updated_at < LAST
            with pytest.raises(ConflictError):
                await update(memory, metadata={}, expected_updated_at=before)
            assert await forget(changed) == 1
            assert await restore(changed) == 1
            changed.metadata = {"saved": True}
            await changed.save()


async def test_forgotten_memories_of_all_times_come_back(distant: str) -> None:
    async with tenant_scope("acme", agent_id="a"):
        everything = (await find()).memories
        assert await forget_where(agent_id="a") == len(everything)
    await run_statement(distant, "UPDATE memory_records SET updated_at = created_at")
    async with tenant_scope("acme", agent_id="a"):
        for memory in everything:
            again, outcome = await remember(memory.content_text, source_type="document")
            assert outcome == "restored"
            assert not isinstance(again.updated_at, DistantMoment)
        assert len((await find()).memories) == len(everything)


async def test_the_graph_is_walked_through_all_times(distant: str) -> None:
    async with tenant_scope("acme", agent_id="a"):
        memories = (await find()).memories
        for one, other in pairwise(memories):
            await relate(one, other, "references")
        assert [step.memory for step in (await traverse(memories[0], max_hops=20)).steps] == memories[1:]
        assert len((await subgraph(memories[3], max_hops=20)).memories) == len(memories)
        assert (await path(memories[0], memories[-1], max_hops=20)) is not None
        assert (await supersede(memories[0], "newer")).outcome == "created"


@pytest.mark.parametrize("microsecond", range(999_990, 1_000_000))
async def test_the_end_of_time_is_not_passed(shared_database: str, microsecond: int) -> None:
    end = LAST.replace(microsecond=microsecond)
    async with tenant_scope("acme", agent_id="a"):
        memory = await MemoryRecord.create(
            source_type="document", content_text="late", created_at=end, updated_at=end, deleted_at=end
        )
        seen: list[Any] = [memory.updated_at]
        for _ in range(3):
            await forget(memory)
            seen.append(memory.updated_at)
            assert (await remember("late", source_type="document")).outcome == "restored"
            memory = await update(memory, metadata={})
            seen.append(memory.updated_at)
        assert len(set(seen)) == len(seen)
        (row,) = await client().execute_query_dict(
            "SELECT count(*) AS written FROM memory_records WHERE NOT updated_at < '10000-01-01+00'"
        )
        assert row["written"] == 0


OUTSIDE = [
    FIRST.replace(tzinfo=timezone(timedelta(hours=14))),
    LAST.replace(tzinfo=timezone(timedelta(hours=-12))),
    moment_at(2**63 - 1),
    moment_at(-(2**63)),
]


@pytest.mark.parametrize("moment", OUTSIDE, ids=["before", "after", "infinity", "-infinity"])
async def test_no_such_row_is_written(shared_database: str, moment: datetime) -> None:
    async with tenant_scope("acme", agent_id="a"):
        for column in ("created_at", "updated_at", "deleted_at"):
            given: dict[str, Any] = {"source_type": "document", "content_text": "text", column: moment}
            with pytest.raises(InvalidInputError, match=column):
                await MemoryRecord.create(**given)
            with pytest.raises(InvalidInputError, match=column):
                await MemoryRecord.bulk_create([MemoryRecord(**given)])
            with pytest.raises(InvalidInputError, match=column):
                await MemoryRecord.all().update(**{column: moment})
        assert await MemoryRecord.all().count() == 0
    with pytest.raises(InvalidInputError):
        await DataSource.create(source_name="s", source_type="api", last_ingestion_at=moment)
