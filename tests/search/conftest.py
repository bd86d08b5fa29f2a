"""Databases with the search installed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial

import asyncpg
import pytest

from memory_guild.database.connecting import connect
from memory_guild.schema.migrating import upgrade
from tests.databases import SpareDatabases, run_statement, spare_databases_prepared, with_database

CLEAR = ";".join(
    f"DELETE FROM {table}"
    for table in (
        *("memory_records", "memory_words", "memory_word_counts", "memory_vectors", "memory_own_vectors"),
        *("memory_vector_models", "memory_vector_indexes", "memory_vector_outbox"),
    )
)
"""Some tests work past the triggers, so no table is sure to be empty when the memories are gone."""


@pytest.fixture(scope="session")
def _search_databases(server_url: str, template: str, has_vectors: bool) -> Iterator[SpareDatabases]:
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    with spare_databases_prepared(server_url, template, partial(upgrade, search=True)) as spare:
        yield spare


@pytest.fixture
async def search_url(server_url: str, _search_databases: SpareDatabases) -> AsyncIterator[str]:
    """An empty database with the search installed, reached as a superuser."""
    name = await _search_databases.take()
    url = with_database(server_url, name)
    yield url
    await run_statement(url, CLEAR)
    await _search_databases.give_back(name)


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
