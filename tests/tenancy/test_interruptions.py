"""The scope interrupted: cancelled, timed out, outlived by its tasks, failed, or without its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from tortoise.transactions import in_transaction

from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.errors import (
    DuplicateMemoryError,
    ScopeAbortedError,
    ScopeClosedError,
    ScopeError,
    ScopeIdleError,
    ServerUnreachableError,
    TenantNotSetError,
)
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import tenant_scope
from tests.tenancy.logins import connected
from tests.tenancy.scope_work import backend_pid, enter, kill_backend, memory, texts

pytestmark = pytest.mark.usefixtures("small_pool")


# --- cancellation and timeouts ----------------------------------------------------------------------------------


def sleep_on_the_server(seconds: float = 30) -> Coroutine[Any, Any, object]:
    return client().execute_query("SELECT pg_sleep($1)", [seconds])


async def test_a_timeout_around_a_scope_rolls_it_back() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), tenant_scope("acme"):
            await memory("one")
            await sleep_on_the_server()

    assert await texts() == []


async def test_a_timeout_inside_a_scope_that_is_caught_still_ends_it() -> None:
    with pytest.raises(ScopeAbortedError):
        async with tenant_scope("acme"):
            await memory("one")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await sleep_on_the_server()

    assert await texts() == []


async def test_a_timeout_of_a_nested_scope_undoes_it_alone() -> None:
    async with tenant_scope("acme"):
        await memory("one")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), tenant_scope("acme"):
                await memory("two")
                await sleep_on_the_server()
        await memory("three")

    assert await texts() == ["one", "three"]


async def test_a_cancelled_task_stays_cancelled_and_leaves_nothing() -> None:
    began = asyncio.Event()

    async def work() -> None:
        async with tenant_scope("acme"):
            await memory("one")
            began.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await texts() == []


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89])
async def test_cancelled_at_any_turn_the_pool_stays_whole(turns: int) -> None:
    async def work(number: int) -> None:
        async with tenant_scope("acme"):
            await memory(f"{number} a")
            async with tenant_scope("acme"):
                await memory(f"{number} b")

    for number in range(10):
        task = asyncio.create_task(work(number))
        for _ in range(turns * (number + 1)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    found = await texts()
    assert [text[:-1] for text in found if text.endswith("a")] == [text[:-1] for text in found if text.endswith("b")]


# --- tasks and querysets that outlive their scope ---------------------------------------------------------------


async def test_a_task_that_outlives_its_scope_gets_an_error() -> None:
    ended = asyncio.Event()

    async def late(ask: Callable[[], Any]) -> Any:
        await ended.wait()
        return await ask()

    async with tenant_scope("acme"):
        await memory("one")
        query, stored = MemoryRecord.all(), await MemoryRecord.get()
        asks: list[Callable[[], Any]] = [
            lambda: MemoryRecord.all(),
            lambda: query,
            lambda: query.count(),
            lambda: stored.embeddings,
            lambda: stored.save(),
            lambda: client().execute_query("SELECT 1"),
            lambda: enter(in_transaction()),
        ]
        tasks = [asyncio.create_task(late(ask)) for ask in asks]
    async with tenant_scope("bolt"):
        ended.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [ScopeClosedError] * len(asks)


async def test_a_task_that_outlives_its_scope_may_open_its_own() -> None:
    ended = asyncio.Event()

    async def late() -> list[str]:
        await ended.wait()
        return await texts("bolt")

    async with tenant_scope("bolt"):
        await memory("one of bolt")
    async with tenant_scope("acme"):
        task = asyncio.create_task(late())
    ended.set()

    assert await task == ["one of bolt"]


async def test_a_queryset_belongs_to_the_scope_that_it_was_built_in() -> None:
    async with tenant_scope("acme"):
        await memory("one")
        query = MemoryRecord.all()

    with pytest.raises(ScopeClosedError):
        await query
    async with tenant_scope("bolt"):
        with pytest.raises(ScopeClosedError):
            await query
    with pytest.raises(TenantNotSetError):
        MemoryRecord.all()


async def test_a_generator_that_ends_in_another_task_gives_its_connection_back() -> None:
    async def rows() -> AsyncIterator[MemoryRecord]:
        async with tenant_scope("acme"):
            yield await memory("one")

    for _ in range(3):
        generator: Any = rows()
        await asyncio.create_task(generator.__anext__())
        await generator.aclose()

    assert await texts() == []


# --- statements that fail ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "then",
    [
        lambda: asyncio.sleep(0),
        lambda: MemoryRecord.all().count(),
        lambda: memory("three"),
        lambda: enter(tenant_scope("acme")),
        lambda: enter(in_transaction()),
    ],
    ids=["nothing", "a list", "a write", "a nested scope", "in_transaction"],
)
async def test_an_error_that_is_caught_inside_still_ends_the_scope(then: Callable[[], Any]) -> None:
    with pytest.raises(ScopeAbortedError):
        async with tenant_scope("acme"):
            await memory("one")
            with pytest.raises(DuplicateMemoryError):
                await memory("one")
            await then()

    assert await texts() == []


async def test_an_error_that_is_caught_inside_a_nested_scope_ends_that_alone() -> None:
    async with tenant_scope("acme"):
        await memory("one")
        with pytest.raises(ScopeAbortedError):
            async with tenant_scope("acme"):
                await memory("two")
                with pytest.raises(DuplicateMemoryError):
                    await memory("one")

    assert await texts() == ["one"]


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK", "END; SELECT 1", "COMMIT AND NO CHAIN"])
@pytest.mark.parametrize("then", [lambda: client().execute_query("SELECT 1"), lambda: asyncio.sleep(0)])
async def test_a_raw_commit_does_not_go_on_with_the_logins_rights(statement: str, then: Callable[[], Any]) -> None:
    with pytest.raises(ScopeError, match="of its own"):
        async with tenant_scope("acme"):
            await client().execute_script(statement)
            await then()


async def test_what_a_scope_leaves_in_the_session_does_not_reach_the_next(small_pool: str) -> None:
    async with tenant_scope("acme"):
        await memory("one")
        pid = await backend_pid()
        await client().execute_script(
            "CREATE TEMPORARY TABLE left_over AS SELECT * FROM memory_records;"
            "DECLARE left_open CURSOR WITH HOLD FOR SELECT * FROM memory_records;"
            "SET memory_guild.note = 'one'; SET enable_seqscan = off; SELECT pg_advisory_lock(1)"
        )

    async with tenant_scope("bolt"):
        assert await backend_pid() == pid
        (row,) = await client().execute_query_dict(
            "SELECT to_regclass('pg_temp.left_over') AS left_over, current_setting('memory_guild.note', true) AS note,"
            " current_setting('enable_seqscan') AS seqscan,"
            " (SELECT count(*) FROM pg_cursors WHERE is_holdable) AS cursors,"
            " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks"
        )
        assert (row["left_over"], row["note"] or "", row["seqscan"], row["cursors"], row["locks"]) == (
            None,
            "",
            "on",
            0,
            0,
        )


# --- lost connections -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "then",
    [
        lambda: asyncio.sleep(0),
        lambda: MemoryRecord.all().count(),
        lambda: memory("two"),
        lambda: enter(tenant_scope("acme")),
    ],
    ids=["nothing", "a list", "a write", "a nested scope"],
)
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.long
async def test_a_killed_backend_is_one_error_and_the_pool_recovers(
    small_pool: str, then: Callable[[], Any], nested: bool
) -> None:
    for _ in range(4):
        with pytest.raises(ServerUnreachableError):
            async with tenant_scope("acme"):
                await memory("one")
                if nested:
                    async with tenant_scope("acme"):
                        await kill_backend(small_pool)
                        await then()
                else:
                    await kill_backend(small_pool)
                    await then()

    assert await texts() == []


async def test_an_error_of_the_callers_own_outlives_a_killed_backend(small_pool: str) -> None:
    for _ in range(4):
        with pytest.raises(KeyError):
            async with tenant_scope("acme"), tenant_scope("acme"):
                await kill_backend(small_pool)
                raise KeyError


async def test_a_connection_that_was_killed_in_the_pool_is_one_error_at_most(small_pool: str) -> None:
    for _ in range(6):
        async with tenant_scope("acme"):
            pid = await backend_pid()
        async with connected(small_pool) as superuser:
            await superuser.execute("SELECT pg_terminate_backend($1::int, 5000::bigint)", pid)
        try:
            assert await texts() == []
        except ServerUnreachableError:
            assert await texts() == []


async def test_an_idle_scope_ends_with_the_reason(small_pool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_SCOPE_IDLE_TIMEOUT_SECONDS", "0.2")
    async with connect(small_pool):
        for then in (lambda: MemoryRecord.all().count(), lambda: memory("two"), lambda: asyncio.sleep(0)):
            with pytest.raises(ScopeIdleError, match="MEMORY_GUILD_SCOPE_IDLE_TIMEOUT_SECONDS"):
                async with tenant_scope("acme") as scope:
                    await memory("one")
                    while scope.transaction.session.is_alive:  # noqa: ASYNC110 - the server's doing, it sets no event
                        await asyncio.sleep(0.02)
                    await then()
        assert await texts() == []
