"""An index outside PostgreSQL becomes equal to it, whatever fails: the store, the worker, or what is between them."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from uuid import UUID

import pytest
import stamina

import memory_guild as guild
from memory_guild.errors import MemoryNotFoundError, TransactionConflictError, UnknownMemoryError, is_retryable
from memory_guild.protocols import VectorIndex
from memory_guild.search import worker
from tests.search.indexes import FAULTS, Crash, DictIndex, FaultyIndex
from tests.search.mirrored import assert_equal, differences, outbox
from tests.search.words import Connection

MODELS = ("model:one", "model:two")
TENANTS = ("acme", "umbrella")
LATE_SECONDS, FENCE_SECONDS, TIMEOUT_SECONDS = 0.1, 0.3, 0.05


class Agent:
    """Does at random what agents do with memories and their vectors.

    Attributes:
        done: How many memories it has stored or changed, or tried to.
    """

    def __init__(self, tenant_id: str, known: list[UUID], seed: int) -> None:
        self._tenant_id = tenant_id
        self._known = known  # by all agents of the tenant
        self._random = random.Random(seed)
        self._number = seed * 1_000_000
        self.done = 0

    async def work(self, operations: int) -> None:
        """A few operations in each scope, which is run again after a conflict with other agents."""
        while self.done < operations:
            for attempt in stamina.retry_context(on=is_retryable, attempts=20, wait_initial=0.01, wait_max=0.1):
                with attempt:
                    await self._scope()

    async def _scope(self) -> None:
        async with guild.tenant_scope(self._tenant_id, agent_id=f"agent {self._random.randint(1, 3)}"):
            for _ in range(self._random.randint(1, 4)):
                some = self._some()
                # Another agent may have forgotten or deleted one of them.
                with suppress(MemoryNotFoundError, UnknownMemoryError):
                    async with guild.tenant_scope(self._tenant_id):
                        await self._operation(some)
                self.done += len(some)

    async def _operation(self, some: list[UUID]) -> None:
        choice = self._random.random()
        if choice < 0.25 or not some:
            await self._store(self._random.randint(1, 20))
        elif choice < 0.5:
            await guild.embeddings.attach([(memory, self._vector()) for memory in some], model=self._model())
        elif choice < 0.65:
            await guild.forget(*some)
        elif choice < 0.8:
            await guild.restore(*some)
        elif choice < 0.87:
            self._number += 1
            await guild.update(some[0], content_text=f"changed {self._number}")
        elif choice < 0.91:
            source_type = self._random.choice(["document", "external"])
            await guild.MemoryRecord.filter(memory_id__in=some).update(source_type=source_type)
        elif choice < 0.95:
            await guild.relate_many(
                {"source_memory_id": one, "target_memory_id": other, "relationship_type": "references"}
                for one, other in pairwise(some)
            )
        elif choice < 0.99:
            self._known[:] = [memory for memory in self._known if memory not in some]
            await guild.MemoryRecord.filter(memory_id__in=some).delete()
        else:
            await guild.embeddings.retire(self._model())

    async def _store(self, number: int) -> None:
        self._number += number
        texts = [f"note {self._number - one}" for one in range(number)]
        report = await guild.remember_many({"content_text": text, "source_type": "document"} for text in texts)
        await guild.embeddings.attach([(item, self._vector()) for item in report], model=self._model())
        self._known += [item.memory_id for item in report if item.memory_id is not None]

    def _some(self) -> list[UUID]:
        number = min(len(self._known), self._random.randint(1, 20))
        return sorted(self._random.sample(self._known, number))

    def _model(self) -> str:
        return self._random.choice(MODELS)

    def _vector(self) -> list[float]:
        angle = self._random.uniform(0, math.tau)
        return [math.cos(angle), math.sin(angle), 0.1]


class Workers:
    """Processes that sync, crash and are started again."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = index
        self._is_over = asyncio.Event()
        self.happened: Counter[str] = Counter()

    async def run(self) -> None:
        """Sync until it is over."""
        while not self._is_over.is_set():
            try:
                report = await guild.sync_vectors(self._index, batch_size=20)
                self.happened.update(report._asdict())
            except Crash:
                self.happened["crashes"] += 1
            except TransactionConflictError:
                self.happened["conflicts"] += 1
            await asyncio.sleep(0.005)

    def end(self) -> None:
        """Let them end after the batch that they are at."""
        self._is_over.set()


async def go_through(index: FaultyIndex, past_scopes: Connection, operations: int) -> guild.SweepReport:
    """Agents and workers at work, then the workers alone until nothing waits, and a sweep; what it found."""
    await guild.sync_vectors(index)
    known: dict[str, list[UUID]] = {tenant_id: [] for tenant_id in TENANTS}
    agents = [Agent(tenant_id, known[tenant_id], seed) for seed, tenant_id in enumerate(TENANTS * 2, start=1)]
    workers = Workers(index)
    working = [asyncio.create_task(workers.run()) for _ in range(3)]
    await asyncio.gather(*(agent.work(operations // len(agents)) for agent in agents))
    assert sum(agent.done for agent in agents) >= operations
    while await outbox(past_scopes):  # noqa: ASYNC110 - the workers empty it
        await asyncio.sleep(0.05)
    workers.end()
    await asyncio.gather(*working)
    await index.settled()
    left = await differences(past_scopes, index)
    print(f"{operations:,} operations; faults {dict(index.happened)}; workers {dict(workers.happened)}; left {left}")
    report = await guild.sweep_vectors(index)
    while await outbox(past_scopes):
        with suppress(Crash):
            await guild.sync_vectors(index)
        await asyncio.sleep(0.05)
    await index.settled()
    await assert_equal(past_scopes, index)
    return report


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_VECTOR_TIMEOUT_SECONDS", f"{TIMEOUT_SECONDS}")
    monkeypatch.setenv("MEMORY_GUILD_VECTOR_FENCE_SECONDS", f"{FENCE_SECONDS}")
    monkeypatch.setattr(worker, "_FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(worker, "_LONGEST_PAUSE_SECONDS", 0.5)


@pytest.mark.long
async def test_after_all_kinds_of_faults_the_index_is_equal_without_a_sweep(
    search: str, past_scopes: Connection
) -> None:
    index = FaultyIndex(DictIndex(), share=0.05, late_seconds=LATE_SECONDS, seed=1)
    found = await go_through(index, past_scopes, 200)
    assert (found.orphans, found.missing, found.stale) == (0, 0, 0)


@pytest.mark.long
async def test_after_ten_thousand_operations_the_index_is_equal_without_a_sweep(
    search: str, past_scopes: Connection
) -> None:
    index = FaultyIndex(DictIndex(), share=0.03, late_seconds=LATE_SECONDS, seed=2)
    found = await go_through(index, past_scopes, 10_000)
    assert all(index.happened[fault] for fault in FAULTS)
    assert (found.orphans, found.missing, found.stale) == (0, 0, 0)


async def test_without_the_fence_late_calls_leave_differences_that_the_sweep_finds(
    search_url: str, past_scopes: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_GUILD_VECTOR_FENCE_SECONDS", "0")
    inner = DictIndex()
    async with guild.connect(search_url):
        await guild.sync_vectors(inner)
        for number in range(10):
            async with guild.tenant_scope("acme", agent_id="scribe"):
                memory = (await guild.remember(f"note {number}", source_type="document")).memory
                await guild.embeddings.attach([(memory, [1, 0])], model=MODELS[0])
            late = FaultyIndex(inner, share=1, faults=["late application"], late_seconds=LATE_SECONDS, seed=number)
            await guild.sync_vectors(late)
            async with guild.tenant_scope("acme", agent_id="scribe"):
                await guild.forget(memory)
            await past_scopes.execute("UPDATE memory_vector_outbox SET due_at = now()")
            await guild.sync_vectors(inner)
            await late.settled()
        assert await outbox(past_scopes) == []
        found = await guild.sweep_vectors(inner)
        assert found.orphans > 0
        await guild.sync_vectors(inner)
        await assert_equal(past_scopes, inner)
