"""Databases for the proof."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from tests.conftest import run_statement, with_database
from tests.tenancy.pool import assert_pool_is_clean


@pytest.fixture
def fresh_database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database for a test that runs its own event loops."""
    name = f"mg_machine_{uuid4().hex[:8]}"
    asyncio.run(run_statement(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    yield with_database(server_url, name)
    asyncio.run(run_statement(server_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(scope="package")
def scopes_database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database for the tests of scopes."""
    name = f"mg_scopes_{uuid4().hex[:8]}"
    asyncio.run(run_statement(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    yield with_database(server_url, name)
    asyncio.run(run_statement(server_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
async def small_pool(scopes_database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Tortoise, connected with two connections at the most; both must be clean and free at the end."""
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "2")
    monkeypatch.setenv("MEMORY_GUILD_SCOPE_IDLE_TIMEOUT_SECONDS", "20")
    async with connect(scopes_database_url):
        yield scopes_database_url
        await client().execute_script("DELETE FROM memory_records")
        await assert_pool_is_clean(2)
