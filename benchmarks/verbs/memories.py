"""Memories to measure on: 20 unequal tenants, as the package has them, in plain tables and in LangGraph's store."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from benchmarks.peers import langgraph
from memory_guild.database.statements import statement
from memory_guild.schema.migrating import upgrade

SCHEMA = "public"
PLAIN_SCHEMA = "plain"
STORE_SCHEMA = "langgraph"
TENANTS = 20
AGENTS = 10
SMALLEST_LOAD = 4_000

_TYPES = ("references", "contradicts", "supports", "follows", "related")
_HUB_EDGES = 2_000
_FORGOTTEN_EVERY = 64

Edge = tuple[UUID, UUID, str, float]  # source, target, type, confidence


@dataclass
class Tenant:
    """A tenant and its memories."""

    tenant_id: str
    memory_ids: list[UUID] = field(default_factory=list, repr=False)


@dataclass(frozen=True)
class Memories:
    """What was loaded.

    Attributes:
        tenants: All of them, the largest first.
        hub: The hub of ``hub_tenant``: up to 2,000 edges leave it, as many lead to it.
    """

    tenants: Sequence[Tenant]

    @property
    def largest(self) -> Tenant:
        """The tenant with the most memories, and no hub."""
        return self.tenants[0]

    @property
    def typical(self) -> Tenant:
        """A tenant of middling size, and no hub."""
        return self.tenants[4]

    @property
    def hub_tenant(self) -> Tenant:
        """The first of the tenants that have a hub."""
        return self.tenants[9]

    @property
    def hub(self) -> UUID:
        """The first memory of that tenant."""
        return self.hub_tenant.memory_ids[0]

    @property
    def count(self) -> int:
        """How many memories there are."""
        return sum(len(tenant.memory_ids) for tenant in self.tenants)


@dataclass(frozen=True)
class Known:
    """A memory that was loaded, with all that names it somewhere."""

    memory_id: UUID
    agent_id: str
    content_text: str
    content_hash: str


async def known(url: str, tenant: Tenant, count: int) -> list[Known]:
    """So many live memories of a tenant, or all of a smaller one, in an order that says nothing."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT memory_id, agent_id, content_text, content_hash FROM memory_records WHERE tenant_id = $1"
            " AND NOT is_deleted ORDER BY content_hash LIMIT $2",
            tenant.tenant_id,
            count,
        )
    finally:
        await connection.close()
    return [Known(*row) for row in rows]


async def load(url: str, count: int) -> Memories:
    """Fill an empty database: every memory three times, edges and embeddings once, two edges for each memory."""
    chance = random.Random(count)
    memories = _tenants(count, chance)
    await upgrade(url, schema=SCHEMA)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE SCHEMA {STORE_SCHEMA}; CREATE SCHEMA {PLAIN_SCHEMA}")
        await connection.execute(
            f"SET search_path = {PLAIN_SCHEMA}; {statement('schema/specification')}; RESET search_path"
        )
        async with langgraph.connect(url, schema=STORE_SCHEMA):
            pass  # creates its table
        await _stage(connection, memories, chance)
        await _fill(connection)
    finally:
        await connection.close()
    await vacuum(url)
    return memories


TABLES = (
    f"{SCHEMA}.memory_records",
    f"{SCHEMA}.memory_embeddings",
    f"{SCHEMA}.memory_relationships",
    f"{PLAIN_SCHEMA}.memory_records",
    f"{STORE_SCHEMA}.store",
)


async def vacuum(url: str, tables: Sequence[str] = TABLES) -> None:
    """Remove what earlier measurements left behind; the server does not do it by itself."""
    connection = await asyncpg.connect(url)
    try:
        for table in tables:
            await connection.execute(f"VACUUM (FREEZE, ANALYZE) {table}")
    finally:
        await connection.close()


def _tenants(count: int, chance: random.Random) -> Memories:
    if count < SMALLEST_LOAD:
        raise ValueError(f"at least {SMALLEST_LOAD} memories are needed for {TENANTS} unequal tenants")
    weights = [1 / rank for rank in range(1, TENANTS + 1)]  # Zipf's law
    tenants = [Tenant(f"tenant-{number:02}") for number in range(1, TENANTS + 1)]
    for tenant, weight in zip(tenants, weights, strict=True):
        size = int(count * weight / sum(weights))
        tenant.memory_ids = [UUID(int=chance.getrandbits(128), version=4) for _ in range(size)]
    missing = count - sum(len(tenant.memory_ids) for tenant in tenants)
    tenants[0].memory_ids += [UUID(int=chance.getrandbits(128), version=4) for _ in range(missing)]
    return Memories(tenants)


def _edges(memories: Memories, chance: random.Random) -> list[Edge]:
    """Two edges for each memory; the tenants from the tenth to the twelfth have a hub."""
    edges: set[tuple[UUID, UUID, str]] = set()
    for number, tenant in enumerate(memories.tenants):
        wanted = len(edges) + 2 * len(tenant.memory_ids)
        if number in (9, 10, 11):
            edges.update(_hub(tenant, chance))
        while len(edges) < wanted:
            source, target = chance.sample(tenant.memory_ids, 2)
            edges.add((source, target, chance.choice(_TYPES)))
    return [(*edge, round(chance.random(), 3)) for edge in sorted(edges)]


def _hub(tenant: Tenant, chance: random.Random) -> Iterator[tuple[UUID, UUID, str]]:
    hub, *others = tenant.memory_ids
    count = min(_HUB_EDGES, len(others) // 2)
    for other in chance.sample(others, count):
        yield hub, other, "references"
    for other in chance.sample(others, count):
        yield other, hub, "references"


async def _stage(connection: asyncpg.Connection[asyncpg.Record], memories: Memories, chance: random.Random) -> None:
    await connection.execute(
        "CREATE TEMPORARY TABLE memory"
        " (memory_id uuid, tenant_id text, agent_id text, created_at timestamptz, is_deleted boolean);"
        "CREATE TEMPORARY TABLE edge (source uuid, target uuid, type text, confidence float8)"
    )
    now = datetime.now(UTC)
    rows = [
        (
            memory_id,
            tenant.tenant_id,
            f"agent-{chance.randrange(AGENTS)}",
            now - timedelta(days=chance.uniform(0, 365)),
            place % _FORGOTTEN_EVERY == _FORGOTTEN_EVERY - 1,
        )
        for tenant in memories.tenants
        for place, memory_id in enumerate(tenant.memory_ids)
    ]
    rows.sort(key=lambda row: row[3])
    edges = _edges(memories, chance)
    chance.shuffle(edges)
    await connection.copy_records_to_table("memory", records=rows)
    await connection.copy_records_to_table("edge", records=edges)


async def _fill(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    for table in TABLES:
        # Nothing else works on the server while it is measured.
        await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    await connection.execute(
        f"INSERT INTO {SCHEMA}.memory_records (memory_id, agent_id, tenant_id, source_type, content_text, content_hash,"
        " metadata, created_at, updated_at, is_deleted, deleted_at)"
        " SELECT memory_id, agent_id, tenant_id, 'observation', text, md5(text), '{\"subject\": \"benchmark\"}',"
        " created_at, created_at, is_deleted, CASE WHEN is_deleted THEN created_at END"
        " FROM memory, concat('What ', agent_id, ' knows of ', memory_id, repeat(' and so on', 12)) AS text"
    )
    await connection.execute(
        f"INSERT INTO {PLAIN_SCHEMA}.memory_records SELECT * FROM {SCHEMA}.memory_records ORDER BY created_at;"
        f"INSERT INTO {SCHEMA}.memory_embeddings (memory_id, vector_id, embedding_model)"
        f" SELECT memory_id, memory_id::text, 'benchmark' FROM memory;"
        f"INSERT INTO {SCHEMA}.memory_relationships"
        " (source_memory_id, target_memory_id, relationship_type, confidence_score) SELECT * FROM edge;"
        f"INSERT INTO {STORE_SCHEMA}.store (prefix, key, value)"
        " SELECT tenant_id || '.' || agent_id, content_hash, jsonb_build_object('content_text', content_text,"
        " 'source_type', source_type, 'metadata', metadata)"
        f" FROM {SCHEMA}.memory_records ORDER BY created_at"
    )
