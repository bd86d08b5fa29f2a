"""One database for all tests of the constraints: each starts with empty tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.rows import empty_tables, shared_database


@pytest.fixture(scope="package")
def shared_database_url(server_url: str, template: str) -> Iterator[str]:
    """A migrated database for the tests of this folder."""
    with shared_database(server_url, template) as url:
        yield url


@pytest.fixture(autouse=True)
async def _tables(shared_database_url: str) -> AsyncIterator[None]:
    async with empty_tables(shared_database_url):
        yield
