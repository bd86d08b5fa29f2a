"""A stream that is interrupted: its backend killed, its task cancelled or out of time. Nothing is stored by halves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable

import pytest
from tortoise.exceptions import OperationalError

from memory_guild import remember, tenant_scope
from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.errors import ScopeAbortedError, ServerUnreachableError, StatementCanceledError
from memory_guild.memories.drafts import Item
from tests.memories.storing import Connection, RememberMany, insert, item, texts, until_one_waits
from tests.tenancy.pool import assert_pool_is_clean
from tests.tenancy.scope_work import kill_backend

pytestmark = pytest.mark.usefixtures("small_pool")

ITEMS = [item(f"text {number}") for number in range(40)]


@pytest.fixture
async def small_pool(
    verbs_database_url: str, superuser: Connection, monkeypatch: pytest.MonkeyPatch, remember_many: RememberMany
) -> AsyncIterator[None]:
    """Two connections at the most; both must be clean and free at the end, and able to store."""
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "2")
    unhandled: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    async with connect(verbs_database_url, check_schema=False):
        yield
        await assert_pool_is_clean(2)
        async with tenant_scope("bolt"):
            assert len(await remember_many(ITEMS)) == len(ITEMS)
    assert unhandled == []


class Store:
    """A scope that stores one memory, a stream and another memory."""

    def __init__(self, remember_many: RememberMany) -> None:
        self._remember_many = remember_many

    async def __call__(self, items: Iterable[Item] | AsyncIterable[Item] = ITEMS) -> None:
        """Open it, store, and commit."""
        async with tenant_scope("acme", "scribe"):
            await remember("before", source_type="document")
            await self._remember_many(items)
            await remember("after", source_type="document")


@pytest.fixture
def store(remember_many: RememberMany) -> Store:
    return Store(remember_many)


async def hold(superuser: Connection, number: int) -> None:
    """Let whoever stores the text wait."""
    await superuser.execute("BEGIN")
    await insert(superuser, f"text {number}")


# --- a killed backend -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 7, 39])
async def test_killed_while_a_window_is_stored(superuser: Connection, number: int, store: Store) -> None:
    await hold(superuser, number)
    task = asyncio.create_task(store())
    pid = await until_one_waits(superuser)
    assert await superuser.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
    with pytest.raises(ServerUnreachableError, match="run it again"):
        await task

    await superuser.execute("ROLLBACK")
    assert await texts(superuser) == []
    await store()  # as the message says
    assert await texts(superuser) == ["before", *(one["content_text"] for one in ITEMS), "after"]


@pytest.mark.parametrize("number", [0, 1, 6, 25, 39])
async def test_killed_between_two_windows(
    superuser: Connection, verbs_database_url: str, number: int, store: Store
) -> None:
    async def items() -> AsyncIterator[Item]:
        for position, one in enumerate(ITEMS):
            if position == number:
                await kill_backend(verbs_database_url)
            yield one

    with pytest.raises(ServerUnreachableError):
        await store(items())
    assert await texts(superuser) == []


# --- cancelled, or out of time ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 7, 39])
async def test_cancelled_while_a_window_is_stored(superuser: Connection, number: int, store: Store) -> None:
    await hold(superuser, number)
    task = asyncio.create_task(store())
    await until_one_waits(superuser)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await superuser.execute("ROLLBACK")
    assert await texts(superuser) == []


@pytest.mark.parametrize("number", [0, 7, 39])
async def test_a_call_that_is_cancelled_undoes_itself_alone(
    superuser: Connection, number: int, remember_many: RememberMany
) -> None:
    await hold(superuser, number)
    async with tenant_scope("acme", "scribe"):
        await remember("before", source_type="document")
        call = asyncio.create_task(remember_many(ITEMS))
        await until_one_waits(superuser)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await remember("after", source_type="document")
    await superuser.execute("ROLLBACK")
    assert await texts(superuser) == ["before", "after"]


@pytest.mark.parametrize("at", [0, 5, 20])
async def test_cancelled_while_the_source_waits(superuser: Connection, at: int, store: Store) -> None:
    waits, is_closed = asyncio.Event(), asyncio.Event()

    async def items() -> AsyncIterator[Item]:
        try:
            for number, one in enumerate(ITEMS):
                if number == at:
                    waits.set()
                    await asyncio.Event().wait()
                yield one
        finally:
            is_closed.set()

    task = asyncio.create_task(store(items()))
    await waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_closed.is_set()
    assert await texts(superuser) == []


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144])
async def test_cancelled_at_any_turn_everything_is_there_or_nothing(
    superuser: Connection, turns: int, store: Store
) -> None:
    async def items() -> AsyncIterator[Item]:
        for one in ITEMS:
            await asyncio.sleep(0)
            yield one

    for number in range(3):
        task = asyncio.create_task(store(items()))
        for _ in range(turns * (number + 1)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(await texts(superuser)) in (0, len(ITEMS) + 2)


async def test_a_statement_that_takes_too_long(superuser: Connection, remember_many: RememberMany) -> None:
    await hold(superuser, 7)

    async def cancel_the_statement() -> None:
        pid = await until_one_waits(superuser)
        await superuser.fetchval("SELECT pg_cancel_backend($1)", pid)

    canceling = asyncio.create_task(cancel_the_statement())
    async with tenant_scope("acme", "scribe"):
        await remember("before", source_type="document")
        with pytest.raises(StatementCanceledError):
            await remember_many(ITEMS)
        await remember("after", source_type="document")
    await canceling
    await superuser.execute("ROLLBACK")
    assert await texts(superuser) == ["before", "after"]


async def test_in_a_scope_that_has_failed_already(superuser: Connection, remember_many: RememberMany) -> None:
    with pytest.raises(ScopeAbortedError):
        async with tenant_scope("acme"):
            with pytest.raises(OperationalError, match="division by zero"):
                await client().execute_query("SELECT 1 / 0")
            await remember_many(ITEMS)
    assert await texts(superuser) == []
