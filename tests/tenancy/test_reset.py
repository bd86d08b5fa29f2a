"""How a scope ends: with a bare COMMIT after nothing but verbs, and with the pool's reset after anything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import uuid4

import pytest
from tortoise.transactions import in_transaction

from memory_guild import count, find, find_all, get, path, purge, relate, remember, remember_many, supersede, traverse
from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from memory_guild.database.scope import Scope
from memory_guild.errors import ScopeAbortedError, UnknownMemoryError
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import tenant_scope
from tests.databases import run_statement
from tests.tenancy.two_tenants import ACME_1, ACME_2, ROWS

Work: TypeAlias = Callable[[Scope], Awaitable[Any]]


@pytest.fixture(autouse=True)
async def one_connection(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """A pool of one connection: each scope has the one that the last one left."""
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "1")
    await run_statement(database_url, ROWS)
    async with connect(database_url):
        yield


async def last_statement(work: Work) -> str:
    """What the end of a scope sends after some work."""
    sent: list[str] = []
    async with tenant_scope("acme", "scribe") as scope:
        await work(scope)
        driver = scope.transaction.session.driver
        driver.add_query_logger(lambda record: sent.append(record.query))
    await asyncio.sleep(0)  # asyncpg calls its loggers in the next turn of the event loop
    return sent[-1]


async def walk_through(scope: Scope) -> None:
    assert [memory async for memory in find_all()]


def items(number: int) -> list[dict[str, str]]:
    return [{"source_type": "document", "content_text": f"text {place}"} for place in range(number)]


async def in_savepoint(scope: Scope) -> None:
    async with in_transaction():
        await MemoryRecord.all().count()


VERBS: dict[str, Work] = {
    "nothing": lambda scope: asyncio.sleep(0),
    "get": lambda scope: get(ACME_1),
    "find": lambda scope: find(relations=("embeddings",)),
    "find_all": walk_through,
    "count": lambda scope: count(),
    "remember": lambda scope: remember("new", source_type="document"),
    "remember_many": lambda scope: remember_many(items(20)),
    "supersede": lambda scope: supersede(ACME_1, "newer"),
    "relate": lambda scope: relate(ACME_1, ACME_2, "follows"),
    "traverse": lambda scope: traverse(ACME_1),
    "path": lambda scope: path(ACME_1, ACME_2),
    "purge": lambda scope: purge(older_than=timedelta(days=1)),
}

OTHERS: dict[str, Work] = {
    "a queryset": lambda scope: MemoryRecord.all().count(),
    "a model's relation": lambda scope: MemoryRecord.get(memory_id=ACME_1).prefetch_related("embeddings"),
    "a queryset in a savepoint": in_savepoint,
    "execute_query": lambda scope: client().execute_query("SELECT 1"),
    "execute_script": lambda scope: scope.transaction.execute_script("SELECT 1"),
    "the pool's connection": lambda scope: scope.transaction._connection.execute("SELECT 1"),
    "the driver's connection": lambda scope: scope.transaction.session.connection.execute("SELECT 1"),
    "many, copied": lambda scope: remember_many(items(3_000)),
}


@pytest.mark.parametrize("work", VERBS.values(), ids=VERBS)
async def test_after_verbs_there_is_nothing_to_reset(work: Work) -> None:
    assert await last_statement(work) == "COMMIT"


@pytest.mark.parametrize("work", OTHERS.values(), ids=OTHERS)
async def test_after_anything_else_the_connection_is_reset(work: Work) -> None:
    ending = await last_statement(work)

    assert "RESET ALL" in ending
    assert "DISCARD TEMP" in ending
    assert ending.endswith("; COMMIT; SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql")


async def test_what_follows_a_reset_may_end_with_a_bare_commit() -> None:
    assert await last_statement(OTHERS["execute_query"]) != "COMMIT"
    assert await last_statement(VERBS["get"]) == "COMMIT"


async def test_what_verbs_set_ends_with_their_scope() -> None:
    """Each one of them, in one scope: the next user of the connection finds it as a new one."""
    facts = """
        SELECT current_user = session_user AS own_role,
               NULLIF(current_setting('memory_guild.tenant_id', true), '') AS tenant,
               current_setting('plan_cache_mode') AS plans, current_setting('enable_incremental_sort') AS sorts,
               current_setting('idle_in_transaction_session_timeout') AS idle,
               (SELECT count(*) FROM pg_cursors WHERE is_holdable) AS cursors,
               (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks,
               to_regclass('pg_temp.memory_guild_staged') AS staged
    """
    (before,) = await client().execute_query_dict(facts)

    async def everything(scope: Scope) -> None:
        for work in VERBS.values():
            await work(scope)

    assert await last_statement(everything) == "COMMIT"
    (after,) = await client().execute_query_dict(facts)
    assert after == before


async def test_a_failed_scope_of_verbs_alone_is_no_commit() -> None:
    """The server answers a COMMIT after an error with a rollback, and calls it a success."""
    with pytest.raises(ScopeAbortedError, match="rolled back"):
        async with tenant_scope("acme", "scribe") as scope:
            await remember("lost", source_type="document")
            with pytest.raises(UnknownMemoryError):
                await relate(ACME_1, uuid4(), "supports")
            assert not scope.transaction.session.is_lent

    async with tenant_scope("acme", "scribe"):
        assert [memory.content_text async for memory in find_all() if memory.content_text == "lost"] == []
        await remember("stored", source_type="document")
