"""Scopes switch JIT off: to compile a walk over twelve memories takes longer than to run it a hundred times."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from memory_guild.database.connecting import connect
from memory_guild.schema import seal
from memory_guild.tenancy import admin_scope, tenant_scope
from tests.databases import run_statement
from tests.tenancy.logins import AGENT, connected, login, user_of

EXPENSIVE = "EXPLAIN ANALYZE SELECT count(*) FROM generate_series(1, 99) AS a, generate_series(1, 99) AS b"
ALWAYS = "SET jit_above_cost = 0; SET jit_inline_above_cost = 0; SET jit_optimize_above_cost = 0"


@pytest.mark.parametrize("scope", [lambda: tenant_scope("acme"), lambda: admin_scope("test")], ids=["tenant", "admin"])
@pytest.mark.parametrize("sealed", [False, True], ids=["not sealed", "sealed"])
@pytest.mark.parametrize("pooler", ["0", "1"], ids=["direct", "for a pooler"])
async def test_nothing_is_compiled_in_a_scope(
    database_url: str, monkeypatch: pytest.MonkeyPatch, scope: Any, sealed: bool, pooler: str
) -> None:
    """Whatever the server, the database and the login have by default."""
    monkeypatch.setenv("MEMORY_GUILD_POOLER", pooler)
    if sealed:
        monkeypatch.setenv("MEMORY_GUILD_SEAL_KEY", await seal(database_url))
    async with login(database_url, f"{AGENT}, memory_guild_admin") as url:
        await run_statement(database_url, f"ALTER ROLE {user_of(url)} SET jit = on")
        opened: AbstractAsyncContextManager[Any] = scope()
        async with connect(url), opened as inside:
            connection = inside.transaction._connection
            assert await connection.fetchval("SHOW jit") == "off"
            await connection.execute(ALWAYS.replace("SET ", "SET LOCAL "))
            assert "JIT" not in str(await connection.fetch(EXPENSIVE))


async def test_it_would_be_compiled_outside(database_url: str) -> None:
    """Where the server can: the embedded one was built without it."""
    async with connected(database_url) as connection:
        if not await connection.fetchval("SELECT pg_jit_available()"):
            pytest.skip("this server has no JIT")
        await connection.execute(ALWAYS)
        assert "JIT" in str(await connection.fetch(EXPENSIVE))
