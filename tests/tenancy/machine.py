"""Several tenants' scopes at once on a small pool, interrupted at random, beside a model in plain Python.

A step runs a few programs together. Each is one scope that writes and reads, may nest, and may be cancelled, run into a
timeout, fail or lose its backend at any point. Its first row is a marker: whether that is there afterwards decides
whether all that the program wrote must be there, or nothing of it.
"""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from memory_guild.errors import (
    ScopeAbortedError,
    ServerUnreachableError,
    StatementCanceledError,
)
from memory_guild.models import MemoryEmbedding, MemoryRecord, MemoryRelationship
from memory_guild.tenancy import tenant_scope
from tests.tenancy.count import COUNT
from tests.tenancy.pool import assert_pool_is_clean
from tests.tenancy.programs import TENANTS, Program, Rows, Run, Undone

EXPECTED = (ServerUnreachableError, ScopeAbortedError, StatementCanceledError, TimeoutError, asyncio.CancelledError)

BUSY = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid()
"""
"""How many backends work on a statement or hold a transaction open."""


class Machine:
    """The tenants' rows as they must be, and the steps that change them.

    Args:
        superuser: A connection beside the pool, which sees everything.
        pool_size: How many connections the scopes share.
    """

    def __init__(self, superuser: Any, pool_size: int) -> None:
        self.rows = {tenant_id: Rows() for tenant_id in TENANTS}
        self._superuser = superuser
        self._pool_size = pool_size
        self._turn = asyncio.Lock()

    def _ids_of_others(self, tenant_id: str) -> list[UUID]:
        """The ids of all memories that are not the tenant's."""
        return [memory_id for other, rows in self.rows.items() if other != tenant_id for memory_id in rows.texts]

    async def _kill(self, pid: int) -> None:
        """End a backend, and wait until it is gone."""
        async with self._turn:
            await self._superuser.fetchval("SELECT pg_terminate_backend($1::int, 5000::bigint)", pid)

    async def step(self, programs: list[Program]) -> None:
        """Run the programs at once, then compare everything with the model."""
        runs = []
        for number, program in enumerate(programs):
            ids = sorted(self.rows[program.tenant_id].texts, key=str)
            rows, strangers = self.rows[program.tenant_id], self._ids_of_others(program.tenant_id)
            runs.append(Run(program, rows, ids[number :: len(programs)], strangers, self._kill))
        async with asyncio.timeout(60):
            outcomes = await asyncio.gather(*map(self._interrupted, runs), return_exceptions=True)
        await self._wait_for_abandoned_backends()
        for run, outcome in zip(runs, outcomes, strict=True):
            await self._settle(run, outcome)
        await self._compare()

    async def _wait_for_abandoned_backends(self) -> None:
        # Whoever is cancelled while the server commits has left, and the server goes on: its decision is still to come.
        async with asyncio.timeout(20):
            while await self._superuser.fetchval(BUSY):  # noqa: ASYNC110 - the server sets no event
                await asyncio.sleep(0.005)

    async def _interrupted(self, run: Run) -> None:
        program = run.program
        if program.ending == "timeout":
            async with asyncio.timeout(program.moment / 10_000):
                await run.work()
        elif program.ending == "cancel":
            task = asyncio.create_task(run.work())
            for _ in range(program.moment):
                await asyncio.sleep(0)
            task.cancel()
            await task
        else:
            await run.work()

    async def _settle(self, run: Run, outcome: BaseException | None) -> None:
        if outcome is not None and not isinstance(outcome, (*EXPECTED, Undone)):
            raise AssertionError(run.program) from outcome
        committed = await self._superuser.fetchval(
            "SELECT EXISTS (SELECT FROM memory_records WHERE content_text = $1)", run.marker
        )
        if outcome is None:
            assert committed, "a scope that ended well is not there"
        if isinstance(outcome, (Undone, ScopeAbortedError)):
            assert not committed, "a scope that failed is there"
        if committed:
            self._apply(run)

    def _apply(self, run: Run) -> None:
        before, mine = run.before, self.rows[run.program.tenant_id]
        for memory_id in before.texts.keys() - run.rows.texts.keys():
            mine.forget(memory_id)
        mine.texts |= {
            memory_id: text for memory_id, text in run.rows.texts.items() if before.texts.get(memory_id) != text
        }
        mine.embedded |= run.rows.embedded - before.embedded
        mine.edges |= run.rows.edges - before.edges

    async def _compare(self) -> None:
        await assert_pool_is_clean(self._pool_size)
        assert await self._superuser.fetchval(BUSY) == 0
        stored: dict[str, Rows] = {tenant_id: Rows() for tenant_id in TENANTS}
        for row in await self._superuser.fetch("SELECT * FROM memory_records"):
            stored[row["tenant_id"]].texts[row["memory_id"]] = row["content_text"]
        owner = {memory_id: rows for rows in stored.values() for memory_id in rows.texts}
        for row in await self._superuser.fetch("SELECT * FROM memory_embeddings"):
            owner[row["memory_id"]].embedded.add(row["memory_id"])
        for row in await self._superuser.fetch("SELECT * FROM memory_relationships"):
            owner[row["source_memory_id"]].edges.add((row["source_memory_id"], row["target_memory_id"]))
        for tenant_id, rows in self.rows.items():
            assert stored[tenant_id] == rows, f"stored: {stored[tenant_id]}\nexpected: {rows}"
        for tenant_id, rows in self.rows.items():
            async with tenant_scope(tenant_id):
                COUNT.operations += 3
                assert {memory.memory_id: memory.content_text for memory in await MemoryRecord.all()} == rows.texts
                assert {row.memory_id for row in await MemoryEmbedding.all()} == rows.embedded
                assert {
                    (edge.source_memory_id, edge.target_memory_id) for edge in await MemoryRelationship.all()
                } == rows.edges
