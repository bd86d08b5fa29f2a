"""Walks from one passage to those that it leads to."""

from __future__ import annotations

from typing import TypeAlias
from uuid import uuid4

import asyncpg
import pytest

from memory_guild import demo as python_docs
from memory_guild.graph.edges import relate_many
from memory_guild.memories.storing import remember_many
from memory_guild.models import MemoryRecord
from memory_guild.tenancy import tenant_scope

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def chain(edges: list[tuple[str, str, float]], **options: int) -> dict[str, python_docs.Step]:
    """Store memories named by letters and their edges, and walk from ``a``."""
    letters = sorted({letter for source, target, _ in edges for letter in (source, target)})
    async with tenant_scope("acme", agent_id="walker"):
        stored = await remember_many(
            [
                {"source_type": "document", "content_text": letter, "metadata": {"subject": letter}}
                for letter in letters
            ],
            on_forgotten="keep",
        )
        ids = {letter: outcome.memory_id for letter, outcome in zip(letters, stored, strict=True)}
        await relate_many(
            [
                {
                    "source_memory_id": ids[source],
                    "target_memory_id": ids[target],
                    "relationship_type": "references",
                    "confidence_score": score,
                }
                for source, target, score in edges
            ]
        )
        start = ids["a"]
        assert start is not None
        steps = await python_docs.walk(start, **options)
    assert len({step.memory_id for step in steps}) == len(steps)
    assert all(ids[step.subject] == step.memory_id and len(step.path) == step.depth + 1 for step in steps)
    seen: set[tuple[str, ...]] = {()}
    for step in steps:
        assert step.path[:-1] in seen, "a parent must come before its children"
        seen.add(step.path)
    return {step.subject: step for step in steps}


async def test_three_hops_and_no_more(tables: str) -> None:
    steps = await chain([("a", "b", 1), ("b", "c", 0.5), ("c", "d", 1), ("d", "e", 1)])
    assert {subject: step.depth for subject, step in steps.items()} == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert steps["d"].path == ("a", "b", "c", "d")


async def test_the_confidence_is_that_of_the_whole_path(tables: str) -> None:
    steps = await chain([("a", "b", 0.5), ("b", "c", 0.5), ("c", "d", 0.25), ("a", "e", 0)])
    assert {subject: step.confidence for subject, step in steps.items()} == {
        "a": None,
        "b": 0.5,
        "c": 0.25,
        "d": 0.0625,
        "e": 0,
    }


async def test_a_cycle_ends_and_the_shortest_path_wins(tables: str) -> None:
    steps = await chain([("a", "b", 1), ("b", "c", 1), ("c", "d", 1), ("d", "a", 1), ("a", "c", 0.1), ("b", "a", 1)])
    assert list(steps) == ["a", "b", "c", "d"]
    assert steps["d"].path == ("a", "c", "d")


async def test_of_paths_of_one_length_the_surest_wins(tables: str) -> None:
    steps = await chain([("a", "b", 0.9), ("b", "d", 0.5), ("a", "c", 0.6), ("c", "d", 0.8)])
    assert steps["d"].path == ("a", "c", "d")
    assert steps["d"].confidence == pytest.approx(0.48)


async def test_of_equals_the_first_by_name(tables: str) -> None:
    steps = await chain([edge for middle in "fdbec" for edge in (("a", middle, 1.0), (middle, f"{middle}z", 0.5))])
    assert list(steps) == ["a", *(subject for middle in "bcdef" for subject in (middle, f"{middle}z"))]


async def test_a_hub_does_not_flood(tables: str) -> None:
    edges = [("a", f"h{number:03}", number / 1000) for number in range(200)]
    steps = await chain([*edges, *[(target, "a", 1.0) for _, target, _ in edges]], limit=5)
    assert list(steps) == ["a", "h199", "h198", "h197", "h196", "h195"]


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(1, ["a", "c"]), (2, ["a", "c", "b"]), (3, ["a", "c", "b", "d"]), (4, ["a", "c", "e", "b", "d"])],
)
async def test_the_nearest_are_reached_then_the_surest_then_the_first_by_name(
    tables: str, limit: int, expected: list[str]
) -> None:
    edges = [("a", "b", 0.9), ("a", "c", 1), ("b", "d", 1), ("c", "e", 0.9), ("e", "f", 1)]
    assert list(await chain(edges, limit=limit)) == expected


async def test_parents_come_before_their_children(tables: str) -> None:
    steps = list(await chain([("a", "b", 0.9), ("a", "c", 1), ("b", "d", 1), ("c", "e", 1)]))
    assert steps == ["a", "c", "e", "b", "d"]


async def test_forgotten_memories_end_the_walk(tables: str, connection: Connection) -> None:
    edges = [("a", "b", 1.0), ("b", "c", 1.0), ("a", "d", 1.0), ("d", "e", 1.0), ("a", "f", 0.1)]
    assert set(await chain(edges)) == {"a", "b", "c", "d", "e", "f"}
    await connection.execute("UPDATE memory_records SET is_deleted = true WHERE content_text IN ('b', 'd')")
    assert set(await chain(edges)) == {"a", "f"}


async def test_another_tenants_memory_is_nowhere(tables: str) -> None:
    await chain([("a", "b", 1.0)])
    start = (await MemoryRecord.get(content_text="a")).memory_id
    async with tenant_scope("umbrella"):
        assert await python_docs.walk(start) == []


async def test_from_nowhere(tables: str) -> None:
    async with tenant_scope(python_docs.TENANT_ID):
        assert await python_docs.walk(uuid4()) == []
