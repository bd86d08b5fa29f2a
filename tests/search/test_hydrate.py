"""`hydrate`: what a search elsewhere found, as PostgreSQL has it now."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

import memory_guild as guild
from memory_guild.errors import InvalidInputError, TenantNotSetError
from memory_guild.protocols import VectorHit

Memories = list[guild.MemoryRecord]


@pytest.fixture
async def memories(database: str) -> Memories:
    """Three memories, and one of another tenant's at the end."""
    found: Memories = []
    for tenant_id, number in (("acme", 3), ("umbrella", 1)):
        async with guild.tenant_scope(tenant_id, agent_id="scribe"):
            found += [(await guild.remember(f"note {one}", source_type="document")).memory for one in range(number)]
    return found


async def test_rank_and_scores_stay(memories: Memories) -> None:
    async with guild.tenant_scope("acme"):
        found = await guild.hydrate([(memories[2], 0.9), (memories[0].memory_id, 0.5), (str(memories[1].memory_id), 2)])
    assert [(one.memory, one.score) for one in found] == [(memories[2], 0.9), (memories[0], 0.5), (memories[1], 2.0)]
    assert found[0].content_text == "note 2"
    assert memories[1] in found
    assert found.dropped == []


@pytest.mark.parametrize(
    "form",
    [
        lambda memory_id, score: VectorHit(memory_id, score),
        lambda memory_id, score: [memory_id, score],
        lambda memory_id, score: {"id": str(memory_id), "score": score},
        lambda memory_id, score: {"memory_id": memory_id, "score": score, "payload": {}},
        lambda memory_id, score: SimpleNamespace(id=str(memory_id), score=score, version=3, payload=None, vector=None),
        lambda memory_id, score: SimpleNamespace(memory_id=memory_id, score=score),
    ],
)
async def test_hits_have_many_forms(memories: Memories, form: Any) -> None:
    async with guild.tenant_scope("acme"):
        (found,) = await guild.hydrate(form(one.memory_id, 0.5) for one in memories[:1])
    assert (found.memory, found.score) == (memories[0], 0.5)


async def test_what_is_no_memory_here_is_dropped_and_nobody_can_tell_why(memories: Memories) -> None:
    unknown = uuid4()
    async with guild.tenant_scope("acme"):
        await guild.forget(memories[1])
        hits = [(memories[3].memory_id, 0.9), (memories[1].memory_id, 0.8), (unknown, 0.7), (memories[0], 0.6)]
        found = await guild.hydrate(hits)
    assert [one.memory for one in found] == [memories[0]]
    assert found.dropped == [memories[3].memory_id, memories[1].memory_id, unknown]
    assert "dropped=" in repr(found)


async def test_of_several_with_one_id_the_first_counts(memories: Memories) -> None:
    async with guild.tenant_scope("acme"):
        (found,) = await guild.hydrate([(memories[0], 0.5), (memories[0], 0.9)])
        assert found.score == 0.5
        assert await guild.hydrate([]) == []


@pytest.mark.parametrize(
    ("hit", "field"),
    [
        (None, "vector_hits[0]"),
        ((UUID(int=1),), "vector_hits[0]"),
        ({"score": 1}, "vector_hits[0]"),
        ({"id": UUID(int=1)}, "vector_hits[0]"),
        (("no uuid", 1), "vector_hits[0]"),
        ((UUID(int=1), "1"), "vector_hits[0].score"),
        ((UUID(int=1), True), "vector_hits[0].score"),
        ((UUID(int=1), float("nan")), "vector_hits[0].score"),
        ((UUID(int=1), 10**400), "vector_hits[0].score"),
    ],
)
async def test_what_is_no_hit_is_refused(memories: Memories, hit: Any, field: str) -> None:
    async with guild.tenant_scope("acme"):
        with pytest.raises(InvalidInputError) as refused:
            await guild.hydrate([hit])
        assert refused.value.field == field
        with pytest.raises(InvalidInputError):
            await guild.hydrate(5)  # type: ignore[arg-type]


async def test_it_needs_a_scope(memories: Memories) -> None:
    with pytest.raises(TenantNotSetError):
        await guild.hydrate([(memories[0], 0.5)])
