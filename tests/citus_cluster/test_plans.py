"""Each statement of a verb is one task, on the worker that has the schema: no rows travel in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

import memory_guild as guild
from memory_guild.database.session import PooledConnection
from memory_guild.models import MemoryRecord, MemoryRelationship
from memory_guild.tenancy import tenant_scope
from tests import citus

IN_SEVERAL_PLACES = ("Distributed Subplan", "INSERT/SELECT method", "MapMerge", "Intermediate")
Sent = list[tuple[str, tuple[Any, ...]]]


@pytest.fixture(scope="module")
def url(server_url: str) -> Iterator[str]:
    """A schema for the test."""
    with citus.new_schema() as url:
        yield url


@pytest.fixture
async def sent(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sent]:
    """What the driver was given, with its arguments."""
    statements: Sent = []
    fetch, executemany = PooledConnection.fetch, PooledConnection.executemany

    async def noting_fetch(self: Any, query: str, *arguments: Any, **options: Any) -> Any:
        statements.append((query, arguments))
        return await fetch(self, query, *arguments, **options)

    async def noting_executemany(self: Any, query: str, arguments: Any, **options: Any) -> Any:
        statements.append((query, tuple(arguments[0])))
        return await executemany(self, query, arguments, **options)

    monkeypatch.setattr(PooledConnection, "fetch", noting_fetch)
    monkeypatch.setattr(PooledConnection, "executemany", noting_executemany)
    async with guild.connect(url):
        statements.clear()
        yield statements


async def use_every_verb() -> None:
    """Store, read, change, walk and delete, from sources too."""
    async with guild.admin_scope("a test"):
        await guild.sources.register("wiki", source_type="api")
        await guild.sources.register("held", source_type="api", metadata={"quarantine": True})
    async with tenant_scope("acme", agent_id="a"):
        one = (await guild.remember("one", source_type="document")).memory
        await guild.remember("one", source_type="document", metadata={"a": 1}, on_existing="merge")
        two = (await guild.remember("two", source_type="document", source="wiki", metadata={"n": 2})).memory
        await guild.remember("two", source_type="document", source="wiki", metadata={"b": 2}, on_existing="merge")
        await guild.remember("three", source_type="document", source="held")
        items = [{"content_text": f"number {n}", "source_type": "document"} for n in range(5)]
        await guild.remember_many(items, source="wiki")
        await guild.remember_many([{**item, "metadata": {"x": 1}} for item in items], on_existing="merge")
        await guild.get(one)
        await guild.get_many([one, two])
        await guild.find(metadata={"n": 2}, source="wiki")
        assert [page async for page in guild.find_all()]
        await guild.count(agent_id="a")
        await guild.relate(one, two, "supports", confidence_score=0.5)
        await guild.relate(one, two, "supports", confidence_score=0.9, on_existing="increase")
        edge = {"source_memory_id": two.memory_id, "target_memory_id": one.memory_id, "relationship_type": "related"}
        await guild.relate_many([edge])
        await guild.traverse(one)
        await guild.path(one, two)
        await guild.subgraph(one)
        await guild.neighbors(one)
        await guild.contradictions()
        await guild.fetch_relations([one, two])
        await guild.update(one, metadata={"c": 3})
        await guild.supersede(one, "one, again")
        await guild.unrelate(one, two, "supports")
        await guild.forget(two)
        await guild.restore(two)
        await guild.forget_where(metadata={"n": 2})
        await guild.sources.release("held")
        await guild.purge(older_than=timedelta(0))
        await MemoryRecord.filter(agent_id="a").order_by("created_at").limit(3)
        await MemoryRelationship.all().count()
        record = await MemoryRecord.create(agent_id="a", source_type="document", content_text="x", content_hash="x")
        record.metadata = {"y": 1}
        await record.save()
        await record.delete()
        await guild.erase_where(agent_id="a")


async def test_every_verb_is_one_task(sent: Sent) -> None:
    await use_every_verb()
    noted = {text: arguments for text, arguments in sent if "memory_" in text or "data_sources" in text}

    several = {}
    for text, arguments in noted.items():
        scope_of = guild.admin_scope() if text.startswith("-- Registers") else tenant_scope("acme")
        try:
            async with scope_of as scope, scope.transaction.driver() as driver:
                rows = await driver.fetch(f"EXPLAIN (COSTS OFF) {text}", *arguments)
        except Exception as error:
            several[text] = repr(error)
            continue
        plan = "\n".join(row[0] for row in rows)
        if any(word in plan for word in IN_SEVERAL_PLACES) or "Task Count: 1" not in plan:
            several[text] = plan
    assert len(noted) > 40
    assert several == {}
