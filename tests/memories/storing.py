"""What the tests of storing share: items, rows past the models, values that are refused, and waiting for who waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Protocol, TypeAlias
from uuid import UUID

import asyncpg
import pytest

from memory_guild.errors import CheckError, InvalidInputError
from memory_guild.memories.bulk import OnError, OnForgotten, store_stream
from memory_guild.memories.drafts import Item
from memory_guild.memories.merging import OnExisting
from memory_guild.memories.report import StoreReport
from memory_guild.memories.stream import BatchSizes
from memory_guild.models import hash_content
from tests import citus

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

SECRET = "the launch code is 0000"
"""What no message may repeat."""

TEXT = "TEXTCOLLBYfGiJUETHQ4hAcKSMd5zYpgqf1YRDhkmxHkhPWptrkoyz28wnI9V0aHeAuaKnak"
COLLIDING_TEXT = "TEXTCOLLBYfGiJUETHQ4hEcKSMd5zYpgqf1YRDhkmxHkhPWptrkoyz28wnI9V0aHeAuaKnak"
"""Two texts with one MD5. Source: Marc Stevens, 2024."""

_CYCLE: dict[str, Any] = {}
_CYCLE["itself"] = _CYCLE

SOURCE_TYPE_CHECK = "memory_records_source_type_check"
CONTENT_LIMIT = 1000
METADATA_LIMIT = 2000

BAD_VALUES = [
    pytest.param("agent_id", "", "agent_id", InvalidInputError, id="empty agent"),
    pytest.param("agent_id", "a" * 256, "agent_id", InvalidInputError, id="long agent"),
    pytest.param("agent_id", "a\x00", "agent_id", InvalidInputError, id="NUL in agent"),
    pytest.param("agent_id", "a\ud800", "agent_id", InvalidInputError, id="surrogate in agent"),
    pytest.param("agent_id", 7, "agent_id", InvalidInputError, id="agent is a number"),
    pytest.param("agent_id", [SECRET], "agent_id", InvalidInputError, id="agent is a list"),
    pytest.param("source_type", SECRET, "source_type", CheckError, id="unknown source type"),
    pytest.param("source_type", [SECRET], "source_type", CheckError, id="source type is a list"),
    pytest.param("content_text", "", "content_text", InvalidInputError, id="empty text"),
    pytest.param("content_text", " \t\r\n\u3000", "content_text", InvalidInputError, id="blank text"),
    pytest.param("content_text", "\ufeff\u200b\x1b", "content_text", InvalidInputError, id="invisible text"),
    pytest.param("created_at", datetime(2024, 5, 4, 12), "created_at", InvalidInputError, id="naive created_at"),
    pytest.param("created_at", 1714823999, "created_at", InvalidInputError, id="created_at is a number"),
    pytest.param("created_at", SECRET, "created_at", InvalidInputError, id="created_at is some text"),
    pytest.param(
        "created_at",
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        "created_at",
        InvalidInputError,
        id="created_at before the year 1",
    ),
    pytest.param("metadata", {"a": "x" * METADATA_LIMIT}, "metadata", InvalidInputError, id="large metadata"),
    pytest.param("content_text", f"{SECRET}\x00", "content_text", InvalidInputError, id="NUL in text"),
    pytest.param("content_text", f"{SECRET}\ud800", "content_text", InvalidInputError, id="surrogate in text"),
    pytest.param("content_text", SECRET.encode(), "content_text", InvalidInputError, id="text is bytes"),
    pytest.param("content_text", 5, "content_text", InvalidInputError, id="text is a number"),
    pytest.param("content_text", "ü" * (CONTENT_LIMIT // 2 + 1), "content_text", InvalidInputError, id="long text"),
    pytest.param("metadata", {"a": float("nan")}, "metadata.a", InvalidInputError, id="NaN"),
    pytest.param("metadata", {"a": [0, float("-inf")]}, "metadata.a[1]", InvalidInputError, id="infinity"),
    pytest.param("metadata", {"a": {SECRET}}, "metadata.a", InvalidInputError, id="set"),
    pytest.param("metadata", {"a": SECRET.encode()}, "metadata.a", InvalidInputError, id="bytes"),
    pytest.param("metadata", {"a": datetime.now(UTC)}, "metadata.a", InvalidInputError, id="datetime"),
    pytest.param("metadata", {1: SECRET}, "metadata", InvalidInputError, id="key is a number"),
    pytest.param("metadata", {"a": f"{SECRET}\x00"}, "metadata.a", InvalidInputError, id="NUL in metadata"),
    pytest.param("metadata", {"a": f"{SECRET}\udfff"}, "metadata.a", InvalidInputError, id="surrogate in metadata"),
    pytest.param("metadata", {"a": 10**5000}, "metadata.a", InvalidInputError, id="endless integer"),
    pytest.param("metadata", _CYCLE, "metadata", InvalidInputError, id="metadata in itself"),
    pytest.param("metadata", [SECRET], "metadata", InvalidInputError, id="metadata is a list"),
    pytest.param("metadata", [], "metadata", InvalidInputError, id="metadata is an empty list"),
    pytest.param("metadata", SECRET, "metadata", InvalidInputError, id="metadata is text"),
    pytest.param("metadata", 0, "metadata", InvalidInputError, id="metadata is a number"),
]
"""A column, a value that it does not take, the field and the exact type of the error."""


def item(text: str, **changes: Any) -> dict[str, Any]:
    """An item of a batch of tenant acme."""
    return {"agent_id": "scribe", "source_type": "document", "content_text": text} | changes


class RememberMany(Protocol):
    """The signature of ``remember_many``."""

    def __call__(
        self,
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        on_existing: OnExisting = "keep",
        on_forgotten: OnForgotten = "restore",
        on_error: OnError = "raise",
        progress: Callable[[int], None] | None = None,
    ) -> Coroutine[None, None, StoreReport]: ...


def remember_many_with(sizes: BatchSizes) -> RememberMany:
    """``remember_many`` with other sizes than the usual ones."""

    async def remember_many(
        items: Iterable[Item] | AsyncIterable[Item],
        *,
        on_existing: OnExisting = "keep",
        on_forgotten: OnForgotten = "restore",
        on_error: OnError = "raise",
        progress: Callable[[int], None] | None = None,
    ) -> StoreReport:
        return await store_stream(
            items,
            on_existing=on_existing,
            on_forgotten=on_forgotten,
            on_error=on_error,
            progress=progress,
            sizes=sizes,
        )

    return remember_many


async def insert(connection: Connection, text: str, **columns: Any) -> UUID:
    """Store a memory past the package; its hash may be another text's."""
    row = {"agent_id": "scribe", "tenant_id": "acme", "source_type": "document", "content_hash": hash_content(text)}
    row |= {"content_text": text} | columns
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    memory_id: UUID = await connection.fetchval(
        f"INSERT INTO memory_records ({', '.join(row)}) VALUES ({places}) RETURNING memory_id", *row.values()
    )
    return memory_id


async def stored(connection: Connection) -> dict[UUID, asyncpg.Record]:
    """All rows of all tenants, with where each lies and which transactions wrote and locked it."""
    rows = await connection.fetch("SELECT ctid, xmin, xmax, * FROM memory_records")
    return {row["memory_id"]: row for row in rows}


async def columns(connection: Connection) -> list[asyncpg.Record]:
    """All rows of all tenants, in the order of their ids."""
    return await connection.fetch("SELECT * FROM memory_records ORDER BY memory_id")


async def texts(connection: Connection) -> list[str]:
    """The texts of all rows, in the order in which they were stored."""
    rows = await connection.fetch("SELECT content_text FROM memory_records ORDER BY created_at, memory_id")
    return [row["content_text"] for row in rows]


async def assert_ids_are_those_stored(connection: Connection, items: Sequence[Item], report: StoreReport) -> None:
    """Each text of each agent is stored once, and the report has its id for every item."""
    rows = await connection.fetch("SELECT agent_id, content_text, memory_id FROM memory_records")
    ids = {(row["agent_id"], row["content_text"]): row["memory_id"] for row in rows}
    assert len(ids) == len(rows)
    keys = [(item["agent_id"], item["content_text"]) for item in items if isinstance(item, dict)]
    assert [outcome.memory_id for outcome in report] == [ids[key] for key in keys]


WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def until_one_waits(connection: Connection) -> int:
    """Wait until a backend waits for another one's transaction; its process id."""
    async with asyncio.timeout(20):
        while True:
            pid: int | None = await connection.fetchval(citus.WAITING if citus.URL else WAITING)
            if pid is not None:
                return pid
            await asyncio.sleep(0.01)
