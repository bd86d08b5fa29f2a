"""Vector indexes for tests: one in this process, and one around any other that fails in every way."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import UUID

from memory_guild.errors import VectorIndexError
from memory_guild.protocols import IndexedVector, IndexEntry, IndexFilters, VectorHit, VectorIndex

_Item = TypeVar("_Item")


class DictIndex:
    """A vector index in this process.

    Attributes:
        name: Its name.
        kept: What it has, by tenant and model.
        is_down: Whether every call fails.
        calls: How often each method was called.
    """

    def __init__(self, name: str = "dict:here") -> None:
        self.name = name
        self.kept: defaultdict[tuple[str, str], dict[UUID, IndexedVector]] = defaultdict(dict)
        self.is_down = False
        self.calls: Counter[str] = Counter()

    async def upsert(self, tenant_id: str, model: str, vectors: Sequence[IndexedVector]) -> None:
        """Store vectors."""
        await self._begin("upsert")
        self.kept[tenant_id, model].update({vector.memory_id: vector for vector in vectors})

    async def delete(self, tenant_id: str, model: str, memory_ids: Sequence[UUID]) -> None:
        """Delete vectors."""
        await self._begin("delete")
        for memory_id in memory_ids:
            self.kept[tenant_id, model].pop(memory_id, None)

    async def delete_tenant(self, tenant_id: str) -> None:
        """Delete all of a tenant."""
        await self._begin("delete_tenant")
        for key in [key for key in self.kept if key[0] == tenant_id]:
            del self.kept[key]

    async def search(
        self, tenant_id: str, model: str, vector: Sequence[float], *, limit: int, filters: IndexFilters
    ) -> list[VectorHit]:
        """The most alike."""
        await self._begin("search")
        hits = [
            VectorHit(one.memory_id, sum(here * there for here, there in zip(one.vector, vector, strict=True)))
            for one in self.kept[tenant_id, model].values()
            if _matches(one, filters)
        ]
        return sorted(hits, key=lambda hit: -hit.score)[:limit]

    async def count(self, tenant_id: str, model: str) -> int:
        """How many it has."""
        await self._begin("count")
        return len(self.kept[tenant_id, model])

    async def list(self, tenant_id: str, model: str) -> AsyncIterator[IndexEntry]:
        """All that it has."""
        await self._begin("list")
        for one in list(self.kept[tenant_id, model].values()):
            yield IndexEntry(one.memory_id, one.fingerprint)

    async def close(self) -> None:
        """Nothing is open."""
        self.calls["close"] += 1

    async def _begin(self, method: str) -> None:
        self.calls[method] += 1
        await asyncio.sleep(0)
        if self.is_down:
            raise VectorIndexError(self.name, "refused the connection", is_in_doubt=False)


def _matches(one: IndexedVector, filters: IndexFilters) -> bool:
    return (
        filters.agent_id in (None, one.agent_id)
        and filters.source_type in (None, one.source_type)
        and (filters.created_from is None or (one.created_at is not None and one.created_at >= filters.created_from))
        and (filters.created_before is None or (one.created_at is not None and one.created_at < filters.created_before))
    )


class Crash(BaseException):
    """The worker's process ends: it settles nothing and catches nothing."""


FAULTS = (
    "crash before the call",
    "crash after it",
    "crash in the middle of it",
    "failure before it",
    "failure after it",
    "failure in the middle of it",
    "late application",
)
"""What may happen to a call that writes."""


class FaultyIndex:
    """A vector index around another one, which fails now and then in every way that a store or a worker can fail.

    Attributes:
        index: The index around which it is.
        share: How probable each of the faults is, for a call that writes.
        happened: How often each fault happened.
    """

    def __init__(
        self,
        index: VectorIndex,
        *,
        share: float = 0.03,
        late_seconds: float = 0.1,
        faults: Sequence[str] = FAULTS,
        seed: int = 0,
    ) -> None:
        self.index = index
        self.share = share
        self.happened: Counter[str] = Counter()
        self._late_seconds = late_seconds
        self._faults = faults
        self._random = random.Random(seed)
        self._late: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """That of the index around which it is."""
        return self.index.name

    async def upsert(self, tenant_id: str, model: str, vectors: Sequence[IndexedVector]) -> None:
        """Store vectors, or fail."""
        await self._write(lambda some: self.index.upsert(tenant_id, model, some), vectors)

    async def delete(self, tenant_id: str, model: str, memory_ids: Sequence[UUID]) -> None:
        """Delete vectors, or fail."""
        await self._write(lambda some: self.index.delete(tenant_id, model, some), memory_ids)

    async def delete_tenant(self, tenant_id: str) -> None:
        """Delete all of a tenant."""
        await self.index.delete_tenant(tenant_id)

    async def search(
        self, tenant_id: str, model: str, vector: Sequence[float], *, limit: int, filters: IndexFilters
    ) -> list[VectorHit]:
        """The most alike."""
        return await self.index.search(tenant_id, model, vector, limit=limit, filters=filters)

    async def count(self, tenant_id: str, model: str) -> int:
        """How many it has."""
        return await self.index.count(tenant_id, model)

    def list(self, tenant_id: str, model: str) -> AsyncIterator[IndexEntry]:
        """All that it has."""
        return self.index.list(tenant_id, model)

    async def close(self) -> None:
        """Close it, when what is late has been applied."""
        await self.settled()
        await self.index.close()

    async def settled(self) -> None:
        """Wait for what is late."""
        while self._late:
            await asyncio.gather(*self._late)

    async def _write(self, write: Callable[[Sequence[_Item]], Awaitable[None]], items: Sequence[_Item]) -> None:
        number = int(self._random.random() / self.share) if self.share else len(self._faults)
        fault = self._faults[number] if number < len(self._faults) else ""
        self.happened[fault or "success"] += 1
        half = items[: len(items) // 2]
        if fault == "late application":
            self._apply_later(write, items)
        elif fault.endswith("after it"):
            await write(items)
        elif fault.endswith("in the middle of it") and half:
            await write(half)
        elif not fault:
            await write(items)
        if fault.startswith("crash"):
            raise Crash
        if fault:
            raise VectorIndexError(self.name, fault, is_in_doubt=fault != "failure before it")

    def _apply_later(self, write: Callable[[Sequence[_Item]], Awaitable[None]], items: Sequence[_Item]) -> None:
        async def apply() -> None:
            await asyncio.sleep(self._random.uniform(0, self._late_seconds))
            await write(items)

        task = asyncio.create_task(apply())
        self._late.add(task)
        task.add_done_callback(self._late.discard)
