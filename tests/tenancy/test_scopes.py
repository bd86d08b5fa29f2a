"""The scope under concurrency: siblings, nesting, cancellation, timeouts, lost connections, and what ends it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from tortoise.transactions import in_transaction

from memory_guild.database.connecting import connect
from memory_guild.errors import (
    DuplicateMemoryError,
    InvalidInputError,
    RoleMissingError,
    ScopeAbortedError,
    ScopeError,
    TenantMismatchError,
    UnknownMemoryError,
)
from memory_guild.models import MemoryEmbedding, MemoryRecord, MemoryRelationship
from memory_guild.tenancy import admin_scope, tenant_scope
from memory_guild.testing.databases import name_of
from tests.tenancy.logins import connected, login, user_of
from tests.tenancy.scope_work import backend_pid, enter, memory, texts

pytestmark = pytest.mark.usefixtures("small_pool")


# --- one after the other, and at once ---------------------------------------------------------------------------


async def test_a_scope_commits_all_or_nothing() -> None:
    async with tenant_scope("acme", agent_id="scribe") as scope:
        assert (scope.tenant_id, scope.agent_id) == ("acme", "scribe")
        await MemoryRecord.create(source_type="document", content_text="one")
        await MemoryEmbedding.create(memory=await MemoryRecord.get(), vector_id="v", embedding_model="small")
    with pytest.raises(KeyError):
        async with tenant_scope("acme"):
            await memory("two")
            raise KeyError

    assert await texts() == ["one"]
    assert await texts("bolt") == []


async def test_the_scope_fills_in_tenant_and_agent() -> None:
    async with tenant_scope("acme", agent_id="scribe"):
        filled = MemoryRecord(source_type="document", content_text="one")
        assert (filled.tenant_id, filled.agent_id) == ("acme", "scribe")
        assert MemoryRecord(source_type="document", content_text="one", agent_id="other").agent_id == "other"
        async with tenant_scope("acme"):
            assert MemoryRecord(source_type="document", content_text="one").agent_id == "scribe"
        async with tenant_scope("acme", agent_id="reader"):
            assert MemoryRecord(source_type="document", content_text="one").agent_id == "reader"
    with pytest.raises(TenantMismatchError):
        async with tenant_scope("acme"):
            await memory("one", tenant_id="bolt")


async def test_gathered_scopes_of_many_tenants_on_a_small_pool_stay_apart() -> None:
    async def work(number: int) -> list[str]:
        async with tenant_scope(f"tenant {number}"):
            await memory(f"of {number}")
            await asyncio.gather(*(memory(f"of {number}, {part}") for part in range(3)))
            return [row.content_text for row in await MemoryRecord.all().order_by("content_text")]

    seen = await asyncio.gather(*(work(number) for number in range(20)))

    for number, rows in enumerate(seen):
        assert rows == [f"of {number}", *(f"of {number}, {part}" for part in range(3))]


async def test_a_task_group_inside_shares_the_transaction() -> None:
    async with tenant_scope("acme"):
        pid = await backend_pid()
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(memory(str(number)))
            pids = [group.create_task(backend_pid()) for _ in range(3)]
        assert {task.result() for task in pids} == {pid}
        assert await MemoryRecord.all().count() == 5

    assert len(await texts()) == 5


async def test_a_failing_task_of_a_group_rolls_all_back() -> None:
    async def fail() -> None:
        await backend_pid()
        raise KeyError

    with pytest.raises(ExceptionGroup):
        async with tenant_scope("acme"), asyncio.TaskGroup() as group:
            group.create_task(memory("one"))
            group.create_task(fail())

    assert await texts() == []


# --- nesting ----------------------------------------------------------------------------------------------------


async def test_a_nested_scope_is_undone_alone() -> None:
    async with tenant_scope("acme"):
        await memory("one")
        with pytest.raises(DuplicateMemoryError):
            async with tenant_scope("acme"):
                await memory("two")
                await memory("one")
        async with tenant_scope("acme"):
            await memory("three")
            with pytest.raises(KeyError):
                async with tenant_scope("acme"):
                    await memory("four")
                    raise KeyError

    assert await texts() == ["one", "three"]


@pytest.mark.parametrize("inner", [lambda: tenant_scope("bolt"), admin_scope], ids=["another tenant", "maintenance"])
async def test_no_other_scope_nests_in_a_tenants(inner: Callable[[], tenant_scope]) -> None:
    async with tenant_scope("acme"):
        with pytest.raises(TenantMismatchError):
            await enter(inner())
        await memory("one")

    assert await texts() == ["one"]


async def test_no_tenant_nests_in_a_maintenance_scope() -> None:
    async with admin_scope("to be tested"):
        with pytest.raises(TenantMismatchError):
            await enter(tenant_scope("acme"))


async def test_in_transaction_inside_is_a_savepoint_and_scopes_nest_in_it() -> None:
    async with tenant_scope("acme"):
        with pytest.raises(KeyError):
            async with in_transaction():
                await memory("one")
                raise KeyError
        async with in_transaction(), tenant_scope("acme"), in_transaction():
            await memory("two")

    assert await texts() == ["two"]


async def test_a_scope_inside_in_transaction_is_refused() -> None:
    async with in_transaction():
        with pytest.raises(ScopeError, match="in_transaction"):
            await enter(tenant_scope("acme"))


async def test_a_scope_object_opens_one_block() -> None:
    scope = tenant_scope("acme")
    async with scope:
        with pytest.raises(ScopeError, match="one block"):
            await enter(scope)
        await memory("one")
    with pytest.raises(ScopeError, match="one block"):
        await enter(scope)

    assert await texts() == ["one"]


async def test_siblings_wait_while_a_nested_scope_is_open() -> None:
    order: list[str] = []
    opened, asked = asyncio.Event(), asyncio.Event()

    async def nested() -> None:
        async with tenant_scope("acme"):
            opened.set()
            await asked.wait()
            for number in range(3):
                await memory(f"nested {number}")
            order.append("nested")
            raise KeyError

    async def sibling() -> None:
        await opened.wait()
        asked.set()
        await memory("sibling")
        order.append("sibling")

    async with tenant_scope("acme"):
        first, second = await asyncio.gather(nested(), sibling(), return_exceptions=True)

    assert (type(first), second, order) == (KeyError, None, ["nested", "sibling"])
    assert await texts() == ["sibling"]


async def test_nested_scopes_of_several_tasks_take_turns() -> None:
    async def nested(number: int) -> None:
        async with tenant_scope("acme"):
            await memory(f"{number} a")
            await memory(f"{number} b")
            if number % 2:
                raise KeyError

    async with tenant_scope("acme"):
        await asyncio.gather(*(nested(number) for number in range(6)), return_exceptions=True)

    assert await texts() == ["0 a", "0 b", "2 a", "2 b", "4 a", "4 b"]


async def test_what_was_prepared_before_a_nested_scope_runs_inside_it() -> None:
    async with tenant_scope("acme"):
        query, stored = MemoryRecord.all(), await memory("one")
        edges = stored.outgoing_edges.all()
        async with asyncio.timeout(10):
            async with tenant_scope("acme"):
                await memory("two")
                assert len(await query) == 2
                assert await edges == []
                async with in_transaction():
                    assert await query.count() == 2
        assert await query.count() == 2


# --- maintenance ------------------------------------------------------------------------------------------------


async def test_maintenance_sees_all_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    for tenant_id in ("acme", "bolt"):
        async with tenant_scope(tenant_id):
            await memory(f"of {tenant_id}")

    with caplog.at_level(logging.WARNING, logger="memory_guild.tenancy"):
        async with admin_scope("counting"):
            assert await MemoryRecord.all().count() == 2
        with pytest.raises(KeyError):
            async with admin_scope("failing"):
                raise KeyError

    messages = [record.getMessage() for record in caplog.records if record.name == "memory_guild.tenancy"]
    assert len(messages) == 4
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 4
    assert all("counting" in message for message in messages[:2])
    assert "committed" in messages[1]
    assert all("failing" in message for message in messages[2:])
    assert "rolled back" in messages[3]


async def test_maintenance_that_could_not_commit_is_not_logged_as_committed(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="memory_guild.tenancy"), pytest.raises(ScopeAbortedError):
        async with admin_scope("failing quietly"):
            with pytest.raises(DuplicateMemoryError):
                for _ in range(2):
                    await MemoryRecord.create(
                        tenant_id="acme", agent_id="scribe", source_type="document", content_text="twice"
                    )

    assert "rolled back" in caplog.messages[-1]


async def test_maintenance_cannot_join_two_tenants() -> None:
    ids = []
    for tenant_id in ("acme", "bolt"):
        async with tenant_scope(tenant_id):
            ids.append((await memory(f"of {tenant_id}")).memory_id)

    with pytest.raises(UnknownMemoryError):
        async with admin_scope("joining"):
            await MemoryRelationship.create(
                source_memory_id=ids[0], target_memory_id=ids[1], relationship_type="supports"
            )


async def test_an_agents_login_has_no_maintenance(small_pool: str) -> None:
    async with login(small_pool) as url, connect(url):
        with pytest.raises(RoleMissingError, match="GRANT memory_guild_admin"):
            await enter(admin_scope("trying"))
        assert await texts() == []


@pytest.mark.parametrize("tenant_id", ["", "x" * 256, "a\x00b", "\ud800", None, 5])
async def test_what_is_no_tenant(tenant_id: Any) -> None:
    with pytest.raises(InvalidInputError) as caught:
        tenant_scope(tenant_id)

    assert caught.value.field == "tenant_id"
    with pytest.raises(InvalidInputError):
        tenant_scope("acme", agent_id="")


# --- used wrongly -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scope", [lambda: tenant_scope("acme"), lambda: admin_scope("a test")], ids=["tenant", "admin"]
)
async def test_a_scope_that_has_not_begun_cannot_end(scope: Callable[[], tenant_scope | admin_scope]) -> None:
    with pytest.raises(ScopeError, match="has not begun"):
        await scope().__aexit__(None, None, None)


@pytest.mark.parametrize("of", ["role", "database"])
async def test_row_security_that_is_off_by_default_is_on_in_scopes(scopes_database_url: str, of: str) -> None:
    async with login(scopes_database_url) as url, connected(scopes_database_url) as superuser:
        name = user_of(url) if of == "role" else name_of(url)
        await superuser.execute(f'ALTER {of} "{name}" SET row_security = off')
        try:
            async with connect(url):
                async with tenant_scope("acme", agent_id="scribe"):
                    await memory("one")
                async with tenant_scope("acme"):
                    assert await MemoryRecord.all().count() == 1
                async with tenant_scope("bolt"):
                    assert await MemoryRecord.all().count() == 0
        finally:
            await superuser.execute(f'ALTER {of} "{name}" RESET row_security')
