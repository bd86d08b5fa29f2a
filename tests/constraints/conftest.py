"""One database for all tests of the constraints: each starts with empty tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from memory_guild.database.connecting import connect
from memory_guild.database.engine import client
from tests.databases import copied_database

CLEAR = "DELETE FROM memory_records; DELETE FROM data_sources; DELETE FROM memory_access_policies"


@pytest.fixture(scope="package")
def shared_database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database for the tests of this folder."""
    with copied_database(server_url, template) as url:
        yield url


@pytest.fixture(autouse=True)
async def _tables(shared_database_url: str, below_the_scopes: None) -> AsyncIterator[None]:
    """Tortoise, connected to empty tables."""
    async with connect(shared_database_url):
        yield
        await client().execute_script(CLEAR)
