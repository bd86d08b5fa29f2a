"""The verbs outside scopes, and in one that loses its connection or waits too long: a typed error, nothing half."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

import memory_guild as guild
from memory_guild.database.connecting import connect
from memory_guild.database.scope import Scope
from memory_guild.errors import (
    ScopeClosedError,
    ScopeIdleError,
    ServerUnreachableError,
    TenantNotSetError,
)
from memory_guild.tenancy import admin_scope, tenant_scope
from tests.databases import run_statement
from tests.tenancy.logins import connected
from tests.tenancy.scope_work import backend_pid, kill_backend, texts

pytestmark = pytest.mark.usefixtures("small_pool")

ONE, OTHER = UUID(int=1), UUID(int=2)
IDLE_SECONDS = 0.2
CONDITION: Any = {"source_type": "document"}


def item(text: str) -> dict[str, Any]:
    return {"source_type": "document", "content_text": text, "agent_id": "scribe"}


async def iterated() -> list[guild.MemoryRecord]:
    return [memory async for memory in guild.find_all()]


Call = Callable[[], Awaitable[Any]]

VERBS: dict[str, Call] = {
    "remember": lambda: guild.remember(**item("two")),
    "remember_many": lambda: guild.remember_many([item("two"), item("three")]),
    "get": lambda: guild.get(ONE),
    "get_many": lambda: guild.get_many([ONE]),
    "find": guild.find,
    "find_all": iterated,
    "count": guild.count,
    "recall": lambda: guild.recall("one"),
    "hydrate": lambda: guild.hydrate([(ONE, 0.9)]),
    "fetch_relations": lambda: guild.fetch_relations([guild.MemoryRecord(memory_id=ONE)]),
    "update": lambda: guild.update(ONE, metadata={}),
    "supersede": lambda: guild.supersede(ONE, "two"),
    "forget": lambda: guild.forget(ONE),
    "restore": lambda: guild.restore(ONE),
    "forget_where": lambda: guild.forget_where(**CONDITION),
    "purge": lambda: guild.purge(older_than=timedelta(0)),
    "erase_where": lambda: guild.erase_where(agent_id="nobody"),
    "relate": lambda: guild.relate(ONE, OTHER, "supports"),
    "relate_many": lambda: guild.relate_many(
        [{"source_memory_id": ONE, "target_memory_id": OTHER, "relationship_type": "supports"}]
    ),
    "unrelate": lambda: guild.unrelate(ONE, OTHER),
    "neighbors": lambda: guild.neighbors(ONE),
    "traverse": lambda: guild.traverse(ONE),
    "path": lambda: guild.path(ONE, OTHER),
    "contradictions": guild.contradictions,
    "subgraph": lambda: guild.subgraph(ONE),
}
every_verb = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)


def test_no_verb_is_left_out() -> None:
    no_verbs = {"connect", "upgrade", "schema", "tenant_scope", "admin_scope", "as_of"}  # as_of gives a queryset
    no_verbs |= {"embeddings", "policies", "sources"}  # namespaces
    no_verbs |= {"embed_pending", "relate_by_names"}  # what opens scopes of its own
    no_verbs |= {"sync_vectors", "sweep_vectors", "unregister_vector_index"}  # likewise
    no_verbs |= {"audit", "erase_tenant"}  # of an admin scope
    assert VERBS.keys() == {name for name in guild.__all__ if name.islower() and not name.startswith("_")} - no_verbs


# --- no scope ---------------------------------------------------------------------------------------------------


@every_verb
async def test_outside_a_scope_nothing_is_sent(verb: Call) -> None:
    with pytest.raises(TenantNotSetError, match="tenant_scope"):
        await verb()


@every_verb
async def test_a_maintenance_scope_has_no_tenant(verb: Call) -> None:
    async with admin_scope("the test of the verbs"):
        with pytest.raises(TenantNotSetError, match="maintenance scope"):
            await verb()


@every_verb
async def test_a_task_that_outlives_its_scope_gets_an_error(verb: Call) -> None:
    ended = asyncio.Event()

    async def late() -> Any:
        await ended.wait()
        return await verb()

    async with tenant_scope("acme"):
        task = asyncio.create_task(late())
    async with tenant_scope("bolt"):
        ended.set()
        with pytest.raises(ScopeClosedError):
            await task


# --- lost connections -------------------------------------------------------------------------------------------


@every_verb
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.long
async def test_a_killed_backend_is_one_error_and_the_pool_recovers(small_pool: str, verb: Call, nested: bool) -> None:
    with pytest.raises(ServerUnreachableError):
        async with tenant_scope("acme"):
            await guild.remember(**item("one"))
            async with asyncio.timeout(10):
                if nested:
                    async with tenant_scope("acme"):
                        await kill_backend(small_pool)
                        await verb()
                else:
                    await kill_backend(small_pool)
                    await verb()

    assert await texts() == []


@asynccontextmanager
async def held_back(url: str) -> AsyncIterator[Any]:
    """Another transaction stores the text "two", which a scope has to wait for; the connection that does so."""
    async with connected(url) as other:
        await other.execute("BEGIN")
        await other.execute(
            "INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash)"
            " VALUES ('scribe', 'acme', 'document', 'two', md5('two'))"
        )
        yield other


async def until_it_waits(other: Any, pid: int) -> None:
    async with asyncio.timeout(10):
        while not await other.fetchval("SELECT cardinality(pg_blocking_pids($1)) > 0", pid):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("verb", ["remember", "remember_many"])
async def test_a_backend_that_is_killed_while_the_verb_waits(small_pool: str, verb: str) -> None:
    async def store() -> None:
        async with tenant_scope("acme"):
            await guild.remember(**item("one"))
            began.set_result(await backend_pid())
            await VERBS[verb]()

    began: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with held_back(small_pool) as other:
        task = asyncio.create_task(store())
        await until_it_waits(other, await began)
        await other.fetchval("SELECT pg_terminate_backend($1::int, 5000::bigint)", await began)
        with pytest.raises(ServerUnreachableError):
            await task

    assert await texts() == []


async def test_a_backend_that_is_killed_between_two_windows(small_pool: str) -> None:
    """The stream goes on while the server stores; what is there afterwards is nothing, not the first thousand."""

    async def items() -> AsyncIterator[dict[str, Any]]:
        for number in range(5000):
            if number == 3000:
                async with connected(small_pool) as superuser:
                    assert await superuser.fetchval("SELECT pg_terminate_backend($1::int, 5000::bigint)", pid)
            yield item(f"text {number}")

    with pytest.raises(ServerUnreachableError):
        async with tenant_scope("acme"):
            pid = await backend_pid()
            await guild.remember_many(items())

    assert await texts() == []


# --- too slow ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def impatient(small_pool: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Tortoise, connected so that the server ends scopes which send nothing for a fifth of a second."""
    monkeypatch.setenv("MEMORY_GUILD_SCOPE_IDLE_TIMEOUT_SECONDS", str(IDLE_SECONDS))
    async with connect(small_pool):
        yield


async def until_it_is_ended(scope: Scope) -> None:
    session = scope.transaction.session
    # The driver's clock begins to count a little later than the server's, when it has read the answer.
    while session.is_alive or time.monotonic() - session.last_used < IDLE_SECONDS:  # noqa: ASYNC110 - no event is set
        await asyncio.sleep(0.02)


@every_verb
@pytest.mark.long
async def test_an_idle_scope_ends_with_the_reason(impatient: None, verb: Call) -> None:
    with pytest.raises(ScopeIdleError, match="MEMORY_GUILD_SCOPE_IDLE_TIMEOUT_SECONDS"):
        async with tenant_scope("acme") as scope:
            await guild.remember(**item("one"))
            await until_it_is_ended(scope)
            await verb()

    assert await texts() == []


async def test_a_slow_stream_of_items_ends_the_scope_with_the_reason(impatient: None) -> None:
    async def items(scope: Scope) -> AsyncIterator[dict[str, Any]]:
        yield item("one")
        await until_it_is_ended(scope)
        yield item("two")

    with pytest.raises(ScopeIdleError, match="MEMORY_GUILD_SCOPE_IDLE_TIMEOUT_SECONDS"):
        async with tenant_scope("acme") as scope:
            await guild.remember_many(items(scope))

    assert await texts() == []


async def test_a_slow_loop_over_all_memories_ends_the_scope_with_the_reason(small_pool: str, impatient: None) -> None:
    await run_statement(
        small_pool,
        "INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash)"
        " SELECT 'scribe', 'acme', 'document', n::text, md5(n::text) FROM generate_series(1, 600) AS n",
    )
    seen = 0
    with pytest.raises(ScopeIdleError):
        async with tenant_scope("acme") as scope:
            async for _memory in guild.find_all():
                seen += 1
                if seen == 1:
                    await until_it_is_ended(scope)

    assert seen == 500, "what was read already is still handed out"
