"""The sweep: what an index outside PostgreSQL says it has, compared with what it should have.

The outbox and its worker keep the index true. The sweep finds what they cannot know of: what somebody else did to the
store, or lost there. It repairs nothing itself; it puts what differs into the outbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing, suppress
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from memory_guild.database.conflicts import repeated
from memory_guild.database.engine import client
from memory_guild.database.scope import is_in_scope
from memory_guild.database.sqlstate import SEARCH_NOT_INSTALLED
from memory_guild.database.statements import Statement
from memory_guild.errors import IndexNotRegisteredError, ScopeError, TenantMovedError, VectorIndexError
from memory_guild.memories.arguments import check_whole_number
from memory_guild.protocols import IndexEntry, VectorIndex
from memory_guild.search.embeddings import check_model
from memory_guild.search.external import chosen_index
from memory_guild.search.outbox import is_registered
from memory_guild.tenancy import ATTEMPTS, Reach, keep_in_group, reaches
from memory_guild.values.checks import check_name

_MODELS = Statement("search/indexed_models", planned_for_values=True, explanations=SEARCH_NOT_INSTALLED)
_DIFFERING = Statement("search/queue_differing_vectors", planned_for_values=True)
_CURRENT = Statement("search/current_vectors", planned_for_values=True)
_MISSING = Statement("search/queue_missing_vectors", planned_for_values=True)


class SweepReport(NamedTuple):
    """What a sweep found, and put into the outbox.

    Attributes:
        listed: How many vectors the index says it has.
        orphans: How many of them it should not have.
        missing: How many it lacks.
        stale: How many it has as they were before.
    """

    listed: int = 0
    orphans: int = 0
    missing: int = 0
    stale: int = 0

    def plus(self, other: SweepReport) -> SweepReport:
        """This one and another."""
        return SweepReport(*(one + more for one, more in zip(self, other, strict=True)))


_NOTHING = SweepReport()


async def sweep_vectors(
    index: VectorIndex | None = None,
    *,
    tenant_id: str | None = None,
    model: str | None = None,
    batch_size: int = 1000,
    progress: Callable[[SweepReport], None] | None = None,
) -> SweepReport:
    """Compare a vector index outside PostgreSQL with PostgreSQL, and put what differs into the outbox.

    ``sync_vectors`` then repairs it. What is in the outbox already is left alone and not counted. Call it outside
    scopes, now and then; agents and workers go on meanwhile.

    Args:
        index: The index; by default that of the database, see :func:`connect`.
        tenant_id: The tenant. Without it, all tenants that have vectors in PostgreSQL are compared, and the login must
            be one that may become ``memory_guild_admin``.
        model: The model that made the vectors; by default all that the tenants have. Name tenant and model to find what
            an index still has of a tenant that PostgreSQL knows no more.
        batch_size: How many vectors to compare at a time, 1 to 10,000.
        progress: Called after each batch with what was found so far.

    Returns:
        What it found.

    Raises:
        InvalidInputError: An argument is invalid, or there is no index.
        ScopeError: A scope is open around the call.
        IndexNotRegisteredError: The index was never synced.
        VectorIndexError: The index failed; what was found before stays in the outbox.
        RoleMissingError: The login may not become ``memory_guild_admin``, and no tenant is named.
        SearchNotInstalledError: The database has no search tables.
    """
    tenant = None if tenant_id is None else check_name("tenant_id", tenant_id)
    wanted = None if model is None else check_model(model)
    check_whole_number("batch_size", batch_size)
    chosen = chosen_index(index)
    if is_in_scope():
        raise ScopeError("sweep_vectors calls a vector index, and a scope is open meanwhile; call it outside the scope")
    report = SweepReport()
    for reach in await reaches(tenant):
        if await is_registered(chosen.name, reach) is None:
            raise IndexNotRegisteredError(chosen.name)
        report = await sweep(chosen, reach, wanted, batch_size=batch_size, progress=progress, report=report)
    return report


async def sweep(
    index: VectorIndex,
    reach: Reach,
    model: str | None = None,
    *,
    batch_size: int = 1000,
    progress: Callable[[SweepReport], None] | None = None,
    report: SweepReport = _NOTHING,
) -> SweepReport:
    """Compare an index that is registered, see :func:`sweep_vectors`; what was found is added to the report."""
    for tenant, of_model in await _tenants_and_models(index, reach, model):
        # Once the tenant is in another group, this one's tables say nothing about it: the other one's turn, or the next
        # sweep, compares it.
        with suppress(TenantMovedError):
            async for found in _differences(index, reach, tenant, of_model, batch_size):
                report = report.plus(found)
                if progress is not None:
                    progress(report)
    return report


async def _tenants_and_models(index: VectorIndex, reach: Reach, model: str | None) -> list[tuple[str, str]]:
    if reach.tenant_id is not None and model is not None:
        return [(reach.tenant_id, model)]
    async with reach.scope():
        rows = await _MODELS.fetch(index.name, reach.tenant_id)
    pairs = [(row["tenant_id"], row["embedding_model"]) for row in rows]
    return [pair for pair in pairs if model in (None, pair[1])]


async def _differences(
    index: VectorIndex, reach: Reach, tenant_id: str, model: str, batch_size: int
) -> AsyncIterator[SweepReport]:
    with closing(_Seen()) as seen:
        async for entries in _listed(index, tenant_id, model, batch_size):
            ids = [entry.memory_id for entry in entries]
            seen.add(ids)
            fingerprints = [entry.fingerprint for entry in entries]
            row = await _queue(reach, tenant_id, _DIFFERING, index.name, tenant_id, model, ids, fingerprints)
            yield SweepReport(len(ids), row["orphans"], 0, row["stale"])
        last: UUID | None = UUID(int=0)
        while last is not None:
            async with reach.scope():
                ids = [row["memory_id"] for row in await _CURRENT.fetch(tenant_id, model, last, batch_size)]
            last = ids[-1] if ids else None
            if lacking := seen.missing(ids):
                row = await _queue(reach, tenant_id, _MISSING, index.name, tenant_id, model, lacking)
                yield SweepReport(missing=row["missing"])


async def _queue(reach: Reach, tenant_id: str, statement: Statement, *arguments: Any) -> asyncpg.Record:
    """Put something into the outbox; agents may be writing the same keys.

    Raises:
        TenantMovedError: The tenant is in another group than the reach.
    """

    async def in_scope() -> asyncpg.Record:
        async with reach.scope():
            if reach.tenant_id is None:
                await keep_in_group(tenant_id)
            return await statement.fetch_only_row(*arguments)

    return await repeated(in_scope, ATTEMPTS)


async def _listed(
    index: VectorIndex, tenant_id: str, model: str, batch_size: int
) -> AsyncIterator[Sequence[IndexEntry]]:
    """What the index says it has, some at a time, each waited for as long as a call may take."""
    entries = index.list(tenant_id, model)
    batch: list[IndexEntry] = []
    while (entry := await _next(index, entries)) is not None:
        batch.append(entry)
        if len(batch) == batch_size:
            yield batch
            batch = []
    if batch:
        yield batch


async def _next(index: VectorIndex, entries: AsyncIterator[IndexEntry]) -> IndexEntry | None:
    seconds = client().pool.settings.vector_timeout_seconds
    try:
        async with asyncio.timeout(seconds):
            return await anext(entries, None)
    except TimeoutError:
        raise VectorIndexError(index.name, f"did not go on with its list for {seconds:g} s") from None


class _Seen:
    """Ids that are remembered on disk where they are many: a store may have millions."""

    def __init__(self) -> None:
        import sqlite3  # here: not every Python has it

        # Without a name it is a temporary file, gone when it is closed; what is little stays in memory.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("CREATE TABLE seen (id BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, ids: Sequence[UUID]) -> None:
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR IGNORE INTO seen VALUES (?)", [(one.bytes,) for one in ids])
        self._database.execute("COMMIT")

    def missing(self, ids: Sequence[UUID]) -> list[UUID]:
        """Those of the ids that were not added."""
        return [one for one in ids if not self._has(one)]

    def _has(self, memory_id: UUID) -> bool:
        found: Any = self._database.execute("SELECT 1 FROM seen WHERE id = ?", (memory_id.bytes,)).fetchone()
        return found is not None

    def close(self) -> None:
        self._database.close()
