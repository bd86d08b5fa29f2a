"""The verbs refused, or cancelled: what ends the scope, what a nested scope saves, and what leaves no trace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

import memory_guild as guild
from memory_guild.errors import DuplicateMemoryError, MemoryNotFoundError, ScopeAbortedError, UnknownMemoryError
from memory_guild.tenancy import tenant_scope
from tests.tenancy.scope_work import enter, texts
from tests.tenancy.two_tenants import MISSING

pytestmark = pytest.mark.usefixtures("small_pool")


def item(text: str) -> dict[str, Any]:
    return {"source_type": "document", "content_text": text, "agent_id": "scribe"}


async def test_what_the_database_refused_ends_the_scope_even_if_it_is_caught() -> None:
    with pytest.raises(ScopeAbortedError):
        async with tenant_scope("acme", agent_id="scribe"):
            one, _ = await guild.remember("one", source_type="document")
            with suppress(UnknownMemoryError):
                await guild.relate(one, MISSING, "supports")

    assert await texts() == []


async def test_what_a_nested_scope_was_refused_is_undone_alone() -> None:
    async with tenant_scope("acme", agent_id="scribe"):
        one, _ = await guild.remember("one", source_type="document")
        two, _ = await guild.remember("two", source_type="document")
        refusals: list[tuple[Callable[[], Awaitable[Any]], type[Exception]]] = [
            (lambda: guild.relate(one, MISSING, "supports"), UnknownMemoryError),
            (lambda: guild.update(two, content_text="one"), DuplicateMemoryError),
        ]
        for refused, error in refusals:
            with pytest.raises(error):
                async with tenant_scope("acme"):
                    await guild.remember("three", source_type="document")
                    await refused()
        with pytest.raises(UnknownMemoryError):
            await guild.relate_many(  # has a nested scope of its own
                [{"source_memory_id": one.memory_id, "target_memory_id": MISSING, "relationship_type": "supports"}]
            )
        assert await guild.count() == 2

    assert await texts() == ["one", "two"]


async def test_what_a_verb_itself_refuses_leaves_the_scope_as_it_is() -> None:
    async with tenant_scope("acme", agent_id="scribe"):
        one, _ = await guild.remember("one", source_type="document")
        refusals: list[Callable[[], Awaitable[Any]]] = [
            lambda: guild.get(MISSING),
            lambda: guild.forget(one, MISSING),
            lambda: guild.update(MISSING, metadata={}),
            lambda: guild.supersede(MISSING, "two"),
            lambda: guild.traverse(MISSING),
        ]
        for refused in refusals:
            with pytest.raises(MemoryNotFoundError):
                await refused()

    assert await texts() == ["one"]


def _items_that_fail() -> Iterator[dict[str, Any]]:
    yield from (item(f"text {number}") for number in range(2500))
    raise ZeroDivisionError


async def test_an_error_of_the_items_own_undoes_the_call_alone() -> None:
    async with tenant_scope("acme", agent_id="scribe"):
        await guild.remember("one", source_type="document")
        with pytest.raises(ZeroDivisionError):
            await guild.remember_many(_items_that_fail())
        await guild.remember("two", source_type="document")

    assert await texts() == ["one", "two"]


@pytest.mark.parametrize("turns", [1, 3, 8, 20, 50, 120, 300])
async def test_cancelled_at_any_turn_remember_many_leaves_all_or_nothing(turns: int) -> None:
    async def work() -> None:
        async with tenant_scope("acme"):
            await guild.remember_many(item(f"text {number}") for number in range(3000))

    task = asyncio.create_task(work())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await enter(tenant_scope("acme"))  # the pool has a connection left that works

    # Cancelled in the middle of the commit, it is the server's to say.
    assert len(await texts()) in ({0, 3000} if task.cancelled() else {3000})
