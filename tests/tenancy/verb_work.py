"""One scope's work with every verb, for another schema, a pooler, and many at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import memory_guild as guild
from memory_guild.models import MemoryEmbedding, MemoryRecord
from memory_guild.types import RELATIONS


async def every_verb(name: str) -> set[str]:
    """Use all of them in the current scope, and check what they answer.

    Args:
        name: Is in every text and the agent's name, so that no two calls meet.

    Returns:
        The texts of all memories of the tenant at the end.
    """
    first, others = await _store(name)
    await _read(first, others)
    await _walk(first, others)
    await _change(name, first, others)
    return {memory.content_text async for memory in guild.find_all(include_forgotten=True)}


def texts_after_every_verb(name: str) -> set[str]:
    """What one call leaves."""
    return {f"{name} {text}" for text in ("first", "0", "changed", "newer")}


async def _store(name: str) -> tuple[MemoryRecord, list[UUID]]:
    stored: Any = {"source_type": "document", "agent_id": name}
    first, outcome = await guild.remember(f"{name} first", metadata={"page": 1}, **stored)
    assert outcome == "created"
    assert (await guild.remember(f"{name} first", **stored)).outcome == "existing"
    report = await guild.remember_many({"content_text": f"{name} {text}", **stored} for text in (0, 1, 2, 1))
    assert (report.created, report.existing) == (3, 1)
    others = [outcome.memory_id for outcome in report[:3] if outcome.memory_id]
    await MemoryEmbedding.create(memory=first, vector_id=f"{name} vector", embedding_model="small")

    assert (await guild.relate(first, others[0], "supports", confidence_score=0.5)).created
    edges = [(first.memory_id, others[0], "supports"), (others[0], others[1], "contradicts")]
    keys = ("source_memory_id", "target_memory_id", "relationship_type")
    related = await guild.relate_many(dict(zip(keys, edge, strict=True)) for edge in edges)
    assert [edge.created for edge in related] == [False, True]
    return first, others


async def _read(first: MemoryRecord, others: list[UUID]) -> None:
    assert await guild.get(first.memory_id) == first
    found = await guild.get_many([others[2], first], relations=RELATIONS)
    assert [memory.memory_id for memory in found.memories] == [others[2], first.memory_id]
    assert [len(memory.embeddings) for memory in found.memories] == [0, 1]
    await guild.fetch_relations([first])
    assert [edge.target_memory_id for edge in first.outgoing_edges] == [others[0]]

    page = await guild.find(agent_id=first.agent_id, limit=2)
    rest = await guild.find(agent_id=first.agent_id, cursor=page.next_cursor)
    newest = [memory.memory_id for memory in (*page.memories, *rest.memories)]
    assert newest == [*others[::-1], first.memory_id]
    assert [memory async for memory in guild.find_all(metadata={"page": {"$gte": 1}}, agent_id=first.agent_id)] == [
        first
    ]
    assert await guild.count(agent_id=first.agent_id, source_type=["document", "external"]) == 4
    assert await guild.as_of(datetime.now(UTC)).filter(agent_id=first.agent_id).count() == 4


async def _walk(first: MemoryRecord, others: list[UUID]) -> None:
    assert [neighbor.memory.memory_id for neighbor in await guild.neighbors(first)] == [others[0]]
    steps = (await guild.traverse(first, max_hops=2)).steps
    assert [(step.memory.memory_id, step.depth, step.confidence) for step in steps] == [
        (others[0], 1, 0.5),
        (others[1], 2, 0.5),
    ]
    found = await guild.path(first, others[1])
    assert found is not None
    assert [memory.memory_id for memory in found.memories] == [first.memory_id, *others[:2]]
    assert [found.target.memory_id for found in await guild.contradictions(others[0])] == [others[1]]
    around = await guild.subgraph(others[1])
    assert (len(around.memories), len(around.edges)) == (3, 2)


async def _change(name: str, first: MemoryRecord, others: list[UUID]) -> None:
    changed = await guild.update(others[1], content_text=f"{name} changed", expected_updated_at=None)
    assert changed.updated_at is not None
    newer = await guild.supersede(first, f"{name} newer")
    assert [neighbor.edge.relationship_type for neighbor in await guild.neighbors(newer.memory)] == ["follows"]
    assert await guild.unrelate(first, others[0]) == 1
    assert (await guild.forget(first, others[0]), await guild.restore(first)) == (2, 1)
    assert await guild.forget_where(agent_id=name, metadata={"page": {"$exists": True}}) == 2
    assert await guild.restore(first, newer.memory, others[0]) == 3
    await guild.forget(others[2])
    long_from_now = datetime(2999, 1, 1, tzinfo=UTC)
    assert await guild.purge(older_than=long_from_now, batch_size=1) == 1
