"""What keeps large tenants fast: indexes of their vectors, which change no result, and a refresh of words by key."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest

import memory_guild as guild
from memory_guild.database.scope import current_scope
from memory_guild.errors import InvalidInputError, MemoryGuildError
from memory_guild.schema import indexes
from tests.schema.index_builds import BUILDING, until
from tests.search.words import Connection
from tests.tenancy.logins import AGENT, connected, login

pytestmark = pytest.mark.long

MODEL = "written:down"
DIMENSIONS = 24
HOSTILE = 'it\'s "x" \\ $1 %s\n; DROP TABLE memory_vectors'
STORE = """
INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash, metadata)
SELECT 'agent-' || n % 2, $1, 'document', 'text ' || n, md5('text ' || n), jsonb_build_object('n', n)
FROM generate_series(1, $2::int) AS n
"""
ATTACH = """
INSERT INTO memory_vectors (tenant_id, memory_id, embedding_model, content_hash, is_current, embedding)
SELECT tenant_id, memory_id, $2, content_hash, true, memory_guild_vector(($3::text[])[(metadata ->> 'n')::int])
FROM memory_records WHERE tenant_id = $1
"""
EXACTLY = """
SELECT memory_id FROM memory_vectors
WHERE tenant_id = $1 AND embedding_model = $2 AND is_current
ORDER BY memory_guild_likeness(embedding, memory_guild_vector($3)) DESC LIMIT $4
"""


def vectors_in_clusters(count: int, seed: int) -> list[list[float]]:
    """Vectors of length 1 around 20 centers, the same ones for every seed."""
    centers, chance = random.Random(0), random.Random(seed)
    around = [[centers.gauss(0, 1) for _ in range(DIMENSIONS)] for _ in range(20)]
    drawn = [[number + chance.gauss(0, 0.6) for number in chance.choice(around)] for _ in range(count)]
    return [[number / math.hypot(*vector) for number in vector] for vector in drawn]


async def fill(connection: Connection, tenant_id: str, count: int, *, model: str = MODEL, seed: int = 1) -> None:
    """Give a tenant memories with vectors, past the scopes."""
    texts = [str(vector) for vector in vectors_in_clusters(count, seed)]
    await connection.execute(STORE, tenant_id, len(texts))
    await connection.execute(ATTACH, tenant_id, model, texts)


async def build(url: str, *, min_vectors: int = 100) -> list[str]:
    """Build what is missing; the outcomes of the indexes of vectors."""
    names = [index.name for index in await vector_indexes(url, min_vectors)]
    changes = await indexes.create(url, names=names, min_vectors=min_vectors) if names else []
    return [change.outcome for change in changes]


async def vector_indexes(url: str, min_vectors: int = 100) -> list[indexes.VectorIndex]:
    """The indexes of vectors that are there or missing."""
    found = await indexes.recommend(url, min_vectors=min_vectors)
    return [index for index in found if isinstance(index, indexes.VectorIndex)]


@asynccontextmanager
async def counted_scans(name: str) -> AsyncIterator[list[int]]:
    """In a scope, with a planner that follows an index where it can; in the end how often it was scanned inside."""
    transaction = current_scope().transaction
    scans: list[int] = []
    async with transaction.driver() as driver:
        await driver.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        before = await driver.fetchval("SELECT pg_stat_get_xact_numscans($1::text::regclass)", name)
    yield scans
    async with transaction.driver() as driver:
        scans.append(await driver.fetchval("SELECT pg_stat_get_xact_numscans($1::text::regclass)", name) - before)


async def recalled(question: list[float], limit: int = 10, **conditions: object) -> list[UUID]:
    """What an agent finds by a vector alone."""
    results = await guild.recall("portal", vector=question, model=MODEL, limit=limit, **conditions)  # type: ignore[arg-type]
    return [result.memory_id for result in results]


@pytest.fixture
async def large(search: str, past_scopes: Connection) -> str:
    """A tenant with 400 vectors and an index for them, and another with as many and none; the index's name."""
    await fill(past_scopes, "acme", 400)
    await fill(past_scopes, "umbrella", 99)
    assert await build(search) == ["created"]
    (index,) = await vector_indexes(search)
    await past_scopes.execute("ANALYZE memory_vectors")
    return index.name


async def test_recall_follows_the_index_and_leaves_no_setting(large: str) -> None:
    (question,) = vectors_in_clusters(1, seed=2)
    async with guild.tenant_scope("acme"):
        async with counted_scans(large) as scans:
            assert len(await recalled(question)) == 10
        async with current_scope().transaction.driver() as driver:
            settings = await driver.fetchrow(
                "SELECT current_setting('hnsw.ef_search'), current_setting('hnsw.iterative_scan'),"
                " current_setting('hnsw.max_scan_tuples')"
            )
    assert scans == [1]
    assert settings is not None
    assert [*settings] == ["40", "off", "20000"]


async def test_there_are_as_many_results_as_without_the_index(large: str, past_scopes: Connection) -> None:
    (question,) = vectors_in_clusters(1, seed=3)
    async with guild.tenant_scope("acme"), counted_scans(large):
        for limit in (1, 20, 100, 101, 399, 400, 401, 500, 501):
            assert len(set(await recalled(question, limit))) == min(limit, 400)
        assert len(await recalled(question, 300, agent_id="agent-1")) == 200
        assert len(await recalled(question, 50, metadata={"n": {"$lte": 7}})) == 7
    await past_scopes.execute("DELETE FROM memory_vectors WHERE tenant_id = 'acme' AND md5(memory_id::text) > '2'")
    left = await past_scopes.fetchval("SELECT count(*) FROM memory_vectors WHERE tenant_id = 'acme'")
    async with guild.tenant_scope("acme"), counted_scans(large):
        assert len(await recalled(question, 400)) == left  # the entries of the others are still in the index


async def test_forgotten_changed_and_foreign_memories_do_not_come_back(large: str) -> None:
    (question,) = vectors_in_clusters(1, seed=4)
    async with guild.tenant_scope("umbrella"):
        theirs = set(await recalled(question, 500))
    async with guild.tenant_scope("acme"), counted_scans(large) as scans:
        first, second, third, *_ = await recalled(question)
        await guild.forget(first)
        await guild.update(second, content_text="another text")
        found = await recalled(question, 500)
        assert {first, second} & set(found) == set()
        assert third in found
        assert theirs & set(found) == set()
        await guild.restore(first)
        assert (await recalled(question))[0] == first
    assert scans == [3]
    assert len(theirs) == 99


async def test_the_index_finds_what_looking_at_every_vector_finds(search: str, past_scopes: Connection) -> None:
    await fill(past_scopes, "acme", 3000)
    await build(search, min_vectors=3000)
    (index,) = await vector_indexes(search, 3000)
    found = 0
    async with guild.tenant_scope("acme"), counted_scans(index.name) as scans:
        for question in vectors_in_clusters(50, seed=5):
            exactly = [row[0] for row in await past_scopes.fetch(EXACTLY, "acme", MODEL, str(question), 20)]
            found += len({*exactly} & {*await recalled(question, 20)})
    assert scans == [50]
    assert found >= 0.97 * 50 * 20


async def test_names_are_never_taken_for_sql(search: str, past_scopes: Connection) -> None:
    await fill(past_scopes, HOSTILE, 120, model=HOSTILE[:40])
    (index,) = await vector_indexes(search)
    assert "\n" not in index.purpose
    assert await build(search) == ["created"]
    assert [found.state for found in await vector_indexes(search)] == ["valid"]
    async with guild.tenant_scope(HOSTILE), counted_scans(index.name) as scans:
        (question,) = vectors_in_clusters(1, seed=6)
        assert len(await guild.recall("portal", vector=question, model=HOSTILE[:40], limit=100)) == 100
    assert scans == [1]


async def test_an_interrupted_build_is_repaired_and_validate_accepts_the_index(
    search: str, past_scopes: Connection
) -> None:
    await fill(past_scopes, "acme", 120)
    async with connected(search) as writer:
        await writer.execute("BEGIN; LOCK TABLE memory_vectors IN ROW EXCLUSIVE MODE")
        async with connected(search) as builder:
            (index,) = await vector_indexes(search)
            building = builder.get_server_pid()
            task = asyncio.create_task(builder.execute(index.statements[2]))
            await until(past_scopes, BUILDING)
            await past_scopes.execute("SELECT pg_cancel_backend($1)", building)
            with pytest.raises(asyncpg.QueryCanceledError):
                await task
    assert [found.state for found in await vector_indexes(search)] == ["invalid"]
    assert await build(search) == ["repaired"]
    assert await build(search) == ["kept"]
    assert (await guild.schema.validate(search)).differences == ()


async def test_the_doctor_names_large_tenants_and_indexes_that_nobody_needs(
    search: str, past_scopes: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(past_scopes, "acme", 120)
    monkeypatch.setattr(indexes.vector_indexes, "__defaults__", (100,))
    (index,) = await vector_indexes(search)
    (told,) = [finding for finding in await guild.schema.doctor(search) if finding.subject == "large tenants"]
    assert told.detail == f'recall looks at every vector of "acme" by the model "{MODEL}", 120 vectors'
    assert told.mend == f"run `memory-guild indexes create {index.name}`"

    await build(search)
    async with guild.tenant_scope("acme"):
        await guild.embeddings.retire(MODEL)
    (told,) = [finding for finding in await guild.schema.doctor(search) if finding.subject == "indexes of vectors"]
    assert told.mend == f"run `memory-guild indexes drop {index.name}`"
    assert [(found.state, found.statements) for found in await vector_indexes(search)] == [("leftover", ())]
    # A model with other dimensions may follow, and has an index of its own.
    async with guild.tenant_scope("acme"):
        (memory,) = await guild.find(limit=1)
        assert await guild.embeddings.attach([(memory, [1, 0])], model=MODEL) == 1
        assert len(await guild.recall("portal", vector=[1, 1], model=MODEL)) == 1
    assert await indexes.drop(search, names=[index.name]) == [(index.name, "dropped")]
    assert await vector_indexes(search) == []


async def test_who_may_not_see_all_tenants_sees_none_of_their_names(search: str, past_scopes: Connection) -> None:
    await fill(past_scopes, "acme", 120)
    async with login(search, AGENT) as url:
        assert await vector_indexes(url) == []
        with pytest.raises(MemoryGuildError):
            await indexes.create(url, min_vectors=100)


@pytest.mark.parametrize("min_vectors", [0, -1, 1.5, True, None])
async def test_a_number_of_vectors_that_is_none(database_url: str, min_vectors: object) -> None:
    with pytest.raises(InvalidInputError, match="min_vectors"):
        await indexes.recommend(database_url, min_vectors=min_vectors)  # type: ignore[arg-type]


async def test_a_new_edge_does_not_read_the_words_of_the_whole_tenant(search: str, past_scopes: Connection) -> None:
    await past_scopes.execute(STORE, "acme", 400)
    await past_scopes.execute("VACUUM ANALYZE memory_words")
    async with guild.tenant_scope("acme"):
        first, second = await guild.find(limit=2)
        await guild.relate(first, second, "follows")
        async with current_scope().transaction.driver() as driver:
            scans = await driver.fetchval(
                "SELECT sum(pg_stat_get_xact_numscans(inhrelid)) FROM pg_inherits"
                " WHERE inhparent = 'memory_words'::regclass"
            )
    assert scans == 0


async def test_recall_does_not_read_the_rows_of_other_tenants(search: str, past_scopes: Connection) -> None:
    """A scan of the whole partition looks cheap where a tenant has a tenth of it, and reads ten times as much."""
    tables = await past_scopes.fetchval(
        "SELECT array_agg(inhrelid) FROM pg_inherits"
        " WHERE inhparent IN ('memory_words'::regclass, 'memory_vectors'::regclass)"
    )
    for tenant_id in ("acme", "umbrella"):
        await past_scopes.execute(STORE, tenant_id, 100)
    await past_scopes.execute("VACUUM ANALYZE memory_words, memory_vectors")
    async with guild.tenant_scope("acme"):
        assert await guild.recall("anything", vector=[0.6, 0.8], model="model") is not None
        async with current_scope().transaction.driver() as driver:
            scans = await driver.fetchval(
                "SELECT sum(pg_stat_get_xact_numscans(id)) FROM unnest($1::oid[]) AS id", tables
            )
    assert scans == 0


async def test_recall_follows_the_index_in_a_sealed_database(
    database_url: str, has_vectors: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")
    await guild.upgrade(database_url, search=True)
    async with connected(database_url) as past_scopes:
        await fill(past_scopes, "acme", 120)
        await fill(past_scopes, "umbrella", 120)
    assert await build(database_url) == ["created", "created"]
    monkeypatch.setenv("MEMORY_GUILD_SEAL_KEY", await guild.schema.seal(database_url))
    (question,) = vectors_in_clusters(1, seed=7)
    async with guild.connect(database_url), guild.tenant_scope("acme"):
        async with current_scope().transaction.driver() as driver:
            name = await driver.fetchval("SELECT memory_guild_vectors_index('acme', $1, $2)", MODEL, DIMENSIONS)
        async with counted_scans(name) as scans:
            results = await guild.recall("portal", vector=question, model=MODEL, limit=200)
    assert scans == [1]
    assert {result.tenant_id for result in results} == {"acme"}
    assert len(results) == 120
