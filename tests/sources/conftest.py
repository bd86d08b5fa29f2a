"""Two sources for the tests: one that is trusted, and one in quarantine."""

from __future__ import annotations

import pytest

import memory_guild as guild


@pytest.fixture
async def two_sources(database: str) -> str:
    """A database with the source ``crm``, and ``feed``, which is in quarantine; with its URL."""
    async with guild.admin_scope("the tests' sources"):
        await guild.sources.register("crm", source_type="api", metadata={"trust": 0.8})
        await guild.sources.register("feed", source_type="webhook", metadata={"trust": 0.2, "quarantine": True})
    return database
