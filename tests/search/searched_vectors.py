"""What the vectors that are searched must be, from the memories' own and the edges: a reference in plain Python."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeAlias
from uuid import UUID

import pytest

from tests.search.words import Connection

Numbers: TypeAlias = tuple[float, ...]

OWN = """
SELECT memory_id, embedding_model, own::text AS numbers,
    is_deleted IS NOT TRUE AND memory.content_hash = own.content_hash AS is_current
FROM memory_own_vectors AS own JOIN memory_records AS memory USING (tenant_id, memory_id)
WHERE tenant_id = $1
"""
FOLLOWS = """
SELECT source_memory_id, target_memory_id FROM memory_relationships
JOIN memory_records ON memory_id = source_memory_id WHERE tenant_id = $1 AND relationship_type = 'follows'
"""
SEARCHED = """
SELECT memory_id, embedding_model, embedding::text AS numbers, is_current FROM memory_vectors WHERE tenant_id = $1
"""
UNTRUE = """
SELECT count(*)
FROM memory_vectors AS searched FULL JOIN memory_own_vectors AS own USING (tenant_id, memory_id, embedding_model)
WHERE tenant_id = $1 AND (searched.content_hash = own.content_hash) IS NOT TRUE
"""


def read(numbers: str) -> Numbers:
    """A vector from its text."""
    return tuple(float(number) for number in numbers.strip("[]").split(","))


async def searched_vectors(connection: Connection, tenant_id: str) -> dict[tuple[UUID, str], Numbers]:
    """The vectors that are searched, by memory and model."""
    rows = await connection.fetch(SEARCHED, tenant_id)
    return {(row["memory_id"], row["embedding_model"]): read(row["numbers"]) for row in rows}


async def expected_vectors(connection: Connection, tenant_id: str) -> dict[tuple[UUID, str], Numbers]:
    """The vectors made from scratch."""
    own: dict[str, dict[UUID, Numbers]] = defaultdict(dict)
    lent: dict[str, dict[UUID, Numbers]] = defaultdict(dict)
    for row in await connection.fetch(OWN, tenant_id):
        own[row["embedding_model"]][row["memory_id"]] = read(row["numbers"])
        if row["is_current"]:
            lent[row["embedding_model"]][row["memory_id"]] = read(row["numbers"])
    follows, followed = defaultdict(list), defaultdict(list)
    for source, target in await connection.fetch(FOLLOWS, tenant_id):
        follows[source].append(target)
        followed[target].append(source)
    return {
        (memory_id, model): _mixed(
            vector,
            [lent[model][other] for other in sorted(follows[memory_id])[:64] if other in lent[model]],
            [lent[model][other] for other in sorted(followed[memory_id])[:64] if other in lent[model]],
        )
        for model, vectors in own.items()
        for memory_id, vector in vectors.items()
    }


def _mixed(own: Numbers, earlier: Sequence[Numbers], later: Sequence[Numbers]) -> Numbers:
    total = list(own)
    for vectors, weight in ((earlier, 0.3), (later, 0.4)):
        for vector in vectors:
            total = [number + weight / len(vectors) * other for number, other in zip(total, vector, strict=True)]
    return tuple(number / math.hypot(*total) for number in total)


async def assert_searched_vectors_are_true(connection: Connection, tenant_id: str) -> None:
    """Every searched vector is the one made from scratch."""
    assert await connection.fetchval(UNTRUE, tenant_id) == 0
    searched, expected = await searched_vectors(connection, tenant_id), await expected_vectors(connection, tenant_id)
    assert searched.keys() == expected.keys()
    for key, vector in expected.items():
        assert searched[key] == pytest.approx(vector, abs=1e-3)


def axes(dimensions: int) -> Iterable[list[float]]:
    """Vectors that have nothing in common, so that one sees of which ones another was made."""
    for number in range(dimensions):
        yield [float(number == axis) for axis in range(dimensions)]
