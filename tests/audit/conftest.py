"""A database whose audit has entries of other tests: each test looks at its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]


@dataclass(frozen=True)
class Entries:
    """What the audit has since the test began."""

    connection: Connection
    since: datetime

    async def of(self, column: str = "event || ' ' || outcome", condition: str = "true") -> list[Any]:
        """A column of the entries that match, in order."""
        rows = await self.connection.fetch(
            f"SELECT {column} AS value FROM memory_audit WHERE occurred_at >= $1 AND {condition} ORDER BY occurred_at",
            self.since,
        )
        return [row["value"] for row in rows]


@pytest.fixture
async def entries(shared_database: str, superuser: Connection) -> Entries:
    """The test's entries; the package is connected to the database."""
    return Entries(superuser, await superuser.fetchval("SELECT clock_timestamp()"))
