"""What plain SQL prepares or drops on a shared connection neither shows nor does anything in the next scope."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from memory_guild import connect, get
from memory_guild.database.scope import Scope
from memory_guild.errors import MemoryGuildError, ServerUnreachableError
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import tenant_scope
from tests.databases import run_statement
from tests.tenancy.two_tenants import ACME_1, BOLT_1, ROWS

SECRET = "the diagnosis of Mr Green"


@pytest.fixture(autouse=True)
async def one_connection(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """A pool of one connection: each scope has the one that the last one left."""
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "1")
    await run_statement(database_url, ROWS)
    async with connect(database_url):
        yield


async def prepared_by_sql(scope: Scope) -> list[str]:
    connection: Any = scope.transaction.session.connection
    return [text for (text,) in await connection.fetch("SELECT statement FROM pg_prepared_statements WHERE from_sql")]


@pytest.mark.parametrize("fails", [False, True], ids=["committed", "rolled back"])
async def test_what_sql_prepared_is_gone(fails: bool) -> None:
    with suppress(ZeroDivisionError):
        async with tenant_scope("acme") as scope:
            await scope.transaction.session.connection.execute(f"PREPARE theirs AS SELECT '{SECRET}'")
            assert len(await prepared_by_sql(scope)) == 1
            if fails:
                raise ZeroDivisionError

    async with tenant_scope("bolt") as scope:
        assert await prepared_by_sql(scope) == []


async def test_what_a_savepoint_prepared_is_gone() -> None:
    async with tenant_scope("acme"), tenant_scope("acme") as nested:
        await nested.transaction.session.connection.execute("PREPARE theirs AS SELECT 1")

    async with tenant_scope("bolt") as scope:
        assert await prepared_by_sql(scope) == []


async def test_what_the_scope_did_is_committed_before_the_connection_is_closed() -> None:
    async with tenant_scope("acme", agent_id="a") as scope:
        await MemoryRecord.create(source_type="document", content_text="kept")
        await scope.transaction.session.connection.execute("PREPARE theirs AS SELECT 1")

    async with tenant_scope("acme"):
        assert await MemoryRecord.filter(content_text="kept").count() == 1


async def test_nobody_can_put_a_statement_in_the_place_of_the_drivers() -> None:
    async with tenant_scope("bolt"):
        await get(BOLT_1)
    async with tenant_scope("acme") as scope:
        connection = scope.transaction.session.connection
        reads = "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%memory_id = $1%'"
        names = await connection.fetch(reads)
        assert names
        for (name,) in names:
            await connection.execute(
                f'DEALLOCATE "{name}"; PREPARE "{name}" (uuid) AS DELETE FROM memory_records RETURNING *'
            )

    async with tenant_scope("bolt"):
        assert str((await get(BOLT_1)).memory_id) == BOLT_1
        assert await MemoryRecord.all().count() == 2


async def test_statements_that_sql_has_dropped_are_prepared_again() -> None:
    async with tenant_scope("acme") as scope:
        await get(ACME_1)
        await scope.transaction.session.connection.execute("DEALLOCATE ALL")

    with pytest.raises(ServerUnreachableError, match="run it again"):
        async with tenant_scope("bolt"):
            await get(BOLT_1)
    async with tenant_scope("bolt"):
        assert str((await get(BOLT_1)).memory_id) == BOLT_1


async def test_a_scope_that_uses_what_it_has_dropped_is_told() -> None:
    with pytest.raises(MemoryGuildError):
        async with tenant_scope("acme") as scope:
            await get(ACME_1)
            await scope.transaction.session.connection.execute("DEALLOCATE ALL")
            await get(ACME_1)

    async with tenant_scope("acme"):
        assert str((await get(ACME_1)).memory_id) == ACME_1
