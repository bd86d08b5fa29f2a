"""Documents that share a rare name are related."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import memory_guild as guild
from memory_guild.errors import InvalidInputError, ScopeError, TransactionConflictError

TEXTS = [
    "Person-centered therapy\nIt was developed by the psychologist Carl Rogers.",
    "Carl Rogers taught at the University of Chicago.",
    "The University of Chicago is old.",
    "Nothing of it is here.",
]
PAIRS = {(0, 1), (1, 2)}


async def store(tenant: str, texts: list[str] = TEXTS, source_type: str = "document") -> list[Any]:
    """The memories, in their order."""
    async with guild.tenant_scope(tenant, agent_id="librarian"):
        report = await guild.remember_many({"content_text": text, "source_type": source_type} for text in texts)
        return [stored.memory_id for stored in report]


async def edges_of(tenant: str) -> list[tuple[Any, Any, str]]:
    """All edges of a tenant."""
    async with guild.tenant_scope(tenant):
        return [
            (edge.source_memory_id, edge.target_memory_id, edge.relationship_type)
            for edge in await guild.MemoryRelationship.all()
        ]


def expected(ids: list[Any]) -> set[tuple[Any, Any, str]]:
    return {(*sorted((ids[one], ids[other])), "references") for one, other in PAIRS}


async def test_documents_that_share_a_rare_name_are_related_once(shared_database: str) -> None:
    ids, strangers = await store("acme"), await store("umbrella")
    assert await guild.relate_by_names("acme") == 2
    assert set(await edges_of("acme")) == expected(ids)
    assert await edges_of("umbrella") == []
    assert await guild.relate_by_names("acme", batch_size=1) == 0
    assert len(await edges_of("acme")) == 2
    assert await guild.relate_by_names("umbrella", batch_size=1) == 2
    assert set(await edges_of("umbrella")) == expected(strangers)


async def test_conversations_and_forgotten_documents_are_left_alone(shared_database: str) -> None:
    ids = await store("acme")
    await store("acme", ["Carl Rogers again.", "We met Carl Rogers."], "conversation")
    async with guild.tenant_scope("acme"):
        await guild.forget(ids[2])
    assert await guild.relate_by_names("acme") == 1
    assert await guild.relate_by_names("acme", source_type=["conversation", "document"]) == 5


async def test_a_frequent_name_relates_nothing_and_a_memory_has_few_edges(shared_database: str) -> None:
    await store("acme", [f"Number {number} is about the Carl Rogers story." for number in range(6)])
    assert await guild.relate_by_names("acme") == 0
    assert await guild.relate_by_names("acme", most_memories=6) == 15
    center = " ".join(f"in Placename{chr(97 + number)}," for number in range(20))
    await store("hub", [center, *(f"He lives in Placename{chr(97 + number)}." for number in range(20))])
    assert await guild.relate_by_names("hub") == 16


@pytest.mark.parametrize("text", TEXTS[:2])
async def test_who_deletes_meanwhile_is_no_error(shared_database: str, text: str) -> None:
    await store("acme")

    async def purge() -> None:
        async with guild.tenant_scope("acme"):
            await guild.MemoryRecord.filter(content_text=text).delete()

    results = await asyncio.gather(guild.relate_by_names("acme", batch_size=1), purge(), return_exceptions=True)
    assert all(isinstance(result, (int, TransactionConflictError)) or result is None for result in results), results


async def test_several_at_once_make_each_edge_once(shared_database: str) -> None:
    await store("acme")
    assert sum(await asyncio.gather(*(guild.relate_by_names("acme", batch_size=1) for _ in range(4)))) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"most_memories": 1},
        {"most_memories": 101},
        {"batch_size": 0},
        {"source_type": None},
        {"source_type": []},
        {"source_type": "book"},
        {"tenant_id": ""},
    ],
    ids=str,
)
async def test_wrong_arguments_are_refused(shared_database: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await guild.relate_by_names(**{"tenant_id": "acme", **wrong})
    assert refused.value.field == next(iter(wrong))


async def test_it_is_not_for_scopes(shared_database: str) -> None:
    async with guild.tenant_scope("acme"):
        with pytest.raises(ScopeError, match="outside the scope"):
            await guild.relate_by_names("acme")
