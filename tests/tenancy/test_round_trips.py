"""What a scope costs, counted where it matters: between the client and the server, by a proxy in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import count as count_up
from typing import Any, TypeAlias

import pytest

from memory_guild import find, forget, get, get_many, relate, remember, remember_many, restore, traverse
from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.database.isolation import check_isolation
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import admin_scope, tenant_scope
from tests.databases import run_statement
from tests.tenancy.counting_proxy import RoundTrips, counting_proxy
from tests.tenancy.two_tenants import ACME_1, ACME_2, ACME_3, BOLT_1, ROWS

Work: TypeAlias = Callable[[], Awaitable[Any]]


@pytest.fixture
async def trips(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RoundTrips]:
    """The count, with Tortoise connected through the proxy by one connection."""
    await run_statement(database_url, ROWS)
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "1")
    async with counting_proxy(database_url) as (url, trips), connect(url):
        yield trips


async def count(trips: RoundTrips, work: Work) -> int:
    """The round trips of some work whose statements the server has seen before: preparing one is a trip of its own."""
    await work()
    await work()
    trips.since_last()
    await work()
    return trips.since_last()


def scope(*reads: Work) -> Work:
    """A tenant's scope with some reads in it."""

    async def work() -> None:
        async with tenant_scope("acme"):
            for read in reads:
                await read()

    return work


async def by_key() -> None:
    """Read one memory that is there."""
    assert await MemoryRecord.get_or_none(memory_id=ACME_1)


async def strangers() -> None:
    """Read one memory that is another tenant's."""
    assert await MemoryRecord.get_or_none(memory_id=BOLT_1) is None


async def newest() -> None:
    """Read a list."""
    assert len(await MemoryRecord.all().order_by("-created_at").limit(50)) == 3


async def update() -> None:
    """Change one memory."""
    assert await MemoryRecord.filter(memory_id=ACME_2).update(is_deleted=False) == 1


async def verb_get() -> None:
    """Read one memory with the verb."""
    assert (await get(ACME_1)).tenant_id == "acme"


async def verb_get_missing() -> None:
    """Read another tenant's memory with the verb."""
    assert (await get_many([BOLT_1])).memories == []


async def verb_remember() -> None:
    """Store one with the verb; a new one each time."""
    assert (await remember(f"text {next(_numbers)}", source_type="document", agent_id="scribe")).outcome == "created"


async def verb_remember_again() -> None:
    """Store one that is there."""
    assert (await remember(ACME_1, source_type="document", agent_id="agent-1")).outcome == "existing"


async def verb_remember_many() -> None:
    """Store five of which one is there."""
    items = [{"agent_id": "agent-1", "source_type": "document", "content_text": ACME_1}]
    items += [{**items[0], "content_text": f"text {next(_numbers)}"} for _ in range(4)]
    assert (await remember_many(items)).created == 4


async def verb_find() -> None:
    """Find a full page, of memories that are new."""
    assert len((await find(limit=2)).memories) == 2


async def verb_find_few() -> None:
    """Find less than a page: the walk over what is new is not enough, and everything is sorted."""
    assert (await find(agent_id="agent-1")).next_cursor is None


async def verb_find_with_relations() -> None:
    """Find a page with embeddings and edges."""
    assert (await find(limit=2, relations=("embeddings", "outgoing_edges", "incoming_edges"))).next_cursor


async def verb_relate() -> None:
    """Store an edge that is there."""
    assert not (await relate(ACME_1, ACME_2, "supports")).created


async def verb_traverse() -> None:
    """Walk three hops."""
    assert len((await traverse(ACME_1)).steps) == 1


async def verb_forget() -> None:
    """Forget one and bring it back."""
    assert (await forget(ACME_3), await restore(ACME_3)) == (1, 1)


_numbers = count_up()


async def nested() -> None:
    """A scope of the same tenant, with one read by key."""
    async with tenant_scope("acme"):
        await by_key()


COSTS: dict[str, tuple[Work, int]] = {
    "nothing": (scope(), 2),
    "one read by key": (scope(by_key), 3),
    "one read of a stranger's": (scope(strangers), 3),
    "two reads by key": (scope(by_key, by_key), 4),
    "one update by key": (scope(update), 3),
    "a list": (scope(newest), 4),
    "two lists": (scope(newest, newest), 5),
    "a list and a read": (scope(newest, by_key), 5),
    "nested": (scope(nested), 5),
    "get": (scope(verb_get), 3),
    "get of a missing one": (scope(verb_get_missing), 3),
    "remember": (scope(verb_remember), 3),
    "remember what is there": (scope(verb_remember_again), 3),
    # The moment, a savepoint, what is new, what is there, and the savepoint's end.
    "remember_many": (scope(verb_remember_many), 2 + 5),
    "find": (scope(verb_find), 2 + 2),
    "find, twice": (scope(verb_find, verb_find), 2 + 3),
    # That nothing recent is enough is known by now: the tenant's rows are sorted at once.
    "find few": (scope(verb_find_few), 2 + 2),
    "find with three relations": (scope(verb_find_with_relations), 2 + 2 + 3),
    "relate": (scope(verb_relate), 3),
    "traverse": (scope(verb_traverse), 3),
    "forget and restore": (scope(verb_forget), 2 + 2 * 2),
}
"""What each costs; the first list of a scope costs one more, see ``plan_for_values``."""


@pytest.mark.parametrize(("work", "expected"), COSTS.values(), ids=COSTS)
async def test_a_scope_costs_one_round_trip_to_open_and_one_to_close(
    trips: RoundTrips, work: Work, expected: int
) -> None:
    assert await count(trips, work) == expected


async def test_a_maintenance_scope_costs_one_more_for_the_audit(trips: RoundTrips) -> None:
    async def work() -> None:
        async with admin_scope("the test of its cost"):
            await by_key()

    assert await count(trips, work) == 4


async def test_a_statement_without_a_scope_costs_its_pool_a_reset(trips: RoundTrips) -> None:
    """What the scope saves; it also shows that the proxy counts what is there."""

    async def work() -> None:
        await client().execute_query("SELECT 1")

    assert await count(trips, work) == 2


async def test_preparing_a_statement_is_a_round_trip(trips: RoundTrips) -> None:
    trips.since_last()
    await scope(by_key)()

    assert trips.since_last() == 4


async def test_a_rollback_costs_at_most_three(trips: RoundTrips) -> None:
    async def work() -> None:
        with suppress(ZeroDivisionError):
            async with tenant_scope("acme"):
                raise ZeroDivisionError

    assert await count(trips, work) <= 3


async def test_opening_and_closing_are_where_the_round_trips_are(trips: RoundTrips) -> None:
    await scope(by_key)()
    trips.since_last()
    async with tenant_scope("acme"):
        opened = trips.since_last()
        await by_key()
        read = trips.since_last()
    closed = trips.since_last()

    assert (opened, read, closed) == (1, 1, 1)


async def test_the_next_scope_finds_the_connection_reset(trips: RoundTrips) -> None:
    """The saved round trip was not saved on what it is for."""
    async with tenant_scope("acme") as first:
        connection = first.transaction._connection
        backend = await connection.fetchval("SELECT pg_backend_pid()")
        await connection.execute(
            "SET application_name = 'changed'; SET memory_guild.tenant_id = 'bolt'; LISTEN channel;"
            "SELECT pg_advisory_lock(1); DECLARE rows CURSOR WITH HOLD FOR SELECT 1;"
            "CREATE TEMP TABLE staged AS SELECT content_text FROM memory_records"
        )
    left = """
        SELECT current_setting('application_name') AS name, current_setting('memory_guild.tenant_id', true) AS tenant,
               (SELECT count(*) FROM pg_listening_channels()) AS channels, to_regclass('staged') AS staged,
               (SELECT count(*) FROM pg_cursors WHERE is_holdable) AS cursors,
               (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks,
               current_user = session_user AS own_role, pg_backend_pid() AS backend
    """
    (found,) = await client().execute_query_dict(left)

    assert found == {
        "name": "memory-guild",
        "tenant": "",
        "channels": 0,
        "staged": None,
        "cursors": 0,
        "locks": 0,
        "own_role": True,
        "backend": backend,
    }


async def test_the_check_of_isolation_is_one_round_trip(trips: RoundTrips) -> None:
    await check_isolation()
    trips.since_last()
    await check_isolation()

    assert trips.since_last() == 2  # the probe, and the pool's reset
