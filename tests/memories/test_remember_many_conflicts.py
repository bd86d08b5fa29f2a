"""Streams that meet: those that deadlock are undone and run again, a few times, and nothing is stored by halves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import asyncpg
import pytest

from memory_guild import count, find_all, remember, tenancy, tenant_scope
from memory_guild.database import conflicts
from memory_guild.database.connecting import connect
from memory_guild.errors import ScopeClosedError, TransactionConflictError
from memory_guild.memories.drafts import Item
from memory_guild.memories.report import ItemOutcome, StoreReport
from memory_guild.memories.stream import BatchSizes
from memory_guild.types import StoreOutcome
from tests.databases import run_statement
from tests.memories.storing import (
    COLLIDING_TEXT,
    TEXT,
    Connection,
    RememberMany,
    assert_ids_are_those_stored,
    insert,
    item,
    remember_many_with,
    stored,
    texts,
    until_one_waits,
)

pytestmark = pytest.mark.usefixtures("impatient_database")

FAIL_A_FEW_TIMES = """
CREATE SEQUENCE attempts;
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF nextval('public.attempts') <= TG_ARGV[0]::int THEN
        RAISE EXCEPTION 'no' USING ERRCODE = TG_ARGV[1];
    END IF;
    RETURN NEW;
END
$$;
"""

SWALLOW = """
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER swallow BEFORE INSERT ON memory_records FOR EACH ROW EXECUTE FUNCTION swallow()
"""


@pytest.fixture
async def impatient_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """A database that looks for deadlocks soon, and no pauses between attempts."""
    name = database_url.partition("?")[0].rpartition("/")[2]
    await run_statement(database_url, f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '30ms'")
    monkeypatch.setattr(conflicts, "_LONGEST_FIRST_PAUSE_SECONDS", 0.001)
    async with connect(database_url):
        yield


async def fail_a_few_times(connection: Connection, times: int, sqlstate: str) -> None:
    """Let the first inserts fail; a sequence does not go back with what is undone."""
    await connection.execute(FAIL_A_FEW_TIMES)
    await connection.execute(
        "CREATE TRIGGER fail BEFORE INSERT ON memory_records FOR EACH ROW WHEN (NEW.content_text = 'text 7')"
        f" EXECUTE FUNCTION fail('{times}', '{sqlstate}')"
    )


def items(*numbers: int) -> list[Item]:
    return [item(f"text {number}") for number in numbers or range(20)]


# --- deadlocks among streams ------------------------------------------------------------------------------------


@pytest.mark.long
async def test_streams_in_opposite_orders_all_finish(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, remember_many: RememberMany
) -> None:
    # Each may meet another one once: who begins anew stores in the order of the keys.
    monkeypatch.setattr(tenancy, "ATTEMPTS", 1 + 8)
    orders = [random.Random(seed).sample(range(300), 300) for seed in range(4)]
    orders += [[*reversed(order)] for order in orders]

    async def work(order: list[int]) -> StoreReport:
        async with tenant_scope("acme"):
            return await remember_many(items(*order))

    async with asyncio.timeout(60):
        reports = await asyncio.gather(*map(work, orders))

    rows = {row["content_text"]: row["memory_id"] for row in (await stored(connection)).values()}
    assert len(rows) == await connection.fetchval("SELECT count(*) FROM memory_records") == 300
    assert sum(report.created for report in reports) == 300
    for order, report in zip(orders, reports, strict=True):
        assert [outcome.memory_id for outcome in report] == [rows[f"text {number}"] for number in order]


async def test_overlapping_calls_all_get_their_ids(connection: Connection) -> None:
    """Unsorted, most of these would deadlock; with the lookup in the same statement, many would lose ids."""
    given: list[Item] = [item(f"text {number}", agent_id=f"agent {number % 3}") for number in range(300)]

    async def store_some(seed: int) -> tuple[list[Item], StoreReport]:
        batch = random.Random(seed).sample(given, 250)
        async with tenant_scope("acme"):
            return batch, await remember_many_with(BatchSizes())(batch)

    results = await asyncio.gather(*(store_some(seed) for seed in range(20)))
    for batch, report in results:
        await assert_ids_are_those_stored(connection, batch, report)
    assert sum(report.created for _, report in results) == len(await stored(connection)) == 300


async def test_windows_lock_in_the_order_of_the_keys(connection: Connection, small_windows: BatchSizes) -> None:
    """Calls of one window each never deadlock, in whatever order the items come: the rows lie as they were stored."""
    remember_many = remember_many_with(replace(small_windows, first_window=300))
    numbers = random.Random(1).sample(range(200), 200)
    async with tenant_scope("acme"):
        await remember_many(item(f"text {number // 2}", agent_id=f"agent {number % 2}") for number in numbers)
    rows = await connection.fetch("SELECT content_hash, agent_id FROM memory_records ORDER BY ctid")
    assert len(rows) == 200
    assert [tuple(row) for row in rows] == sorted(tuple(row) for row in rows)


# --- how often it is tried --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
async def test_what_fails_a_few_times_is_stored_in_the_end(
    connection: Connection, sqlstate: str, remember_many: RememberMany
) -> None:
    await fail_a_few_times(connection, 3, sqlstate)
    told: list[int] = []
    async with tenant_scope("acme", "scribe"):
        await remember("before", source_type="document")
        report = await remember_many(
            [*items(), item(TEXT), item(COLLIDING_TEXT)], on_error="report", progress=told.append
        )
        await remember("after", source_type="document")

    assert await connection.fetchval("SELECT last_value FROM attempts") == 4
    assert [outcome.outcome for outcome in report] == ["created"] * 21 + ["refused"]
    assert report.errors.keys() == {21}
    rows = await stored(connection)
    assert [rows[outcome.memory_id]["content_text"] for outcome in report[:20] if outcome.memory_id] == [
        f"text {number}" for number in range(20)
    ]
    assert await texts(connection) == ["before", *(f"text {number}" for number in range(20)), TEXT, "after"]
    assert (told, told[-1]) == (sorted(set(told)), 22)


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
async def test_what_fails_each_time_is_not_stored(
    connection: Connection, sqlstate: str, remember_many: RememberMany
) -> None:
    await fail_a_few_times(connection, 1000, sqlstate)
    async with tenant_scope("acme", "scribe"):
        await remember("before", source_type="document")
        with pytest.raises(TransactionConflictError, match=f"SQLSTATE {sqlstate}.*run the scope again"):
            await remember_many(items())
        await remember("after", source_type="document")

    assert await connection.fetchval("SELECT last_value FROM attempts") == tenancy.ATTEMPTS
    assert await texts(connection) == ["before", "after"]


async def test_other_errors_are_not_tried_again(connection: Connection, remember_many: RememberMany) -> None:
    await fail_a_few_times(connection, 1, "23P01")
    async with tenant_scope("acme", "scribe"):
        with pytest.raises(Exception, match="a constraint refused the row"):
            await remember_many(items())
        assert await count() == 0
    assert await connection.fetchval("SELECT last_value FROM attempts") == 1


async def test_a_stream_that_was_too_long_to_keep_is_not_tried_again(
    connection: Connection, small_windows: BatchSizes
) -> None:
    await fail_a_few_times(connection, 1, "40001")
    remember_many = remember_many_with(replace(small_windows, kept_max_characters=600))
    async with tenant_scope("acme", "scribe"):
        with pytest.raises(TransactionConflictError):
            await remember_many(items())
        assert await count() == 0
        report = await remember_many(items())  # the caller may well do so
    assert report.created == 20
    assert await connection.fetchval("SELECT last_value FROM attempts") == 2


async def test_a_source_that_uses_the_scope_learns_why_it_was_aborted(
    connection: Connection, remember_many: RememberMany
) -> None:
    """Its own statement fails next, because a window did: that is what is raised, and nothing is tried again."""
    await fail_a_few_times(connection, 1000, "40001")

    async def asking() -> AsyncIterator[Item]:
        for one in items(*range(40)):
            await count()
            yield one

    unhandled: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    async with tenant_scope("acme", "scribe"):
        with pytest.raises(TransactionConflictError):
            await remember_many(asking())
        await remember("after", source_type="document")
    assert await connection.fetchval("SELECT last_value FROM attempts") == 1
    assert await texts(connection) == ["after"]
    assert unhandled == []


async def test_a_source_that_reads_what_is_undone_is_a_conflict_too(
    connection: Connection, remember_many: RememberMany
) -> None:
    """It goes on reading with a cursor that was undone with the first attempt."""
    async with tenant_scope("acme", "reader"):
        await remember_many(item(f"text {number}", agent_id="reader") for number in reversed(range(1_200)))
    await fail_a_few_times(connection, 1, "40001")

    async def copies() -> AsyncIterator[Item]:
        page: list[Item] = []
        async for memory in find_all(agent_id="reader"):
            page.append(item(memory.content_text))
            if len(page) == 600:
                while page:
                    yield page.pop()

    async with tenant_scope("acme", "scribe"):
        with pytest.raises(TransactionConflictError, match="run the scope again"):
            await remember_many(copies())
        assert await count(agent_id="scribe") == 0
    async with tenant_scope("acme", "scribe"):
        assert (await remember_many(copies())).created == 1_200


async def test_a_source_that_uses_a_scope_that_has_ended_is_told_so(
    connection: Connection, remember_many: RememberMany
) -> None:
    async with tenant_scope("acme", "scribe") as ended:
        pass

    async def items() -> AsyncIterator[Item]:
        yield item("text")
        await ended.transaction.execute_query("SELECT 1")

    async with tenant_scope("acme", "scribe"):
        with pytest.raises(ScopeClosedError):
            await remember_many(items())


async def test_a_trigger_that_swallows_rows_is_an_error_and_no_endless_loop(
    connection: Connection, remember_many: RememberMany
) -> None:
    await connection.execute(SWALLOW)
    async with tenant_scope("acme", "scribe"):
        with pytest.raises(TransactionConflictError, match="were deleted at the same time"):
            await remember_many(items())
        with pytest.raises(TransactionConflictError, match="keep storing and deleting this memory"):
            await remember("one", source_type="document")


# --- what the scope holds ---------------------------------------------------------------------------------------


async def met(connection: Connection, other: Connection, work: Callable[[], Awaitable[StoreReport]]) -> StoreReport:
    """Work in a scope that has stored "held", while the other holds "text 7" and waits for "held"."""
    await other.execute("BEGIN")
    await insert(other, "text 7")
    waiting: asyncio.Task[object] | None = None
    try:
        async with tenant_scope("acme", "scribe"):
            await remember("held", source_type="document")
            waiting = asyncio.create_task(insert(other, "held"))
            await until_one_waits(connection)
            return await work()
    finally:
        await asyncio.gather(*([waiting] if waiting else []), return_exceptions=True)
        await other.execute("ROLLBACK")


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database_url)
    await connection.execute("SET deadlock_timeout = '1h'")  # it is never the one that gives way
    yield connection
    await connection.close()


async def test_a_deadlock_with_what_the_scope_itself_holds_stays_one(
    connection: Connection, other: Connection, remember_many: RememberMany
) -> None:
    async with asyncio.timeout(60):
        with pytest.raises(TransactionConflictError, match="40P01"):
            await met(connection, other, lambda: remember_many(items()))
    assert await texts(connection) == []


async def test_an_attempt_that_is_undone_leaves_nothing_in_the_report(
    connection: Connection, remember_many: RememberMany
) -> None:
    """The first window finds a forgotten memory, the second one fails; before the third, somebody brings it back."""
    memory_id = await insert(connection, "text 0", is_deleted=True)
    await fail_a_few_times(connection, 1, "40001")

    async def stream() -> AsyncIterator[Item]:
        for number in range(20):
            if number == 12:
                await connection.execute("UPDATE memory_records SET is_deleted = false")
            yield item(f"text {number}")

    async with tenant_scope("acme"):
        report = await remember_many(stream(), on_forgotten="raise", on_error="report")
    assert await connection.fetchval("SELECT last_value FROM attempts") == 2
    assert report[0] == ItemOutcome(StoreOutcome.EXISTING, memory_id, None)
    assert (report.created, report.refused, report.errors) == (19, 0, {})
