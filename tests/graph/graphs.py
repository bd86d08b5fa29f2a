"""Small graphs whose memories have names, edges past the policies, and statements that something happens after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import pytest

from memory_guild import relate_many, remember_many
from memory_guild.database.scope import Scope
from memory_guild.database.statements import Statement, statement
from memory_guild.graph.walks import Traversal
from memory_guild.models import MemoryRecord, MemoryRelationship
from memory_guild.tenancy import tenant_scope
from tests.memories.storing import Connection

Ends: TypeAlias = tuple[str, str] | tuple[str, str, float | None] | tuple[str, str, float | None, str]
"""An edge: its source, its target, its confidence and its type, which is ``references`` where nothing is said."""


class Named(dict[str, UUID]):
    """The ids of memories, by the memories' names."""

    def of(self, memories: Iterable[MemoryRecord | UUID]) -> list[str]:
        """The names of some memories."""
        names = {memory_id: name for name, memory_id in self.items()}
        return [names[memory.memory_id if isinstance(memory, MemoryRecord) else memory] for memory in memories]

    def ends(self, edges: Iterable[MemoryRelationship]) -> list[tuple[str, str]]:
        """The names at both ends of some edges."""
        names = {memory_id: name for name, memory_id in self.items()}
        return [(names[edge.source_memory_id], names[edge.target_memory_id]) for edge in edges]


async def memories(*names: str) -> Named:
    """Store memories, in the current scope, with their names for texts."""
    report = await remember_many({"source_type": "document", "content_text": name} for name in names)
    return Named({name: _known(outcome.memory_id) for name, outcome in zip(names, report, strict=True)})


async def graph(*edges: Ends) -> Named:
    """Store edges, in the current scope, and the memories that they name."""
    named = await memories(*dict.fromkeys(name for edge in edges for name in edge[:2]))
    await relate_many(edge(named, *ends) for ends in edges)
    return named


async def hub(*targets: tuple[str, float]) -> Named:
    """One memory with an edge to each of the targets."""
    return await graph(*(("hub", name, confidence) for name, confidence in targets))


def edge(
    named: Named, source: str, target: str, confidence: float | None = None, kind: str = "references"
) -> dict[str, Any]:
    """An edge, as ``relate_many`` takes it."""
    return {
        "source_memory_id": named[source],
        "target_memory_id": named[target],
        "relationship_type": kind,
        "confidence_score": confidence,
    }


def reached(named: Named, walked: Traversal) -> list[str]:
    """The names of the memories that a walk reached."""
    return named.of(step.memory for step in walked.steps)


def paths(named: Named, walked: Traversal) -> list[str]:
    """The paths to them, where each name is one letter."""
    return ["".join(named.of(step.path)) for step in walked.steps]


def acme() -> tenant_scope:
    """The scope that the tests work in."""
    return tenant_scope("acme", agent_id="scribe")


async def strangers(*names: str) -> Named:
    """Store memories of another tenant."""
    async with tenant_scope("bolt", agent_id="spy"):
        return await memories(*names)


@asynccontextmanager
async def behind_the_policies(scope: Scope) -> AsyncIterator[Connection]:
    """The scope's own connection as a superuser that no trigger, foreign key or policy stops."""
    connection = scope.transaction.session.connection
    await connection.execute("RESET ROLE; SET LOCAL session_replication_role = replica")
    yield connection
    await connection.execute("SET LOCAL session_replication_role = origin; SET LOCAL ROLE memory_guild_app")


async def join_behind_the_policies(scope: Scope, *ends: tuple[UUID, UUID]) -> None:
    """Store edges that no caller could, such as those from one tenant to another."""
    async with behind_the_policies(scope) as connection:
        await connection.executemany(
            "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type)"
            " VALUES ($1, $2, 'references')",
            ends,
        )


async def edges_in(database_url: str) -> list[tuple[UUID, UUID, str, float | None]]:
    """All edges of all tenants that are committed."""
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            "SELECT source_memory_id, target_memory_id, relationship_type, confidence_score FROM memory_relationships"
            " ORDER BY source_memory_id, target_memory_id, relationship_type"
        )
    finally:
        await connection.close()
    return [tuple(row) for row in rows]


@asynccontextmanager
async def statements_of(scope: Scope) -> AsyncIterator[list[str]]:
    """The statements that the scope sends meanwhile; complete after the block."""
    sent: list[str] = []
    with scope.transaction.session.connection.query_logger(lambda record: sent.append(record.query)):
        yield sent
        await asyncio.sleep(0)  # asyncpg calls its loggers in the next turn of the event loop


def once_after(monkeypatch: pytest.MonkeyPatch, name: str, action: Callable[[], Awaitable[object]]) -> None:
    """Let something happen when a statement has run for the first time, before the next one is sent."""
    fetch = Statement.fetch
    is_awaited = True

    async def followed(self: Statement, *arguments: Any) -> list[asyncpg.Record]:
        nonlocal is_awaited
        rows = await fetch(self, *arguments)
        if is_awaited and self.text == statement(name):
            is_awaited = False
            await action()
        return rows

    monkeypatch.setattr(Statement, "fetch", followed)


def product(factors: Sequence[float]) -> float:
    """The factors' product, multiplied from the first to the last as the walk does."""
    result = 1.0
    for factor in factors:
        result *= factor
    return result


def _known(memory_id: UUID | None) -> UUID:
    assert memory_id is not None
    return memory_id
