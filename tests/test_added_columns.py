"""A rolling upgrade: a later migration adds a column to each table, and this version of the package goes on.

Some agents connect afterwards; others are at work, and their statements are prepared while the column arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import asyncpg
import pytest

from memory_guild import (
    DataSource,
    MemoryAccessPolicy,
    admin_scope,
    as_of,
    contradictions,
    count,
    fetch_relations,
    find,
    find_all,
    forget,
    forget_where,
    get,
    get_many,
    neighbors,
    path,
    purge,
    relate,
    relate_many,
    remember,
    remember_many,
    restore,
    subgraph,
    supersede,
    tenant_scope,
    traverse,
    unrelate,
    update,
)
from memory_guild.database.connecting import connect
from memory_guild.database.statements import statement
from memory_guild.errors import SchemaChangedError
from memory_guild.models import MemoryEmbedding, MemoryRecord, MemoryRelationship
from memory_guild.types import RELATIONS
from tests.databases import run_statement
from tests.tenancy.two_tenants import ACME_1, ACME_2, ACME_3, ROWS

ADDED = """
ALTER TABLE memory_records ADD COLUMN importance float8 NOT NULL DEFAULT 0.5, ADD COLUMN tags jsonb;
ALTER TABLE memory_embeddings ADD COLUMN dimensions int NOT NULL DEFAULT 3;
ALTER TABLE memory_relationships ADD COLUMN notes jsonb DEFAULT '{}';
ALTER TABLE data_sources ADD COLUMN owner text;
ALTER TABLE memory_access_policies ADD COLUMN priority int NOT NULL DEFAULT 0;
"""


@pytest.fixture
async def upgraded(database_url: str) -> AsyncIterator[None]:
    """Connected to a database that a later version has migrated, with rows of two tenants."""
    await run_statement(database_url, ADDED + ROWS)
    async with connect(database_url):
        yield


async def test_memories_are_read(upgraded: None) -> None:
    async with tenant_scope("acme"):
        expected = vars(await MemoryRecord.get(memory_id=ACME_1))

        assert vars(await get(ACME_1)) == expected
        assert vars((await get_many([ACME_1])).memories[0]) == expected
        found = (await find(relations=RELATIONS)).memories
        assert len(found) == len([memory async for memory in find_all()]) == await count() == 3
        (embedding,) = [embedding for memory in found for embedding in memory.embeddings]
        assert vars(embedding) == vars(await MemoryEmbedding.get())


async def test_memories_are_stored_and_changed(upgraded: None) -> None:
    async with tenant_scope("acme", agent_id="agent-1"):
        remembered = await remember("new", source_type="document")
        assert vars(remembered.memory) == vars(await MemoryRecord.get(content_text="new"))
        assert (await remember("new", source_type="document")).outcome == "existing"
        report = await remember_many({"source_type": "document", "content_text": text} for text in ("new", "newer"))
        assert [outcome.outcome for outcome in report] == ["existing", "created"]
        changed = await update(remembered.memory, content_text="newest")
        assert vars(changed) == vars(await MemoryRecord.get(content_text="newest"))
        assert await forget(changed) == await restore(changed) == 1


async def test_edges_are_stored_and_deleted(upgraded: None) -> None:
    async with tenant_scope("acme"):
        related = await relate(ACME_2, ACME_3, "contradicts", confidence_score=0.5)
        stored = vars(await MemoryRelationship.get(relationship_type="contradicts"))
        assert (related.created, vars(related.edge)) == (True, stored)
        assert vars((await relate(ACME_2, ACME_3, "contradicts")).edge) == stored
        edge = {"source_memory_id": ACME_2, "target_memory_id": ACME_3, "relationship_type": "contradicts"}
        assert [outcome.created for outcome in await relate_many([edge])] == [False]
        (contradiction,) = await contradictions()
        assert vars(contradiction.edge) == stored
        assert await unrelate(ACME_2, ACME_3) == 1


async def test_the_graph_is_walked(upgraded: None) -> None:
    async with tenant_scope("acme"):
        expected, stored = vars(await MemoryRecord.get(memory_id=ACME_2)), vars(await MemoryRelationship.get())

        (step,) = (await traverse(ACME_1)).steps
        assert (vars(step.memory), step.depth, step.confidence) == (expected, 1, 1)
        found = await path(ACME_1, ACME_2)
        assert found is not None
        assert vars(found.memories[1]) == expected
        (neighbor,) = await neighbors(ACME_1)
        assert (vars(neighbor.memory), vars(neighbor.edge)) == (expected, stored)
        drawing = await subgraph(ACME_1)
        assert (vars(drawing.memories[1]), vars(drawing.edges[0])) == (expected, stored)


async def test_a_version_is_superseded(upgraded: None) -> None:
    async with tenant_scope("acme"):
        newer = (await supersede(ACME_1, "a newer version")).memory
        assert [(found.memory, found.edge.relationship_type) for found in await neighbors(newer)] == [
            (await get(ACME_1), "follows")
        ]


NOT_PREPARED = {
    "sources_asked_for",  # a part of another statement, which says what its parameters are
    *("words_asked_for", "worded_memories", "recount_words", "clear_word_counts"),  # what needs the search
    *("count_words", "count_vectors", "count_own_vectors"),
}

STATEMENTS = [
    f"{package}/{path.name.removesuffix('.sql')}"
    for package in ("memories", "graph")
    for path in files("memory_guild").joinpath(package, "sql").iterdir()
    if path.name.endswith(".sql")
    and not path.name.startswith("stage_")
    and path.name.removesuffix(".sql") not in NOT_PREPARED
]


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_prepared_statement_keeps_its_columns(
    connection: asyncpg.Connection[asyncpg.Record], name: str
) -> None:
    await connection.execute(statement("memories/stage_memories"))
    before = await connection.prepare(statement(name))
    columns = [(attribute.name, attribute.type.name) for attribute in before.get_attributes()]
    await connection.execute(ADDED)
    after = await connection.prepare(f"{statement(name)} -- anew")
    assert [(attribute.name, attribute.type.name) for attribute in after.get_attributes()] == columns


async def everything(number: int) -> list[object]:
    """Each verb and each kind of queryset once, on what two tenants have; what it found."""
    found: list[object] = []
    async with tenant_scope("acme", agent_id="agent-9"):
        found += [vars(await get(ACME_1)).keys(), len((await get_many([ACME_2], relations=RELATIONS)).memories)]
        page = await find(limit=2, relations=RELATIONS)
        found += [len(page.memories), len((await find(cursor=page.next_cursor, agent_id="agent-1")).memories)]
        found.append(len([memory async for memory in find_all(source_type="document")]))
        new, outcome = await remember(f"new {number}", source_type="document")
        found += [outcome, (await remember(f"new {number}", source_type="document")).outcome]
        report = await remember_many(
            {"source_type": "document", "content_text": f"{text} {number}"} for text in ("new", "newer", "newest")
        )
        found.append([outcome.outcome for outcome in report])
        await remember_many({"source_type": "document", "content_text": f"{text} {number}"} for text in range(600))
        changed = await update(new, content_text=f"changed {number}")
        found += [changed.metadata, await forget(changed), await restore(changed)]
        found.append((await relate(changed, ACME_1, "supports")).created)
        found.append((await relate(changed, ACME_1, "supports", confidence_score=1, on_existing="increase")).created)
        edge = {"source_memory_id": changed, "target_memory_id": ACME_3, "relationship_type": "contradicts"}
        found.append([outcome.created for outcome in await relate_many([edge])])
        found += [
            len(await neighbors(changed)),
            len(await contradictions(changed)),
            len((await traverse(changed)).steps),
        ]
        found.append(await path(changed, ACME_2) is not None)
        drawing = await subgraph(changed)
        found += [len(drawing.memories), len(drawing.edges), await unrelate(changed, ACME_3)]
        await fetch_relations([changed])
        found += [len(changed.outgoing_edges), len(await as_of(datetime.now(UTC)).filter(memory_id=ACME_1))]
        await supersede(changed, f"superseded {number}")
        found += [
            await forget_where(agent_id="agent-9") > 600,
            await purge(older_than=timedelta(0)) > 600,
        ]

        record = await MemoryRecord.create(source_type="document", content_text=f"created {number}")
        await MemoryEmbedding.create(memory=record, vector_id="v", embedding_model="m")
        record.metadata = {"number": 1}
        await record.save()
        await record.refresh_from_db()
        (stored,) = await MemoryRecord.filter(memory_id=record.memory_id).prefetch_related(
            "embeddings", "outgoing_edges"
        )
        found += [
            vars(stored).keys(),
            len(stored.embeddings),
            await MemoryRecord.all().values_list("agent_id", flat=True),
        ]
        found += [
            await MemoryRelationship.all().select_related("source_memory").count(),
            await DataSource.all().count(),
        ]
        await record.delete()
    async with admin_scope("a test"):
        source = await DataSource.create(source_name=f"source {number}", source_type="api")
        policy = await MemoryAccessPolicy.create(policy_name=f"policy {number}", policy_rules={"rego": ""})
        found += [await DataSource.all().count() - number, await MemoryAccessPolicy.all().count() - number]
        await source.delete()
        await policy.delete()
    found.append(await DataSource.all().count())
    return found


async def test_agents_at_work_do_not_notice_the_column(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "1")
    await run_statement(database_url, ROWS)
    async with connect(database_url):
        first = await everything(0)
        assert await everything(0) == first  # everything is prepared now
        await run_statement(database_url, ADDED)
        assert await everything(0) == first
        await run_statement(database_url, ADDED.replace("ADD COLUMN ", "ADD COLUMN later_"))
        assert await everything(0) == first


async def test_a_change_that_is_noticed_is_worth_a_retry(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "2")
    await run_statement(database_url, ROWS)

    async def work() -> None:
        async with tenant_scope("acme"):
            await get(ACME_1)
            await MemoryRecord.get(memory_id=ACME_1)
            await neighbors(ACME_1)

    async with connect(database_url):
        await asyncio.gather(work(), work())
        for new_type in ("text", "varchar(300)"):
            await run_statement(database_url, f"ALTER TABLE memory_records ALTER COLUMN content_hash TYPE {new_type}")
            outcomes = [(await asyncio.gather(work(), return_exceptions=True))[0] for _ in range(4)]
            for outcome in outcomes[:2]:
                assert type(outcome) in (type(None), SchemaChangedError)
            assert outcomes[2:] == [None, None]
            for _ in range(2):  # outside scopes the driver prepares the statement again by itself
                await DataSource.all()
