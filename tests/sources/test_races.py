"""Sources that are deactivated, or quarantined, while many store from them: afterwards nothing more comes from them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context

import asyncpg
import pytest

import memory_guild as guild
from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.errors import InactiveSourceError, LockNotAvailableError
from memory_guild.models import DataSource
from memory_guild.tenancy import admin_scope, tenant_scope
from tests.databases import run_statement

TENANTS = 4


async def by_verb() -> None:
    assert await guild.sources.deactivate("crm")


async def by_model() -> None:
    source = await DataSource.get(source_name="crm")
    source.is_active = False
    await source.save()


async def by_queryset() -> None:
    await DataSource.filter(source_name="crm").update(is_active=False)


async def stored_and_stored_later(
    url: str, stores: int, tasks: int, end: Callable[[], Awaitable[None]]
) -> tuple[int, int]:
    """How many were stored from the source, and how many of them after the commit that deactivated it."""
    numbers = iter(range(stores))

    async def store() -> None:
        for number in numbers:
            try:
                async with tenant_scope(f"tenant {number % TENANTS}", agent_id="scribe"):
                    await guild.remember(f"text {number}", source_type="external", source="crm")
            except InactiveSourceError:
                continue

    async def deactivate(connection: asyncpg.Connection[asyncpg.Record]) -> int:
        while await connection.fetchval("SELECT count(*) FROM memory_sources") < stores // 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        async with admin_scope("race"):
            await end()
            before_the_commit: int = await connection.fetchval("SELECT count(*) FROM memory_sources")
        return before_the_commit

    connection = await asyncpg.connect(url)
    try:
        at_the_commit, *_ = await asyncio.gather(deactivate(connection), *(store() for _ in range(tasks)))
        after = int(await connection.fetchval("SELECT count(*) FROM memory_sources"))
        assert at_the_commit is not None
        memories = await connection.fetchval("SELECT count(*) FROM memory_records")
        assert memories == after
    finally:
        await connection.close()
    return after, after - at_the_commit


@pytest.fixture
async def crowded(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with the source ``crm``, and settings for a pool of many connections."""
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "40")
    await run_statement(database_url, "INSERT INTO data_sources (source_name, source_type) VALUES ('crm', 'api')")
    return database_url


@pytest.mark.parametrize("end", [by_verb, by_model, by_queryset])
async def test_nothing_is_stored_after_the_commit_that_deactivates(
    crowded: str, end: Callable[[], Awaitable[None]]
) -> None:
    async with connect(crowded, check_schema=False), asyncio.timeout(60):
        stored, later = await stored_and_stored_later(crowded, 200, 20, end)
    assert later == 0
    assert 50 <= stored < 200


@pytest.mark.long
async def test_ten_thousand_stores_leave_nothing_after_the_commit_that_deactivates(crowded: str) -> None:
    async with connect(crowded, check_schema=False), asyncio.timeout(300):
        stored, later = await stored_and_stored_later(crowded, 10_000, 40, by_verb)
    assert later == 0
    assert 2_500 <= stored < 10_000


async def new() -> None:
    await guild.remember("text", source_type="external", source="crm")


async def metadata_of_what_is_there() -> None:
    known = {"content_text": "known", "source_type": "external", "metadata": {"changed": True}}
    assert (await guild.remember_many([known], source="crm", on_existing="merge")).existing == 1


async def restored() -> None:
    assert (await guild.remember("gone", source_type="external", source="crm")).outcome == "restored"


@pytest.mark.parametrize("begin", ["deactivated", "quarantined"])
@pytest.mark.parametrize("what", [new, metadata_of_what_is_there, restored])
async def test_a_scope_that_has_begun_to_store_ends_first(
    crowded: str, begin: str, what: Callable[[], Awaitable[None]]
) -> None:
    order: list[str] = []
    has_stored, waits = asyncio.Event(), asyncio.Event()

    async def store() -> None:
        async with tenant_scope("acme", agent_id="scribe"):
            await what()
            has_stored.set()
            await waits.wait()
            await asyncio.sleep(0.5)
            order.append("stored")

    async def change() -> None:
        await has_stored.wait()
        async with admin_scope("race"):
            waits.set()
            if begin == "deactivated":
                await guild.sources.deactivate("crm")
            else:
                await guild.sources.update("crm", metadata={"quarantine": True})
        order.append(begin)

    async with connect(crowded, check_schema=False), asyncio.timeout(30):
        async with tenant_scope("acme", agent_id="scribe"):
            await guild.remember("known", source_type="external", source="crm")
            await guild.forget(await guild.remember("gone", source_type="external", source="crm"))
        await asyncio.gather(store(), change())
    assert order == ["stored", begin]


async def test_who_deactivates_gives_up_on_a_scope_that_does_not_end(crowded: str) -> None:
    connection = await asyncpg.connect(crowded)
    try:
        patience = await connection.fetchval("SELECT pg_get_functiondef('memory_guild_patience'::regproc)")
        assert "'30s'" in patience
        await connection.execute(patience.replace("'30s'", "'300ms'"))
    finally:
        await connection.close()
    async with connect(crowded, check_schema=False), asyncio.timeout(30):
        async with tenant_scope("acme", agent_id="scribe"):
            await guild.remember("text", source_type="external", source="crm")
            deactivation = asyncio.create_task(deactivated(), context=Context())
            with pytest.raises(LockNotAvailableError):
                await deactivation
        assert await deactivated() == "0"


async def deactivated() -> str:
    """Deactivate the source; how long the scope waits for locks afterwards."""
    async with admin_scope("race"):
        await guild.sources.deactivate("crm")
        (row,) = await client().execute_query_dict("SHOW lock_timeout")
    return str(row["lock_timeout"])
