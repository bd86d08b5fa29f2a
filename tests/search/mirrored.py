"""A memory with a vector, and whether an index has exactly what it should have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import memory_guild as guild
from memory_guild.protocols import VectorIndex
from tests.search.words import Connection

MODEL = "written:down"

OUTBOX = "SELECT * FROM memory_vector_outbox ORDER BY tenant_id, embedding_model, memory_id"

EQUAL = """
SELECT tenant_id, embedding_model, memory_id,
    memory_guild_fingerprint(embedding, agent_id, source_type, created_at) AS fingerprint
FROM memory_vectors JOIN memory_records USING (tenant_id, memory_id)
WHERE memory_vectors.is_current
"""


async def remember_and_attach(
    tenant_id: str, text: str, *, vector: Sequence[float] = (1, 0, 0), model: str = MODEL, **others: Any
) -> guild.MemoryRecord:
    """A memory of a tenant, with a vector."""
    async with guild.tenant_scope(tenant_id, agent_id="scribe"):
        memory = (await guild.remember(text, source_type="document", **others)).memory
        assert await guild.embeddings.attach([(memory, vector)], model=model) == 1
    return memory


async def outbox(connection: Connection) -> list[tuple[str, str, UUID, int]]:
    """What waits: tenant, model, memory and version."""
    rows = await connection.fetch(OUTBOX)
    return [(row["tenant_id"], row["embedding_model"], row["memory_id"], row["version"]) for row in rows]


async def differences(connection: Connection, index: VectorIndex) -> dict[str, int]:
    """How many vectors an index has that it should not have, lacks, and has as they were before."""
    expected: dict[tuple[str, str], dict[UUID, str]] = {}
    for row in await connection.fetch(EQUAL):
        expected.setdefault((row["tenant_id"], row["embedding_model"]), {})[row["memory_id"]] = row["fingerprint"]
    known = {(row["tenant_id"], row["embedding_model"]) for row in await connection.fetch(OUTBOX)}
    counts = {"orphans": 0, "missing": 0, "stale": 0}
    for tenant_id, model in {*expected, *known, *getattr(index, "kept", ())}:
        wanted = expected.get((tenant_id, model), {})
        found = {entry.memory_id: entry.fingerprint async for entry in index.list(tenant_id, model)}
        counts["orphans"] += len(found.keys() - wanted.keys())
        counts["missing"] += len(wanted.keys() - found.keys())
        counts["stale"] += sum(wanted[one] != found[one] for one in wanted.keys() & found.keys())
    return counts


async def assert_equal(connection: Connection, index: VectorIndex) -> None:
    """The index has exactly what it should have, and nothing waits."""
    assert await differences(connection, index) == {"orphans": 0, "missing": 0, "stale": 0}
    assert await outbox(connection) == []
