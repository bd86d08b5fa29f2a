"""The traps of planning under row-level security: whose plan serves whom, and which indexes it may use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from memory_guild.database.connecting import connect
from memory_guild.database.scope import current_scope
from memory_guild.models import MemoryEmbedding, MemoryRecord, MemoryRelationship
from memory_guild.tenancy import tenant_scope
from tests.databases import copied_database
from tests.tenancy.two_tenants import ACME_1, ACME_2, MISSING, ROWS, acting_as

if TYPE_CHECKING:
    from tests.tenancy.logins import Connection


@pytest.fixture(scope="module")
def shared_url(server_url: str, template: str) -> Iterator[str]:
    """A database with two tenants, for the tests that undo what they do."""
    with copied_database(server_url, template, ROWS) as url:
        yield url


@pytest.fixture
async def tortoise(shared_url: str) -> AsyncIterator[str]:
    """Tortoise, connected to that database by one connection; its URL."""
    async with connect(shared_url):
        yield shared_url


MANY_ROWS = """
INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash, created_at)
SELECT 'agent-1', CASE WHEN n % 1000 = 0 THEN 'tiny' ELSE 'giant' END, 'document', n, md5(n::text),
       timestamptz '2020-01-01' + n * interval '1 s'
FROM generate_series(1, 20000) AS n;
ANALYZE memory_records
"""
NEWEST = "SELECT memory_id FROM memory_records WHERE tenant_id = {} ORDER BY created_at DESC LIMIT 10"


@pytest.fixture(scope="module")
def unequal_url(server_url: str, template: str) -> Iterator[str]:
    """A database with a giant tenant and a tiny one."""
    with copied_database(server_url, template, MANY_ROWS) as url:
        yield url


@pytest.fixture
async def as_app(unequal_url: str) -> AsyncIterator[Connection]:
    """The tiny tenant's scope, as plain SQL."""
    async with acting_as("app", unequal_url, "tiny") as connection:
        yield connection


async def _plan(connection: Connection, statement: str) -> str:
    return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN (COSTS OFF) {statement}"))


@pytest.mark.parametrize(
    ("mode", "index"), [("auto", "idx_memory_created"), ("force_custom_plan", "idx_memory_tenant")]
)
async def test_a_plan_kept_from_a_giant_tenant_serves_a_tiny_one(as_app: Connection, mode: str, index: str) -> None:
    """It walks all memories by age for the few that are the tenant's, until a plan is asked for per tenant."""
    await as_app.execute(f"SET LOCAL memory_guild.tenant_id = 'giant'; PREPARE newest(text) AS {NEWEST.format('$1')}")
    for _ in range(6):
        await as_app.execute("EXECUTE newest('giant')")
    await as_app.execute(f"SET LOCAL memory_guild.tenant_id = 'tiny'; SET LOCAL plan_cache_mode = {mode}")

    assert index in await _plan(as_app, "EXECUTE newest('tiny')")


READS: dict[str, tuple[Any, bool]] = {
    "newest": (lambda: MemoryRecord.all().order_by("-created_at").limit(10), True),
    "filter": (lambda: MemoryRecord.filter(agent_id="agent-1", is_deleted=False).limit(10), True),
    "count": (lambda: MemoryRecord.filter(source_type="document").count(), True),
    "all embeddings, joined": (lambda: MemoryEmbedding.all(), True),
    "all edges of a type, joined": (lambda: MemoryRelationship.filter(relationship_type="follows"), True),
    "by key": (lambda: MemoryRecord.get_or_none(memory_id=MISSING), False),
    "by keys": (lambda: MemoryRecord.filter(memory_id__in=[MISSING, ACME_2]), False),
    "embeddings of": (lambda: MemoryEmbedding.filter(memory_id=MISSING), False),
    "edges from": (lambda: MemoryRelationship.filter(source_memory_id=MISSING), False),
}


@pytest.mark.parametrize(("read", "custom"), READS.values(), ids=READS)
async def test_scopes_plan_lists_for_their_tenant_and_reads_by_key_once(
    unequal_url: str, monkeypatch: pytest.MonkeyPatch, read: Any, custom: bool
) -> None:
    """Each tenant's scope uses the same prepared statement on the same connection."""
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "1")
    async with connect(unequal_url):
        for tenant_id in ["giant"] * 10 + ["tiny"] * 10:
            async with tenant_scope(tenant_id):
                await read()
        async with tenant_scope("tiny"):
            connection = current_scope().transaction._connection
            (used,) = await connection.fetch(
                "SELECT generic_plans, custom_plans FROM pg_prepared_statements"
                " WHERE statement LIKE 'SELECT%FROM \"memory_%' AND statement NOT LIKE '%pg_prepared%'"
            )

    assert (used["generic_plans"] == 0) == custom
    assert used["generic_plans"] + used["custom_plans"] == 20


async def test_what_a_scope_sets_for_plans_ends_with_it(tortoise: str) -> None:
    mode = "SELECT current_setting('plan_cache_mode')"
    async with tenant_scope("acme") as scope:
        assert await scope.transaction._connection.fetchval(mode) == "auto"
        await MemoryRecord.get(memory_id=ACME_1)
        assert await scope.transaction._connection.fetchval(mode) == "auto"
        await MemoryRecord.all()
        assert await scope.transaction._connection.fetchval(mode) == "force_custom_plan"
    async with tenant_scope("bolt") as scope:
        assert await scope.transaction._connection.fetchval(mode) == "auto"


# The operators that row-level security lets an index answer are those marked leakproof.
CONDITIONS = [
    ("content_text LIKE 'tex%'", "text_pattern", False),
    ("metadata @> '{\"a\": 1}'", "gin_metadata", False),
    ("to_tsvector('simple', content_text) @@ to_tsquery('simple', 'text')", "gin_words", False),
    ("content_hash = 'x'", "idx_memory_hash", True),
    ("memory_id = '00000000-0000-0000-0000-000000000000'", "memory_records_pkey", True),
    ("created_at < '2020-01-01'", "idx_memory_created", True),
]
EXTRA_INDEXES = """
CREATE INDEX text_pattern ON memory_records (content_text text_pattern_ops);
CREATE INDEX gin_metadata ON memory_records USING gin (metadata);
CREATE INDEX gin_words ON memory_records USING gin (to_tsvector('simple', content_text));
SET LOCAL enable_seqscan = off
"""


@pytest.mark.parametrize(("condition", "index", "leakproof"), CONDITIONS, ids=[index for _, index, _ in CONDITIONS])
async def test_only_leakproof_operators_use_their_index(
    unequal_url: str, condition: str, index: str, leakproof: bool
) -> None:
    query = f"SELECT * FROM memory_records WHERE {condition}"
    async with acting_as("superuser", unequal_url) as connection:
        await connection.execute(EXTRA_INDEXES)
        assert index in await _plan(connection, query)

        await connection.execute("SET LOCAL ROLE memory_guild_app; SET LOCAL memory_guild.tenant_id = 'tiny'")
        assert (index in await _plan(connection, query)) == leakproof
