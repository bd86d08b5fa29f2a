"""What the vectors of a tenant's memories must be, from their own words and the edges: a reference in plain Python."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TypeAlias
from uuid import UUID

import asyncpg
import pytest

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Vector: TypeAlias = dict[int, float]

MEMORIES = """
SELECT memory_id, memory_guild_word(lexeme) AS word, cardinality(positions) AS times
FROM memory_records
CROSS JOIN LATERAL (SELECT created_at AT TIME ZONE 'UTC' AS moment) AS dated
CROSS JOIN LATERAL unnest(to_tsvector(
    $2::regconfig,
    content_text || coalesce(
        ' ' || concat_ws(' ', ($3::text[])[extract(month FROM moment)::int], to_char(moment, 'YYYY DD')), ''
    )
))
WHERE tenant_id = $1 AND is_deleted IS NOT TRUE
"""
EDGES = """
SELECT source_memory_id, target_memory_id, relationship_type FROM memory_relationships
JOIN memory_records ON memory_id = source_memory_id WHERE tenant_id = $1
"""
ENGLISH = [
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
]
GERMAN = [
    *("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli"),
    *("August", "September", "Oktober", "November", "Dezember"),
]
MONTHS = {"english": ENGLISH, "german": GERMAN, "simple": []}
UNTRUE = """
SELECT count(*) FROM memory_words AS words FULL JOIN memory_records AS memory USING (tenant_id, memory_id)
WHERE tenant_id = $1 AND (
    words.pivot IS NULL OR memory.agent_id IS NULL OR NOT is_complete OR text_search <> $2
    OR is_forgotten <> (is_deleted IS TRUE) OR is_forgotten AND (lexemes <> '' OR words.words::text <> '{}/536870912')
)
"""


async def stored_vectors(connection: Connection, tenant_id: str) -> dict[UUID, Vector]:
    """The vectors that the database has."""
    query = "SELECT memory_id, words::text FROM memory_words WHERE tenant_id = $1 AND NOT is_forgotten"
    rows = await connection.fetch(query, tenant_id)
    return {row["memory_id"]: _read(row["words"]) for row in rows}


def _read(text: str) -> Vector:
    pairs = [pair.partition(":") for pair in text.partition("}")[0].removeprefix("{").split(",") if pair]
    return {int(number): float(weight) for number, _, weight in pairs}


async def expected_vectors(connection: Connection, tenant_id: str, text_search: str = "english") -> dict[UUID, Vector]:
    """The vectors made from scratch."""
    own: dict[UUID, Counter[int]] = defaultdict(Counter)
    for row in await connection.fetch(MEMORIES, tenant_id, text_search, MONTHS[text_search]):
        own[row["memory_id"]][row["word"]] += row["times"]
    follows, followed, refers = defaultdict(list), defaultdict(list), defaultdict(set)
    for source, target, kind in await connection.fetch(EDGES, tenant_id):
        if kind == "follows":
            follows[source].append(target)
            followed[target].append(source)
        elif kind == "references":
            refers[source].add(target)
            refers[target].add(source)
    pivots = {memory_id: 0.5 + 0.5 * words.total() / 15 for memory_id, words in own.items()}
    return {
        memory_id: _baked(memory_id, own, pivots, _lenders(memory_id, follows, followed, refers)) for memory_id in own
    }


def _lenders(
    memory_id: UUID,
    follows: dict[UUID, list[UUID]],
    followed: dict[UUID, list[UUID]],
    refers: dict[UUID, set[UUID]],
) -> list[tuple[UUID, float, bool]]:
    lenders = [(memory_id, 1.0, False)]
    for edges, weights in ((follows, (0.6, 0.4, 0.2)), (followed, (0.5, 0.25, 0.1))):
        at = [memory_id]
        for weight in weights:
            at = [neighbor for memory in at for neighbor in edges[memory]]
            lenders += [(neighbor, weight, True) for neighbor in at]
    others = refers[memory_id]
    return lenders + [(other, 0.7 / math.sqrt(len(others)), False) for other in others]


def _baked(
    receiver: UUID, own: dict[UUID, Counter[int]], pivots: dict[UUID, float], lenders: list[tuple[UUID, float, bool]]
) -> Vector:
    words = own[receiver].total()
    frequencies: dict[int, float] = defaultdict(float)
    for lender, weight, damped in lenders:
        if lender in own:  # not one that is forgotten
            share = weight * (min(1, 30 / max(words, 3)) if damped else 1) / pivots[lender]
            for word, times in own[lender].items():
                frequencies[word] += share * times
    return {word: f * 1.9 / (f + 0.9) for word, f in frequencies.items() if f > 0.002}


async def assert_vectors_are_true(connection: Connection, tenant_id: str, text_search: str = "english") -> None:
    """Every vector is the one made from scratch, and forgotten memories have no words."""
    assert await connection.fetchval(UNTRUE, tenant_id, text_search) == 0
    stored = await stored_vectors(connection, tenant_id)
    expected = await expected_vectors(connection, tenant_id, text_search)
    assert stored.keys() == expected.keys()
    for memory_id, vector in expected.items():
        assert stored[memory_id] == pytest.approx(vector, rel=1e-4)
