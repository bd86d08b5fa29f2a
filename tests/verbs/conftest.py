"""One database for the tests of the verbs that need it to be empty: a copy for each would take most of the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import asyncpg
import pytest

from memory_guild import bulk
from memory_guild.database import connect
from tests.conftest import run_statement, with_database


@pytest.fixture(scope="package")
def verbs_database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database for the tests of the verbs."""
    name = f"mg_verbs_{uuid4().hex[:8]}"
    asyncio.run(run_statement(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    yield with_database(server_url, name)
    asyncio.run(run_statement(server_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture
async def superuser(verbs_database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A plain connection to it, past the package; there is no memory yet."""
    connection = await asyncpg.connect(verbs_database_url)
    await connection.execute("DELETE FROM memory_records")
    yield connection
    await connection.close()


@pytest.fixture
async def shared_database(verbs_database_url: str, superuser: asyncpg.Connection[asyncpg.Record]) -> AsyncIterator[str]:
    """Tortoise, connected to it as a superuser."""
    async with connect(verbs_database_url):
        yield verbs_database_url


@pytest.fixture(params=[0, 500], ids=["copied", "in arrays"])
def small_windows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let remember_many store a few items at a time, in each of the two ways in which it sends them."""
    monkeypatch.setattr(bulk, "_FIRST_WINDOW", 4)
    monkeypatch.setattr(bulk, "_LARGEST_WINDOW", 8)
    monkeypatch.setattr(bulk, "_ITEMS_AT_ONCE", 2)
    monkeypatch.setattr(bulk, "_MOST_IN_ARRAYS", request.param)
