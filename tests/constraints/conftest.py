"""The tests of the constraints start with empty tables, in the database of the verbs' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from memory_guild.database.connecting import connect
from memory_guild.database.engine import client

CLEAR = "DELETE FROM memory_records; DELETE FROM data_sources; DELETE FROM memory_access_policies"


@pytest.fixture(autouse=True)
async def _tables(verbs_database_url: str, below_the_scopes: None) -> AsyncIterator[None]:
    """Tortoise, connected to empty tables."""
    async with connect(verbs_database_url, check_schema=False):
        await client().execute_script(CLEAR)
        yield
        await client().execute_script(CLEAR)
