"""Connections to a database with the search installed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from memory_guild.database.connecting import connect


@pytest.fixture
async def search(search_url: str) -> AsyncIterator[str]:
    """The package, connected to it."""
    async with connect(search_url, check_schema=False):  # the checks take longer than most tests
        yield search_url


@pytest.fixture
async def past_scopes(search_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A superuser's connection to it, past the scopes."""
    connection = await asyncpg.connect(search_url)
    yield connection
    await connection.close()
