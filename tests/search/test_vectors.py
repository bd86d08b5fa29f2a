"""`recall` with vectors: the fused score, several models, conditions, other tenants."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest

import memory_guild as guild
from memory_guild.database.scope import current_scope
from memory_guild.errors import (
    InvalidInputError,
    MemoryNotFoundError,
    ScopeError,
    TenantMismatchError,
    TenantNotSetError,
    UnknownMemoryError,
)
from tests.search.models import WrittenDown
from tests.search.words import Connection

MODEL = "written:down"
VECTORS = {"door": [1.0, 0.0, 0.0], "gate": [0.8, 0.6, 0.0], "cat": [0.0, 1.0, 0.0], "portal": [2.0, 0.1, 0.0]}


async def remember(text: str, **others: object) -> guild.MemoryRecord:
    """Store a text."""
    return (await guild.remember(text, source_type="document", **others)).memory  # type: ignore[arg-type]


@pytest.fixture
async def house(search: str) -> dict[str, guild.MemoryRecord]:
    """Three memories with vectors, and beside them another tenant's with the same ones."""
    for tenant_id in ("umbrella", "acme"):
        async with guild.tenant_scope(tenant_id, agent_id="scribe"):
            memories = {
                "door": await remember("The door is red.", metadata={"page": 1}),
                "gate": await remember("The gate squeaks.", metadata={"page": 2}),
                "cat": await remember("A cat sleeps.", agent_id="dreamer"),
            }
            pairs = [(memory, VECTORS[word]) for word, memory in memories.items()]
            assert await guild.embeddings.attach(pairs, model=MODEL) == 3
    return memories


async def test_a_memory_is_found_by_its_vector_alone(house: dict[str, guild.MemoryRecord]) -> None:
    async with guild.tenant_scope("acme"):
        assert list(await guild.recall("portal")) == []
        results = await guild.recall("portal", vector=VECTORS["portal"], model=MODEL)
    assert [result.memory for result in results] == [house["door"], house["gate"], house["cat"]]
    assert [result.lexical for result in results] == [0, 0, 0]
    assert results[0].own_words == ()


async def test_the_score_is_that_of_a_plain_reference(house: dict[str, guild.MemoryRecord]) -> None:
    async with guild.tenant_scope("acme"):
        plain = {result.memory_id: result for result in await guild.recall("a red door, a squeaking gate")}
        question = [0.6, 0.8, 0.0]
        results = await guild.recall("a red door, a squeaking gate", vector=question, model=MODEL)
    likeness = {
        memory.memory_id: sum(one * other for one, other in zip(question, VECTORS[word], strict=True))
        for word, memory in house.items()
    }
    least, most = min(likeness.values()), max(likeness.values())
    assert len(results) == 3
    for result in results:
        lexical = 0.7 * plain[result.memory_id].lexical if result.memory_id in plain else 0.0
        vector = 0.3 * (likeness[result.memory_id] - least) / (most - least)
        assert result.lexical == pytest.approx(lexical)
        assert result.vector == pytest.approx(vector, abs=1e-3)
        assert result.score == pytest.approx(lexical + vector + sum(result.flags.values()), abs=1e-3)
    assert [result.score for result in results] == sorted((result.score for result in results), reverse=True)


async def test_without_a_vector_the_words_count_as_before(house: dict[str, guild.MemoryRecord]) -> None:
    async with guild.tenant_scope("acme"):
        (result,) = await guild.recall("doors")
        assert (result.lexical, result.vector) == (1, 0)
        # A model that has no vectors here changes nothing.
        (result,) = await guild.recall("doors", vector=[1, 0], model="another")
        assert (result.lexical, result.vector) == (1, 0)


async def test_a_vector_that_is_the_only_one_counts_in_full(search: str) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        memory = await remember("The door is red.")
        await guild.embeddings.attach([(memory, [1, 0])], model=MODEL)
        (result,) = await guild.recall("portal", vector=[1, 1], model=MODEL)
        assert (result.lexical, result.vector) == (0, 0.3)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, ["door", "gate", "cat"]),
        ({"agent_id": "dreamer"}, ["cat"]),
        ({"source_type": "conversation"}, []),
        ({"source_type": ["document", "conversation"]}, ["door", "gate", "cat"]),
        ({"metadata": {"page": {"$gte": 2}}}, ["gate"]),
        ({"metadata": {"page": {"$exists": False}}}, ["cat"]),
        ({"created_before": datetime(2020, 1, 1, tzinfo=UTC)}, []),
        ({"created_from": datetime(2020, 1, 1, tzinfo=UTC)}, ["door", "gate", "cat"]),
    ],
)
async def test_conditions_hold_for_what_vectors_find_too(
    house: dict[str, guild.MemoryRecord], conditions: dict[str, object], expected: list[str]
) -> None:
    async with guild.tenant_scope("acme"):
        results = await guild.recall("portal", vector=VECTORS["portal"], model=MODEL, **conditions)  # type: ignore[arg-type]
        assert [result.memory for result in results] == [house[word] for word in expected]


async def test_changed_and_forgotten_memories_are_not_found_by_their_old_vectors(
    house: dict[str, guild.MemoryRecord],
) -> None:
    async def found() -> list[str]:
        results = await guild.recall("portal", vector=VECTORS["portal"], model=MODEL)
        return [result.content_text for result in results]

    async with guild.tenant_scope("acme", agent_id="scribe"):
        await guild.update(house["door"], content_text="The window is open.")
        assert await found() == ["The gate squeaks.", "A cat sleeps."]
        await guild.forget(house["gate"])
        assert await found() == ["A cat sleeps."]
        await guild.restore(house["gate"])
        await guild.update(house["door"], content_text="The door is red.")
        assert await found() == ["The door is red.", "The gate squeaks.", "A cat sleeps."]
        await guild.update(house["door"], metadata={"page": 3})
        await guild.MemoryRecord.filter(memory_id=house["cat"].memory_id).delete()
        assert await found() == ["The door is red.", "The gate squeaks."]


async def test_models_stand_side_by_side(house: dict[str, guild.MemoryRecord]) -> None:
    async with guild.tenant_scope("acme"):
        await guild.embeddings.attach([(house["cat"], [1, 0])], model="other:model")
        found = await guild.recall("portal", vector=[1, 0], model="other:model")
        assert [result.memory for result in found] == [house["cat"]]
        assert len(await guild.recall("portal", vector=[1, 0, 0], model=MODEL)) == 3


async def test_there_are_as_many_results_as_the_limit_where_there_are_so_many(search: str) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        report = await guild.remember_many(
            {"content_text": f"note {number}", "source_type": "document"} for number in range(300)
        )
        likenesses = [1 - number / 300 for number in range(300)]
        pairs = [(one, [like, math.sqrt(1 - like**2)]) for one, like in zip(report, likenesses, strict=True)]
        assert await guild.embeddings.attach(pairs, model=MODEL) == 300
        results = await guild.recall("portal", vector=[1, 0], model=MODEL, limit=250)
        assert [result.content_text for result in results[:149]] == [f"note {number}" for number in range(149)]
        assert len(results) == 250
        assert [result.vector for result in results[149:]] == [0] * 101


@pytest.mark.parametrize(
    ("vector", "reason"),
    [
        ("1,2", "must be a list of numbers, not str"),
        (1.0, "must be a list of numbers, not float"),
        ([], "must have from 1 to 16,000 numbers"),
        ([1.0] * 16_001, "must have from 1 to 16,000 numbers"),
        ([1.0, "2"], "must be a list of numbers and nothing else"),
        ([[1.0], [2.0]], "must be a list of numbers and nothing else"),
        ([True, 1.0], "must be a list of numbers and nothing else"),
        ([0.0, 0.0], "must have a number that is not 0; a vector of zeros is like nothing"),
        ([math.nan, 1.0], "must have finite numbers, and not too large ones"),
        ([math.inf, 1.0], "must have finite numbers, and not too large ones"),
        ([10**400, 1], "must have finite numbers, and not too large ones"),
        ([1e308, 1e308, 1e308, 1e308], "must have finite numbers, and not too large ones"),
        (
            [1.0, 2.0],
            "has 2 numbers, and the vectors of this model have 3; name another model, or retire this one first",
        ),
    ],
)
async def test_a_vector_that_cannot_be_used_is_refused(
    house: dict[str, guild.MemoryRecord], vector: object, reason: str
) -> None:
    async with guild.tenant_scope("acme"):
        with pytest.raises(InvalidInputError) as refused:
            await guild.recall("portal", vector=vector, model=MODEL)  # type: ignore[arg-type]
        assert str(refused.value) == f"vector: {reason}"
        with pytest.raises(InvalidInputError) as refused:
            await guild.embeddings.attach([(house["door"], vector)], model=MODEL)  # type: ignore[list-item]
        assert str(refused.value) == f"vectors[0]: {reason}"
        assert len(await guild.recall("portal", vector=[1, 0, 0], model=MODEL)) == 3


async def test_a_vector_needs_its_model_and_a_model_its_vector(search: str) -> None:
    async with guild.tenant_scope("acme"):
        with pytest.raises(InvalidInputError) as refused:
            await guild.recall("portal", vector=[1, 0, 0])
        assert str(refused.value) == "model: is required: the name of the model that made the vector"
        with pytest.raises(InvalidInputError) as refused:
            await guild.recall("portal", model=MODEL)
        assert str(refused.value) == "model: names the model of a vector; give vector= too, or leave both out"


async def test_the_embedder_of_the_database_embeds_the_question(search_url: str) -> None:
    embedder = WrittenDown(VECTORS)
    async with guild.connect(search_url, embedder=embedder):
        async with guild.tenant_scope("acme", agent_id="scribe"):
            memory = await remember("The door is red.")
            await guild.embeddings.attach([(memory, VECTORS["door"])], model=MODEL)
            assert embedder.asked == []
            (result,) = await guild.recall("portal")
            assert embedder.asked == ["portal"]
            assert result.vector == 0.3
            (result,) = await guild.recall("any", vector=[1, 0, 0])  # the model is the embedder's
        assert result.vector == 0.3
        (result,) = await guild.recall("portal", tenant_id="acme")
        assert result.vector == 0.3


async def test_a_remote_embedder_is_not_called_inside_a_scope(search_url: str) -> None:
    embedder = WrittenDown(VECTORS, is_local=False)
    async with guild.connect(search_url, embedder=embedder):
        async with guild.tenant_scope("acme", agent_id="scribe"):
            memory = await remember("The door is red.")
            await guild.embeddings.attach([(memory, VECTORS["door"])], model=MODEL)
            with pytest.raises(ScopeError) as refused:
                await guild.recall("portal")
            assert str(refused.value) == (
                "written:down is called over the network, and a scope is open meanwhile; embed the question before and"
                " pass vector=, or call recall outside the scope with tenant_id="
            )
            with pytest.raises(ScopeError):
                await guild.recall("portal", tenant_id="acme")
            assert embedder.asked == []
            assert len(await guild.recall("portal", vector=[1, 0, 0])) == 1
        (result,) = await guild.recall("portal", tenant_id="acme")
        assert result.memory == memory


async def test_outside_a_scope_recall_opens_its_own(house: dict[str, guild.MemoryRecord]) -> None:
    (result,) = await guild.recall("doors", tenant_id="acme")
    assert result.memory == house["door"]
    assert await guild.recall("doors", tenant_id="nobody") == []
    with pytest.raises(TenantNotSetError):
        await guild.recall("doors")
    async with guild.tenant_scope("acme"):
        assert len(await guild.recall("doors", tenant_id="acme")) == 1
        with pytest.raises(TenantMismatchError) as refused:
            await guild.recall("doors", tenant_id="umbrella")
        assert str(refused.value) == ("the scope is another tenant's; leave tenant_id out, or recall outside the scope")


# --- other tenants ----------------------------------------------------------------------------------------------

STORE = """
INSERT INTO memory_vectors (tenant_id, memory_id, embedding_model, content_hash, is_current, embedding)
SELECT $1, $2, 'm', repeat('0', 32), true, '[1,0]' RETURNING is_current
"""


async def test_a_row_of_another_tenants_memory_is_refused_as_one_that_does_not_exist(
    house: dict[str, guild.MemoryRecord], past_scopes: Connection
) -> None:
    theirs = await past_scopes.fetchval("SELECT memory_id FROM memory_records WHERE tenant_id = 'umbrella' LIMIT 1")
    before = await past_scopes.fetch("SELECT * FROM memory_vectors ORDER BY tenant_id, memory_id")
    errors = []
    for memory_id in (theirs, UUID(int=5)):
        async with guild.tenant_scope("acme"):
            with pytest.raises(MemoryNotFoundError) as missing:
                await guild.embeddings.attach([(house["door"], [1, 0, 0]), (memory_id, [1, 0, 0])], model=MODEL)
            assert missing.value.memory_ids == (memory_id,)
        with pytest.raises(UnknownMemoryError) as refused:
            async with guild.tenant_scope("acme"):
                await current_scope().transaction.execute_query_dict(STORE, ["acme", memory_id])
        errors.append((str(refused.value), refused.value.constraint, refused.value.table))
    assert errors[0] == errors[1]
    assert await past_scopes.fetch("SELECT * FROM memory_vectors ORDER BY tenant_id, memory_id") == before


async def test_nobody_writes_or_reads_another_tenants_vectors(
    house: dict[str, guild.MemoryRecord], past_scopes: Connection
) -> None:
    theirs = await past_scopes.fetchval("SELECT memory_id FROM memory_records WHERE tenant_id = 'umbrella' LIMIT 1")
    async with guild.tenant_scope("acme"):
        run = current_scope().transaction.execute_query_dict
        for table in ("memory_vectors", "memory_own_vectors", "memory_vector_models"):
            assert await run(f"SELECT DISTINCT tenant_id FROM {table}") == [{"tenant_id": "acme"}]
            assert await run(f"DELETE FROM {table} WHERE tenant_id = 'umbrella' RETURNING tenant_id") == []
        assert await run("UPDATE memory_vectors SET embedding = '[1]' WHERE tenant_id <> 'acme' RETURNING 1") == []
    for refused in (
        f"UPDATE memory_vectors SET memory_id = '{theirs}'",
        "UPDATE memory_vectors SET tenant_id = 'umbrella'",
        "UPDATE memory_own_vectors SET tenant_id = 'umbrella'",
        f"UPDATE memory_own_vectors SET memory_id = '{theirs}'",
        f"INSERT INTO memory_own_vectors VALUES ('acme', '{theirs}', 'm', repeat('0', 32), '[1,0]')",
        "INSERT INTO memory_vector_models VALUES ('umbrella', 'm', 2)",
        "UPDATE memory_vector_models SET tenant_id = 'umbrella'",
    ):
        with pytest.raises(guild.MemoryGuildError):
            async with guild.tenant_scope("acme"):
                await current_scope().transaction.execute_query_dict(refused)
    assert await past_scopes.fetchval("SELECT count(*) FROM memory_vectors WHERE tenant_id = 'umbrella'") == 3
    assert await past_scopes.fetchval("SELECT count(*) FROM memory_own_vectors WHERE tenant_id = 'umbrella'") == 3


async def test_nobody_mixes_another_tenants_vectors_into_their_own(
    house: dict[str, guild.MemoryRecord], past_scopes: Connection
) -> None:
    query = "SELECT memory_id FROM memory_records WHERE tenant_id = 'umbrella'"
    theirs = [row["memory_id"] for row in await past_scopes.fetch(query)]
    before = await past_scopes.fetch("SELECT * FROM memory_vectors ORDER BY tenant_id, memory_id")
    async with guild.tenant_scope("acme"):
        run = current_scope().transaction.execute_query_dict
        for tenant_id in ("acme", "umbrella"):
            await run("SELECT memory_guild_refresh_vectors($1, $2::uuid[], $2::uuid[])", [tenant_id, theirs])
    # What bypasses the policies cannot do it either.
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await past_scopes.execute(
            "INSERT INTO memory_own_vectors VALUES ('acme', $1, 'm', repeat('0', 32), '[1,0]')", theirs[0]
        )
    assert await past_scopes.fetch("SELECT * FROM memory_vectors ORDER BY tenant_id, memory_id") == before


async def test_nobody_can_say_that_a_vector_is_current(house: dict[str, guild.MemoryRecord]) -> None:
    async with guild.tenant_scope("acme"):
        run = current_scope().transaction.execute_query_dict
        assert await run(STORE, ["acme", house["door"].memory_id]) == [{"is_current": False}]
        await run("UPDATE memory_vectors SET is_current = true")
        assert await guild.recall("portal", vector=[1, 0], model="m") == []


async def test_the_partitions_are_out_of_reach(house: dict[str, guild.MemoryRecord]) -> None:
    with pytest.raises(guild.MemoryGuildError):
        async with guild.tenant_scope("acme"):
            await current_scope().transaction.execute_query_dict("SELECT * FROM memory_vectors_0")


@pytest.mark.parametrize("sealed_first", [True, False])
async def test_in_a_sealed_database_no_statement_sees_strangers_vectors(
    database_url: str, has_vectors: bool, monkeypatch: pytest.MonkeyPatch, *, sealed_first: bool
) -> None:
    if not has_vectors:
        pytest.skip("this server has no pgvector 0.7 or newer")

    async def seal() -> None:
        monkeypatch.setenv("MEMORY_GUILD_SEAL_KEY", await guild.schema.seal(database_url))

    if sealed_first:
        await seal()
    await guild.upgrade(database_url, search=True)
    if not sealed_first:
        await seal()
    async with guild.connect(database_url):
        for tenant_id in ("umbrella", "acme"):
            async with guild.tenant_scope(tenant_id, agent_id="scribe"):
                door = await remember("The door is red.")
                await guild.embeddings.attach([(door, [1, 0])], model=MODEL)
        async with guild.tenant_scope("acme", agent_id="scribe"):
            run = current_scope().transaction.execute_query_dict
            await run("SELECT set_config('memory_guild.tenant_id', 'umbrella', true)")
            assert await run("SELECT tenant_id FROM memory_vectors") == []
        async with guild.tenant_scope("acme", agent_id="scribe"):
            (result,) = await guild.recall("portal", vector=[1, 0], model=MODEL)
            assert result.memory == door
            await guild.update(door, content_text="a window")
            assert await guild.recall("portal", vector=[1, 0], model=MODEL) == []
            assert await guild.embeddings.stale(MODEL) == [door]
            assert await guild.embeddings.retire(MODEL) == 1
    assert (await guild.schema.validate(database_url)).differences == ()
    await guild.schema.unseal(database_url)
    monkeypatch.delenv("MEMORY_GUILD_SEAL_KEY")
    assert (await guild.schema.validate(database_url)).differences == ()
    async with guild.connect(database_url), guild.tenant_scope("umbrella"):
        assert len(await guild.recall("portal", vector=[1, 0], model=MODEL)) == 1
