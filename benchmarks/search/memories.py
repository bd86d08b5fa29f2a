"""Memories to search: unequal tenants, texts of words as frequent as in a language, and vectors in clusters."""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from uuid import UUID

import asyncpg
import numpy as np
from numpy.typing import NDArray

from memory_guild.models import hash_content
from memory_guild.schema.migrating import upgrade

MODEL = "benchmark:384"
DIMENSIONS = 384
TENANTS = 20
AGENT = "agent-0"

_WORDS = 20_000
_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"
_SUBJECTS = 40  # dimensions in which texts really differ: what models make has few of them
_CLUSTERS = 64
_BATCH = 1_000
_CHAIN = 40  # so many memories follow one another

Vectors = NDArray[np.float32]


@dataclass
class Tenant:
    """A tenant and its memories, in the order in which they follow one another."""

    tenant_id: str
    memory_ids: list[UUID] = field(repr=False)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.memory_ids)


@dataclass(frozen=True)
class Words:
    """A vocabulary in which the word of rank n is drawn as often as 1 / n (Zipf's law)."""

    words: Sequence[str]
    bounds: Sequence[float]

    @classmethod
    def made(cls) -> Words:
        """The same words every time."""
        chance = random.Random(1)
        words: dict[str, None] = {}
        while len(words) < _WORDS:
            syllables = (chance.choice(_CONSONANTS) + chance.choice(_VOWELS) for _ in range(chance.randint(2, 4)))
            words["".join(syllables)] = None
        return cls(list(words), list(accumulate(1 / rank for rank in range(1, _WORDS + 1))))

    def text(self, chance: random.Random, least: int = 6, most: int = 24) -> str:
        """A short text."""
        drawn = (
            self.words[bisect(self.bounds, chance.random() * self.bounds[-1])]
            for _ in range(chance.randint(least, most))
        )
        return " ".join(drawn) + "."


class Meanings:
    """Vectors of length 1 around the centers of clusters, which are the same ones for every seed."""

    def __init__(self, *, seed: int = 1) -> None:
        same = np.random.default_rng(0)
        self._centers = same.standard_normal((_CLUSTERS, _SUBJECTS))
        self._directions = same.standard_normal((_SUBJECTS, DIMENSIONS))
        self._draw = np.random.default_rng(seed)

    def vectors(self, count: int) -> Vectors:
        """So many of them."""
        subjects = self._centers[self._draw.integers(_CLUSTERS, size=count)] + 0.7 * self._draw.standard_normal(
            (count, _SUBJECTS)
        )
        drawn = subjects @ self._directions + 0.5 * self._draw.standard_normal((count, DIMENSIONS))
        vectors: Vectors = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
        return vectors


def sizes(count: int) -> list[int]:
    """How many memories each tenant has, the largest first."""
    weights = [rank**-1.1 for rank in range(1, TENANTS + 1)]
    return [max(1, int(count * weight / sum(weights))) for weight in weights]


async def load(url: str, count: int) -> list[Tenant]:
    """Fill an empty database: memories, chains of `follows`, and a vector for each memory."""
    await upgrade(url, search=True)
    chance, words, meanings = random.Random(count), Words.made(), Meanings()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET synchronous_commit = off")
        await use_vectors(connection)
        tenants = []
        for number, size in enumerate(sizes(count), 1):
            tenant = Tenant(f"tenant-{number:02}", [UUID(int=chance.getrandbits(128), version=4) for _ in range(size)])
            tenants.append(tenant)
            for ids in _batches(tenant.memory_ids):
                await store(connection, tenant.tenant_id, ids, [words.text(chance) for _ in ids])
                await follow(connection, ids)
                await attach(connection, tenant.tenant_id, ids, meanings.vectors(len(ids)))
        for tenant in tenants:
            await connection.execute("SELECT memory_guild_recount_words($1)", tenant.tenant_id)
        await connection.execute("RESET synchronous_commit")
        for table in ("memory_records", "memory_relationships", "memory_words", "memory_word_counts", "memory_vectors"):
            await connection.execute(f"VACUUM (FREEZE, ANALYZE) {table}")
    finally:
        await connection.close()
    return tenants


async def use_vectors(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Let the connection send vectors as bytes."""
    await connection.set_type_codec("halfvec", format="binary", encoder=lambda sent: sent, decoder=bytes)


def as_bytes(vector: Vectors) -> bytes:
    """A vector as pgvector's halfvec receives it."""
    return len(vector).to_bytes(2) + bytes(2) + vector.astype(">f2").tobytes()


async def store(
    connection: asyncpg.Connection[asyncpg.Record], tenant_id: str, ids: Sequence[UUID], texts: Sequence[str]
) -> None:
    """Insert memories in one statement."""
    await connection.execute(
        "INSERT INTO memory_records (memory_id, agent_id, tenant_id, source_type, content_text, content_hash)"
        " SELECT id, $2, $1, 'conversation', text, hash"
        " FROM unnest($3::uuid[], $4::text[], $5::text[]) AS given (id, text, hash)",
        tenant_id,
        AGENT,
        ids,
        texts,
        [hash_content(text) for text in texts],
    )


async def follow(connection: asyncpg.Connection[asyncpg.Record], ids: Sequence[UUID]) -> None:
    """Relate memories to chains in one statement."""
    later = [(memory, before) for place, (before, memory) in enumerate(pairwise(ids), 1) if place % _CHAIN]
    await connection.execute(
        "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type)"
        " SELECT source, target, 'follows' FROM unnest($1::uuid[], $2::uuid[]) AS given (source, target)",
        [memory for memory, _ in later],
        [before for _, before in later],
    )


async def attach(
    connection: asyncpg.Connection[asyncpg.Record], tenant_id: str, ids: Sequence[UUID], vectors: Vectors
) -> None:
    """Store the vectors of memories in one statement."""
    await connection.execute(
        "INSERT INTO memory_vectors (tenant_id, memory_id, embedding_model, content_hash, is_current, embedding)"
        " SELECT $1, memory_id, $2, content_hash, true, embedding"
        " FROM unnest($3::uuid[], $4::halfvec[]) AS given (memory_id, embedding) JOIN memory_records USING (memory_id)",
        tenant_id,
        MODEL,
        ids,
        [as_bytes(vector) for vector in vectors],
    )


def _batches(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for first in range(0, len(ids), _BATCH):
        yield ids[first : first + _BATCH]
