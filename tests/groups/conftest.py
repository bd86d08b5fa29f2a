"""Databases with two groups of tenants: ``public``, which every database begins with, and ``north``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

import memory_guild as guild
from memory_guild.testing.databases import name_of
from tests.databases import copied_database


async def _prepare(url: str, *, search: bool) -> None:
    if search:
        await guild.upgrade(url, search=True)
    assert await guild.schema.groups.create("north", database_url=url)


@pytest.fixture(scope="package")
def _with_groups(server_url: str, template: str) -> Iterator[str]:
    with copied_database(server_url, template) as url:
        asyncio.run(_prepare(url, search=False))
        yield name_of(url)


@pytest.fixture(scope="package")
def _with_groups_and_search(server_url: str, template: str, has_vectors: bool) -> Iterator[str]:
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    with copied_database(server_url, template) as url:
        asyncio.run(_prepare(url, search=True))
        yield name_of(url)


@pytest.fixture
def groups_url(server_url: str, _with_groups: str) -> Iterator[str]:
    """A database with two groups and no tenant, reached as a superuser."""
    with copied_database(server_url, _with_groups) as url:
        yield url


@pytest.fixture
def searched_groups_url(server_url: str, _with_groups_and_search: str) -> Iterator[str]:
    """The same, with the search in both."""
    with copied_database(server_url, _with_groups_and_search) as url:
        yield url


@pytest.fixture(params=["groups_url", "searched_groups_url"], ids=["without the search", "with the search"])
def any_groups_url(request: pytest.FixtureRequest) -> str:
    """Each of them, one after the other."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
async def groups(groups_url: str) -> AsyncIterator[str]:
    """The package, connected to a database with two groups."""
    async with guild.connect(groups_url):
        yield groups_url


@pytest.fixture
async def past_groups(groups_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A superuser's connection to it, past the package."""
    connection = await asyncpg.connect(groups_url)
    yield connection
    await connection.close()
