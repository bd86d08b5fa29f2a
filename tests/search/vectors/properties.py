"""What every vector index must do, whatever store is behind it. A file for each store runs all of it."""

from __future__ import annotations

import asyncio
import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from memory_guild.protocols import IndexedVector, IndexEntry, IndexFilters, VectorIndex

MODEL = "openai:text-embedding-3-small"
PAGE = 3
"""How many entries the indexes under test list at a time."""
BEGIN = datetime(2026, 11, 27, 9, 5, 0, 123456, tzinfo=UTC)
ANY = IndexFilters()
HOSTILE = [
    "acme",
    "ACME",
    "acme ",
    'acme" or tenant_id != "',
    "' OR 1=1 --",
    '{"$ne": null}',
    "*",
    "acme/../other",
    'a\\"',
    "line\nbreak",
    "é",
    "e\u0301",  # the same letter for people, another text
    "租户🦉",
    "__default__",
    "x" * 255,
    "the",  # a word that searches of texts leave out
]


def vector_of(seed: object, dimensions: int = 8) -> list[float]:
    """A vector of length 1 that depends on the seed."""
    source = random.Random(str(seed))
    numbers = [source.gauss(0, 1) for _ in range(dimensions)]
    length = math.hypot(*numbers)
    return [number / length for number in numbers]


def memory(number: int, **values: Any) -> IndexedVector:
    """What an index keeps of a memory."""
    given: dict[str, Any] = {
        "memory_id": UUID(int=number),
        "vector": vector_of(number),
        "fingerprint": f"fingerprint {number}",
        "agent_id": "scribe",
        "source_type": "conversation",
        "created_at": BEGIN + timedelta(minutes=number),
    }
    return IndexedVector(**(given | values))


def inner_product(first: Any, second: Any) -> float:
    return math.fsum(a * b for a, b in zip(first, second, strict=True))


async def listed(index: VectorIndex, tenant_id: str, model: str = MODEL) -> list[IndexEntry]:
    """All that the index lists, in a known order."""
    return sorted([entry async for entry in index.list(tenant_id, model)])


def entries(*memories: IndexedVector) -> list[IndexEntry]:
    return sorted(IndexEntry(each.memory_id, each.fingerprint) for each in memories)


async def found(index: VectorIndex, tenant_id: str, filters: IndexFilters = ANY, limit: int = 100) -> set[int]:
    hits = await index.search(tenant_id, MODEL, vector_of("question"), limit=limit, filters=filters)
    return {hit.memory_id.int for hit in hits}


class IndexProperties:
    """The tests. A file inherits them and has a fixture ``index``, which is empty for the tenants of a test."""

    def test_it_is_an_index_with_a_name(self, index: VectorIndex) -> None:
        assert isinstance(index, VectorIndex)
        assert ":" in index.name

    async def test_an_index_without_anything_answers(self, index: VectorIndex) -> None:
        unknown = "a model that nobody has"
        assert await index.search("nobody", unknown, vector_of(1), limit=5, filters=ANY) == []
        assert await index.count("nobody", unknown) == 0
        assert await listed(index, "nobody", unknown) == []
        await index.delete("nobody", unknown, [UUID(int=1)])
        await index.delete_tenant("nobody")
        await index.upsert("nobody", unknown, [])
        assert await index.count("nobody", unknown) == 0

    async def test_a_tenant_without_anything_beside_one_that_has_something(self, index: VectorIndex) -> None:
        await index.upsert("acme", MODEL, [memory(1)])

        assert await found(index, "other") == set()
        assert await index.count("other", MODEL) == 0
        assert await listed(index, "other") == []
        await index.delete("other", MODEL, [UUID(int=1)])
        await index.delete_tenant("other")
        assert await found(index, "acme") == {1}

    async def test_order_and_scores_are_those_of_the_inner_product(self, index: VectorIndex) -> None:
        memories = [memory(number) for number in range(1, 41)]
        await index.upsert("acme", MODEL, memories)
        for seed in range(3):
            question = vector_of(f"question {seed}")
            best = sorted(memories, key=lambda each: -inner_product(each.vector, question))

            for limit in (1, 7, 40, 100):
                hits = await index.search("acme", MODEL, question, limit=limit, filters=ANY)

                assert [hit.memory_id for hit in hits] == [each.memory_id for each in best[:limit]]
                assert [hit.score for hit in hits] == pytest.approx(
                    [inner_product(each.vector, question) for each in best[:limit]], abs=1e-4
                )

    async def test_each_filter_and_all_together(self, index: VectorIndex) -> None:
        await index.upsert(
            "acme",
            MODEL,
            [
                memory(1),
                memory(2, agent_id='a" or agent_id != "'),
                memory(3, source_type="document"),
                memory(4, created_at=None),
                memory(5, agent_id="scribe ", source_type="document"),
                memory(6, agent_id="the"),
                memory(7, agent_id="scribe", source_type="document"),
            ],
        )
        third = BEGIN + timedelta(minutes=3)

        assert await found(index, "acme", IndexFilters(agent_id="scribe")) == {1, 3, 4, 7}
        assert await found(index, "acme", IndexFilters(agent_id='a" or agent_id != "')) == {2}
        assert await found(index, "acme", IndexFilters(agent_id="the")) == {6}
        assert await found(index, "acme", IndexFilters(agent_id="SCRIBE")) == set()
        assert await found(index, "acme", IndexFilters(source_type="document")) == {3, 5, 7}
        assert await found(index, "acme", IndexFilters(created_from=third)) == {3, 5, 6, 7}
        assert await found(index, "acme", IndexFilters(created_from=third + timedelta(microseconds=1))) == {5, 6, 7}
        assert await found(index, "acme", IndexFilters(created_before=third)) == {1, 2}
        assert await found(index, "acme", IndexFilters(created_before=third + timedelta(microseconds=1))) == {1, 2, 3}
        everything = IndexFilters("scribe", "document", third, third + timedelta(minutes=1))
        assert await found(index, "acme", everything) == {3}
        assert await found(index, "acme", IndexFilters("scribe", "document"), limit=1) <= {3, 7}

    async def test_an_upsert_replaces_all_of_a_memory(self, index: VectorIndex) -> None:
        await index.upsert("acme", MODEL, [memory(1), memory(2)])
        again = memory(1, vector=vector_of("else"), fingerprint="else", agent_id="painter", created_at=None)

        await index.upsert("acme", MODEL, [memory(1), again])

        (hit,) = await index.search("acme", MODEL, again.vector, limit=1, filters=IndexFilters(agent_id="painter"))
        assert hit.memory_id == again.memory_id
        assert hit.score == pytest.approx(1, abs=1e-5)
        assert await found(index, "acme", IndexFilters(created_from=BEGIN)) == {2}
        assert await listed(index, "acme") == entries(again, memory(2))

    async def test_a_delete_takes_what_is_named(self, index: VectorIndex) -> None:
        await index.upsert("acme", MODEL, [memory(1), memory(2), memory(3)])

        await index.delete("acme", MODEL, [UUID(int=2), UUID(int=99), UUID(int=2)])
        await index.delete("acme", MODEL, [])

        assert await found(index, "acme") == {1, 3}
        assert await index.count("acme", MODEL) == 2
        assert await listed(index, "acme") == entries(memory(1), memory(3))

    async def test_all_calls_can_be_repeated(self, index: VectorIndex) -> None:
        for _ in range(2):
            await index.upsert("acme", MODEL, [memory(1), memory(2)])
        assert await listed(index, "acme") == entries(memory(1), memory(2))
        for _ in range(2):
            await index.delete("acme", MODEL, [UUID(int=1)])
        assert await listed(index, "acme") == entries(memory(2))
        for _ in range(2):
            await index.delete_tenant("acme")
        assert await listed(index, "acme") == []

    async def test_lists_of_one_page_and_more(self, index: VectorIndex) -> None:
        for size in (PAGE - 1, PAGE, 3 * PAGE, 3 * PAGE + 1):
            memories = [memory(number) for number in range(1, size + 1)]
            await index.upsert("acme", MODEL, memories)
            await index.upsert("other", MODEL, [memory(100 + size)])

            assert await listed(index, "acme") == entries(*memories)
            assert await index.count("acme", MODEL) == size

    async def test_two_models_side_by_side(self, index: VectorIndex) -> None:
        short, other = "static", MODEL + "?dimensions=5"
        await index.upsert("acme", MODEL, [memory(1), memory(2)])
        await index.upsert("acme", short, [memory(1, vector=vector_of(1, 5), fingerprint="short")])
        await index.upsert("acme", other, [memory(3, fingerprint="other")])

        assert await found(index, "acme") == {1, 2}
        (hit,) = await index.search("acme", short, vector_of(1, 5), limit=9, filters=ANY)
        assert hit.memory_id == UUID(int=1)
        assert await listed(index, "acme", short) == [IndexEntry(UUID(int=1), "short")]

        await index.delete("acme", short, [UUID(int=1)])

        assert await index.count("acme", short) == 0
        assert await index.count("acme", other) == 1
        assert await index.count("acme", MODEL) == 2
        await index.delete_tenant("acme")
        assert [await index.count("acme", model) for model in (MODEL, short, other)] == [0, 0, 0]

    async def test_a_model_whose_vectors_became_longer(self, index: VectorIndex) -> None:
        model = "grown"
        await index.upsert("acme", model, [memory(1, vector=vector_of(1, 5)), memory(2, vector=vector_of(2, 5))])

        await index.upsert("acme", model, [memory(1)])

        assert await listed(index, "acme", model) == entries(memory(1), memory(2))
        assert [hit.memory_id.int for hit in await index.search("acme", model, vector_of(1), limit=9, filters=ANY)] == [
            1
        ]
        await index.delete("acme", model, [UUID(int=1), UUID(int=2)])
        assert await index.count("acme", model) == 0

    async def test_tenants_stay_apart_whatever_their_names_are(self, index: VectorIndex) -> None:
        """Even where their memories have the same ids, which PostgreSQL does not allow."""
        tenants = HOSTILE
        for number, tenant in enumerate(tenants):
            await index.upsert(tenant, MODEL, [memory(1, fingerprint=f"of {number}"), memory(1000 + number)])

        for number, tenant in enumerate(tenants):
            assert await found(index, tenant) == {1, 1000 + number}
            assert await index.count(tenant, MODEL) == 2
            assert await listed(index, tenant) == sorted(
                [IndexEntry(UUID(int=1), f"of {number}"), *entries(memory(1000 + number))]
            )
        for tenant in tenants[::2]:
            await index.delete(tenant, MODEL, [UUID(int=1000 + other) for other in range(len(tenants))])
            assert await found(index, tenant) == {1}
            await index.delete_tenant(tenant)
        assert [await index.count(tenant, MODEL) for tenant in tenants] == [0, 2] * (len(tenants) // 2)

    async def test_a_small_tenant_beside_a_large_one_gets_all_that_match(self, index: VectorIndex) -> None:
        """An index of all tenants' vectors that is filtered afterwards finds too few."""
        near = vector_of("question")
        await index.upsert("large", MODEL, [memory(number, vector=near) for number in range(100, 1400)])
        await index.upsert("acme", MODEL, [memory(number, vector=[-each for each in near]) for number in range(1, 21)])

        assert len(await found(index, "acme", limit=20)) == 20
        assert len(await found(index, "acme", limit=10)) == 10
        assert len(await found(index, "large", IndexFilters(agent_id="nobody"))) == 0

    async def test_calls_at_once(self, index: VectorIndex) -> None:
        tenants = [f"tenant {number}" for number in range(4)]
        model = "used at once"
        await asyncio.gather(
            *(index.upsert(tenant, model, [memory(10 * n), memory(10 * n + 1)]) for n, tenant in enumerate(tenants)),
            *(index.count(tenant, model) for tenant in tenants),
        )

        counts = await asyncio.gather(*(index.count(tenant, model) for tenant in tenants))
        assert counts == [2] * 4
        await asyncio.gather(
            *(index.delete(tenant, model, [UUID(int=10 * n)]) for n, tenant in enumerate(tenants)),
            *(index.search(tenant, model, vector_of(1), limit=5, filters=ANY) for tenant in tenants),
        )
        assert [await index.count(tenant, model) for tenant in tenants] == [1] * 4

    async def test_it_can_be_closed_twice_and_before_it_was_used(self, index: VectorIndex) -> None:
        await index.close()
        await index.close()
