"""Memories to measure on: unequal tenants, twice, with the package's migrations and as a careful person has them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

import asyncpg

from memory_guild.database.statements import statement
from memory_guild.schema.migrating import upgrade

SCHEMA = "public"
BY_HAND_SCHEMA = "by_hand"
TENANTS = 50
SMALLEST_LOAD = 2_000
TABLES = ("memory_records", "memory_relationships")

_NEWEST = datetime(2026, 1, 1, tzinfo=UTC)
_STORED_TYPES = ("references", "related")
_WRITTEN_TYPES = ("supports", "contradicts", "follows")

Edge = tuple[UUID, UUID, str, float]  # source, target, type, confidence


@dataclass
class Tenant:
    """A tenant and what it has.

    Attributes:
        tenant_id: Its name.
        edges_per_memory: How many edges leave each of its memories.
        days: From how many days before the newest memory on, and until when, its memories were stored.
        memory_ids: Its memories.
    """

    tenant_id: str
    edges_per_memory: int = 2
    days: tuple[int, int] = (365, 0)
    memory_ids: list[UUID] = field(default_factory=list, repr=False)

    def stored_edges(self, chance: random.Random) -> Iterator[Edge]:
        """The edges that it has from the beginning."""
        for source in self.memory_ids:
            others = chance.sample(self.memory_ids, min(self.edges_per_memory + 1, len(self.memory_ids)))
            for target in islice((other for other in others if other != source), self.edges_per_memory):
                yield source, target, chance.choice(_STORED_TYPES), chance.random()

    def new_edges(self, count: int, chance: random.Random) -> list[Edge]:
        """Edges that it does not have yet, all different; at most three for each two of its memories."""
        memories, others, types = len(self.memory_ids), len(self.memory_ids) - 1, len(_WRITTEN_TYPES)
        edges = []
        for number in chance.sample(range(memories * others * types), count):
            pair, kind = divmod(number, types)
            source, step = divmod(pair, others)
            target = (source + 1 + step) % memories
            edges.append((self.memory_ids[source], self.memory_ids[target], _WRITTEN_TYPES[kind], 0.5))
        return edges


@dataclass(frozen=True)
class Memories:
    """What was loaded.

    Attributes:
        tenants: All of them; ``tiny``, ``middle`` and ``giant`` are three of those.
        tiny: 100 memories, all old.
        middle: A tenth of the memories.
        giant: Half of the memories.
        dense: About a hundredth of the memories, with ten edges from each of them.
    """

    tenants: Sequence[Tenant]
    tiny: Tenant
    middle: Tenant
    giant: Tenant
    dense: Tenant

    @property
    def measured(self) -> tuple[Tenant, Tenant, Tenant]:
        """The three tenants that are measured, smallest first."""
        return self.tiny, self.middle, self.giant

    @property
    def count(self) -> int:
        """How many memories there are in one copy."""
        return sum(len(tenant.memory_ids) for tenant in self.tenants)


async def load(url: str, count: int) -> Memories:
    """Create both copies in an empty database and fill them with the same rows in the same order."""
    chance = random.Random(count)
    memories = _tenants(count, chance)
    await upgrade(url, schema=SCHEMA)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE SCHEMA {BY_HAND_SCHEMA}; SET search_path = {BY_HAND_SCHEMA}")
        await connection.execute(statement("schema/specification"))
        await connection.execute("SET search_path = pg_temp; SET statement_timeout = 0")
        await _stage(connection, memories, chance)
        for schema in (SCHEMA, BY_HAND_SCHEMA):
            await _fill(connection, schema)
    finally:
        await connection.close()
    await vacuum(url)
    return memories


async def vacuum(url: str) -> None:
    """Remove what earlier measurements left behind, in both copies alike; the server does not do it by itself."""
    connection = await asyncpg.connect(url)
    try:
        for schema in (SCHEMA, BY_HAND_SCHEMA):
            for table in TABLES:
                await connection.execute(f"VACUUM (FREEZE, ANALYZE) {schema}.{table}")
    finally:
        await connection.close()


def _tenants(count: int, chance: random.Random) -> Memories:
    if count < SMALLEST_LOAD:
        raise ValueError(f"at least {SMALLEST_LOAD} memories are needed for {TENANTS} unequal tenants")
    giant, middle = Tenant("giant"), Tenant("middle")
    tiny = Tenant("tiny", days=(400, 366))
    others = [Tenant(f"tenant-{number:02}") for number in range(1, TENANTS - 2)]
    dense = others[9]
    dense.edges_per_memory = 10
    weights = [1 / rank for rank in range(1, len(others) + 1)]  # Zipf's law
    rest = count - count // 2 - count // 10 - 100
    sizes = [count // 2, count // 10, 100, *(int(rest * weight / sum(weights)) for weight in weights)]
    sizes[3] += count - sum(sizes)
    tenants = [giant, middle, tiny, *others]
    for tenant, size in zip(tenants, sizes, strict=True):
        tenant.memory_ids = [UUID(int=chance.getrandbits(128), version=4) for _ in range(size)]
    return Memories(tenants, tiny, middle, giant, dense)


async def _stage(connection: asyncpg.Connection[asyncpg.Record], memories: Memories, chance: random.Random) -> None:
    await connection.execute(
        "CREATE TEMPORARY TABLE memory (memory_id uuid, tenant_id text, agent_id text, created_at timestamptz);"
        "CREATE TEMPORARY TABLE edge (source uuid, target uuid, type text, confidence float8)"
    )
    rows = [
        (memory_id, tenant.tenant_id, f"agent-{chance.randrange(5)}", _NEWEST - timedelta(chance.uniform(*tenant.days)))
        for tenant in memories.tenants
        for memory_id in tenant.memory_ids
    ]
    rows.sort(key=lambda row: row[3])
    edges = [edge for tenant in memories.tenants for edge in tenant.stored_edges(chance)]
    chance.shuffle(edges)
    await connection.copy_records_to_table("memory", records=rows)
    await connection.copy_records_to_table("edge", records=edges)


async def _fill(connection: asyncpg.Connection[asyncpg.Record], schema: str) -> None:
    for table in TABLES:
        # Nothing else works on the server while it is measured.
        await connection.execute(f"ALTER TABLE {schema}.{table} SET (autovacuum_enabled = false)")
    await connection.execute(
        f"INSERT INTO {schema}.memory_records (memory_id, agent_id, tenant_id, source_type, content_text, content_hash,"
        " metadata, created_at, updated_at)"
        " SELECT memory_id, agent_id, tenant_id, 'observation', text, md5(text), '{\"subject\": \"benchmark\"}',"
        " created_at, created_at"
        " FROM memory, concat('What ', agent_id, ' knows of ', memory_id, repeat(' and so on', 12)) AS text"
    )
    await connection.execute(
        f"INSERT INTO {schema}.memory_relationships"
        " (source_memory_id, target_memory_id, relationship_type, confidence_score) SELECT * FROM edge"
    )
