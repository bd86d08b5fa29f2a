"""Tasks, threads and event loops other than the one that connected; what cannot work says so at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from tortoise import Tortoise

import memory_guild as guild
from memory_guild.errors import NotConnectedError, ScopeClosedError, ScopeIdleError, WrongEventLoopError
from memory_guild.settings import TORTOISE_ORM


async def count() -> int:
    async with guild.tenant_scope("acme", agent_id="a"):
        return await guild.count()


@pytest.mark.parametrize("way", ["connect", "tortoise"])
async def test_a_task_started_before_connecting_finds_the_database(
    way: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_DATABASE_URL", database_url)
    connected, over = asyncio.Event(), asyncio.Event()

    async def early() -> int:
        await connected.wait()
        return await count()

    async def main() -> None:
        if way == "connect":
            async with guild.connect():
                connected.set()
                await over.wait()
        else:
            await Tortoise.init(config=TORTOISE_ORM)
            connected.set()
            await over.wait()
            await Tortoise.close_connections()

    task = asyncio.create_task(early())
    block = asyncio.create_task(main())
    assert await task == 0
    loop = asyncio.get_running_loop()
    handed_over = await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(count(), loop).result(20))
    assert handed_over == 0
    over.set()
    await block
    with pytest.raises(NotConnectedError, match="connect"):
        await count()


def test_a_second_run_of_an_event_loop(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def connected() -> int:
        async with guild.connect(database_url):
            return await count()

    assert [asyncio.run(connected()) for _ in range(2)] == [0, 0]


async def test_a_foreign_loop_is_refused_at_once_and_harms_nobody(database: str) -> None:
    def in_a_loop_of_its_own(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(work)

    async def own_pool() -> int:
        async with guild.connect(database):
            return await count()

    for _ in range(3):
        async with guild.tenant_scope("acme", agent_id="a"):
            for work in (count, guild.count, _memories, _sources):
                with pytest.raises(WrongEventLoopError, match="run_coroutine_threadsafe"):
                    await asyncio.to_thread(in_a_loop_of_its_own, _awaited(work))
            assert await asyncio.to_thread(in_a_loop_of_its_own, own_pool()) == 0
            assert await guild.count() == 0
        with pytest.raises(WrongEventLoopError):
            await asyncio.to_thread(in_a_loop_of_its_own, count())
        assert await count() == 0


async def _memories() -> int:
    return await guild.MemoryRecord.all().count()


async def _sources() -> int:
    return await guild.DataSource.all().count()


async def _awaited(work: Any) -> Any:
    return await work()


@pytest.mark.parametrize("blocks", [False, True], ids=["awaits", "blocks"])
async def test_an_idle_scope_says_so_after_a_blocking_call_too(
    blocks: bool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_SCOPE_IDLE_TIMEOUT_SECONDS", "0.2")
    async with guild.connect(database_url):
        for use in (guild.count, guild.find):
            with pytest.raises(ScopeIdleError):
                async with guild.tenant_scope("acme", agent_id="a"):
                    if blocks:
                        time.sleep(0.5)  # noqa: ASYNC251 - what is tested
                    else:
                        await asyncio.sleep(0.5)
                    await use()


async def test_a_scope_that_waits_for_its_own_task_ends_with_the_servers_limit(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_SCOPE_IDLE_TIMEOUT_SECONDS", "0.3")
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "1")
    async with guild.connect(database_url):
        for opens_a_scope in (False, True):

            async def work(opens_a_scope: bool = opens_a_scope) -> int:
                await asyncio.sleep(0.05)
                return await (count() if opens_a_scope else guild.count())

            with pytest.raises(ScopeIdleError, match="nested scope"):
                async with guild.tenant_scope("acme", agent_id="a"):
                    task = asyncio.create_task(work())
                    async with guild.tenant_scope("acme"):
                        await task
            assert await count() == 0, "the only connection is free again"


async def test_find_all_that_goes_on_in_another_scope_is_refused(database: str) -> None:
    async with guild.tenant_scope("acme", agent_id="a"):
        for text in ("one", "two", "three"):
            await guild.remember(text, source_type="document")
        rows = guild.find_all()
        await anext(rows)
        async with guild.tenant_scope("acme"):
            await anext(rows)
    async with guild.tenant_scope("globex", agent_id="a"):
        with pytest.raises(ScopeClosedError):
            await anext(rows)
