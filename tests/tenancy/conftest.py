"""Databases for the proof."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from tests.databases import copied_database
from tests.tenancy.pool import assert_pool_is_clean


@pytest.fixture
def fresh_database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database for a test that runs its own event loops."""
    with copied_database(server_url, template) as url:
        yield url


@pytest.fixture(scope="package")
def scopes_database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database for the tests of scopes."""
    with copied_database(server_url, template) as url:
        yield url


@pytest.fixture
async def small_pool(scopes_database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Tortoise, connected with two connections at the most; both must be clean and free at the end."""
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "2")
    monkeypatch.setenv("MEMORY_GUILD_SCOPE_IDLE_TIMEOUT_SECONDS", "20")
    async with connect(scopes_database_url, check_schema=False):  # the checks take longer than most tests
        yield scopes_database_url
        await client().execute_script("DELETE FROM memory_records")
        await assert_pool_is_clean(2)
