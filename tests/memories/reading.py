"""Memories to read, stored with the columns that a test wants, and what a read sends to the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

import asyncpg
from asyncpg.connection import LoggedQuery

from memory_guild.database.scope import Scope
from memory_guild.memories.reading import count, find, find_all, get, get_many
from memory_guild.memories.relations import fetch_relations
from memory_guild.models import MemoryRecord
from tests.schema.index_builds import set_for_database
from tests.tenancy.logins import connected

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

Read: TypeAlias = Callable[[MemoryRecord], Awaitable[Any]]


async def store(*memories: dict[str, Any]) -> None:
    """Store memories in the current scope; a text is the least that each of them says."""
    usual = {"agent_id": "agent-1", "source_type": "document"}
    await MemoryRecord.bulk_create([MemoryRecord(**usual | memory) for memory in memories])


async def store_texts(*texts: str) -> None:
    """Store memories that differ in their texts only; one statement, so all have the same ``created_at``."""
    await store(*({"content_text": text} for text in texts))


async def store_aged(connection: Connection, texts: Iterable[str], created_at: str, tenant_id: str = "acme") -> None:
    """Store memories of one moment, an SQL expression, such as ``now() - interval '1 year'`` or NULL."""
    await connection.execute(
        "INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash, created_at)"
        f" SELECT 'agent-1', $2::text, 'document', text, md5(text), {created_at} FROM unnest($1::text[]) AS text",
        list(texts),
        tenant_id,
    )


async def insert_metadata(url: str, memories: Mapping[str, str | None]) -> None:
    """Store metadata past the models: JSON texts, or NULL, by the text of the memory."""
    async with connected(url) as connection:
        await connection.execute(
            "INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash, metadata)"
            " SELECT 'agent-1', 'acme', 'document', name, md5(name), metadata::jsonb"
            " FROM unnest($1::text[], $2::text[]) AS memories (name, metadata)",
            list(memories),
            list(memories.values()),
        )


async def use_utc(url: str) -> None:
    """Give the sessions that begin from now on a time zone that is known."""
    async with connected(url) as connection:
        await set_for_database(connection, "timezone = 'UTC'")


def texts_of(memories: Iterable[MemoryRecord]) -> list[str]:
    return [memory.content_text for memory in memories]


def ids_of(memories: Iterable[MemoryRecord]) -> list[UUID]:
    return [memory.memory_id for memory in memories]


async def all_texts(**conditions: Any) -> list[str]:
    return [memory.content_text async for memory in find_all(**conditions)]


async def pages_of(limit: int, **conditions: Any) -> list[list[MemoryRecord]]:
    """All pages, from the first to the last."""
    page = await find(limit=limit, **conditions)
    pages = [page.memories]
    while page.next_cursor is not None:
        page = await find(limit=limit, cursor=page.next_cursor, **conditions)
        pages.append(page.memories)
        assert len(pages) < 1000, "the cursor does not go on"
    return pages


async def found_by(metadata: Any) -> set[str]:
    """The texts of the memories whose metadata fulfils the conditions."""
    return set(texts_of((await find(limit=1000, metadata=metadata)).memories))


class Undone(Exception):  # noqa: N818 - no error
    """Leaves a scope without a trace."""


@asynccontextmanager
async def statements_of(scope: Scope) -> AsyncIterator[list[str]]:
    """Every statement that the scope sends inside the block; complete after it.

    Without those by which the driver learns what a connection's types are.
    """
    sent: list[str] = []

    def add(logged: LoggedQuery) -> None:
        if "typeinfo" not in logged.query and "'jit'" not in logged.query:
            sent.append(logged.query)

    with scope.transaction.session.connection.query_logger(add):
        yield sent
        await asyncio.sleep(0)  # asyncpg calls its loggers in the next turn of the event loop


async def _walk_through(memory: MemoryRecord) -> None:
    async for _ in find_all():
        pass


READS: dict[str, Read] = {
    "get": get,
    "get_many": lambda memory: get_many([memory]),
    "find": lambda memory: find(),
    "find_all": _walk_through,
    "count": lambda memory: count(),
    "fetch_relations": lambda memory: fetch_relations([memory]),
}
"""Every reading verb, applied to a memory."""
