"""The vectors of neighbors are part of what is searched, truly in the transaction that changes one of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import memory_guild as guild
from memory_guild.database.scope import current_scope
from tests.search.searched_vectors import assert_searched_vectors_are_true, axes, searched_vectors
from tests.search.words import Connection

MODEL, OTHER = "written:down", "another"
MEMORIES = 7
NUMBERS = st.integers(0, MEMORIES - 1)
OPERATIONS = st.lists(
    st.one_of(
        *(
            st.tuples(st.just(operation), NUMBERS, NUMBERS)
            for operation in (
                *("attach", "attach", "attach all", "attach other", "attach past a change"),
                *("follows", "follows", "references", "unrelate", "turn", "turn back", "reverse"),
                *("forget", "restore", "update", "supersede", "delete", "purge", "retire", "unattach"),
            )
        )
    ),
    max_size=18,
)


async def change(memories: list[guild.MemoryRecord], operation: str, one: int, other: int) -> None:
    """Do one of the operations, where it is possible."""
    memory, run = memories[one], current_scope().transaction.execute_query_dict
    present = await guild.MemoryRecord.filter(memory_id__in=[each.memory_id for each in memories], is_deleted=False)
    is_there = any(each.memory_id == memory.memory_id for each in present)
    edges = guild.MemoryRelationship.filter(source_memory_id=memory.memory_id)
    vector = [1.0, one / 10, other / 10, 0.5]
    match operation:
        case "attach" if is_there:
            await guild.embeddings.attach([(memory.memory_id, vector)], model=MODEL)
        case "attach all":
            pairs = [(each.memory_id, [number, one, other, 1]) for number, each in enumerate(present)]
            await guild.embeddings.attach(pairs, model=MODEL)
        case "attach other" if is_there:
            await guild.embeddings.attach([(memory.memory_id, vector[:2])], model=OTHER)
        case "attach past a change" if is_there:
            await guild.embeddings.attach([(memory, vector)], model=MODEL)  # of the text that it had first
        case "follows" | "references" if one != other and is_there and memories[other] in present:
            await guild.relate(memory, memories[other], operation)
        case "unrelate":
            await edges.delete()
        case "turn":
            await edges.exclude(relationship_type="follows").delete()
            await edges.update(relationship_type="supports")
        case "turn back":
            await edges.update(relationship_type="follows")
        case "reverse":
            await run(
                "UPDATE memory_relationships SET source_memory_id = target_memory_id, target_memory_id = $1"
                " WHERE source_memory_id = $1 AND NOT EXISTS ("
                "SELECT FROM memory_relationships AS back WHERE back.target_memory_id = $1)",
                [memory.memory_id],
            )
        case "forget" if is_there:
            await guild.forget(memory)
        case "restore" if await guild.MemoryRecord.exists(memory_id=memory.memory_id):
            await guild.restore(memory)
        case "update" if is_there:
            await guild.update(memory, content_text=f"memory{one} text {other % 2}")
        case "supersede" if is_there:
            await guild.supersede(memory, f"memory{one} superseded by {other}")
        case "delete":
            await guild.MemoryRecord.filter(memory_id=memory.memory_id).delete()
        case "purge":
            await guild.purge(older_than=timedelta(0))
        case "retire" if one == 0:
            await guild.embeddings.retire(MODEL)
        case "unattach":
            await run("DELETE FROM memory_vectors WHERE memory_id = $1", [memory.memory_id])


@pytest.mark.long
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS, st.lists(st.tuples(NUMBERS, NUMBERS), max_size=8), st.booleans())
async def test_after_any_changes_what_is_searched_is_what_is_made_from_scratch(
    search: str,
    past_scopes: Connection,
    operations: list[tuple[str, int, int]],
    edges: list[tuple[int, int]],
    are_attached_first: bool,
) -> None:
    await past_scopes.execute("DELETE FROM memory_records")
    async with guild.tenant_scope("umbrella", agent_id="scribe"):
        theirs = (await guild.remember("memory0", source_type="document")).memory
        await guild.embeddings.attach([(theirs, [0, 0, 0, 1])], model=MODEL)
    async with guild.tenant_scope("acme", agent_id="scribe"):
        memories = [
            (await guild.remember(f"memory{number}", source_type="document")).memory for number in range(MEMORIES)
        ]
        if are_attached_first:
            pairs = [(memory, [number, 1, 2, 3]) for number, memory in enumerate(memories)]
            await guild.embeddings.attach(pairs, model=MODEL)
        for source, target in {(one, other) for one, other in edges if one != other}:
            await guild.relate(memories[source], memories[target], "follows")
    for operation in operations:
        async with guild.tenant_scope("acme", agent_id="scribe"):
            await change(memories, *operation)
    await assert_searched_vectors_are_true(past_scopes, "acme")
    assert list((await searched_vectors(past_scopes, "umbrella")).values()) == [(0, 0, 0, 1)]


@pytest.fixture
async def chain(search: str) -> list[guild.MemoryRecord]:
    """Five memories, each following the one before, and another tenant's; all with vectors."""
    for tenant_id in ("umbrella", "acme"):
        async with guild.tenant_scope(tenant_id, agent_id="scribe"):
            memories = [(await guild.remember(f"turn {number}", source_type="document")).memory for number in range(5)]
            await guild.relate_many(
                {"source_memory_id": later, "target_memory_id": earlier, "relationship_type": "follows"}
                for later, earlier in zip(memories[1:], memories, strict=False)
            )
            await guild.embeddings.attach(zip(memories, axes(5), strict=True), model=MODEL)
    return memories


async def test_a_memory_is_found_by_what_its_neighbors_mean(
    chain: list[guild.MemoryRecord], past_scopes: Connection
) -> None:
    searched = await searched_vectors(past_scopes, "acme")
    length = (1 + 0.3**2 + 0.4**2) ** 0.5
    expected = (0, 0.3 / length, 1 / length, 0.4 / length, 0)
    assert searched[chain[2].memory_id, MODEL] == pytest.approx(expected, abs=1e-3)
    async with guild.tenant_scope("acme"):
        results = await guild.recall("portal", vector=[0, 0, 1, 0, 0], model=MODEL)
    by_vector = sorted(results, key=lambda result: result.vector, reverse=True)
    assert [result.memory for result in by_vector[:3]] == [chain[2], chain[1], chain[3]]
    await assert_searched_vectors_are_true(past_scopes, "umbrella")


@pytest.mark.parametrize(
    "way", ["forget", "forget_where", "purge", "delete", "update", "supersede", "unattach", "retire"]
)
async def test_a_vector_that_is_gone_is_part_of_no_other(
    chain: list[guild.MemoryRecord], past_scopes: Connection, way: str
) -> None:
    secret = chain[2]
    strangers = await past_scopes.fetch("SELECT * FROM memory_vectors WHERE tenant_id = 'umbrella' ORDER BY memory_id")
    assert sum(vector[2] > 0.1 for vector in (await searched_vectors(past_scopes, "acme")).values()) == 3
    async with guild.tenant_scope("acme", agent_id="scribe"):
        run = current_scope().transaction.execute_query_dict
        if way == "forget":
            await guild.forget(secret)
        elif way == "forget_where":
            await guild.forget_where(source_type="document")
        elif way == "purge":
            await guild.forget(secret)
            await guild.purge(older_than=timedelta(0))
        elif way == "delete":
            await guild.MemoryRecord.filter(memory_id=secret.memory_id).delete()
        elif way == "update":
            await guild.update(secret, content_text="another turn")
        elif way == "supersede":
            await guild.supersede(secret, "another turn")
            await guild.forget(secret)
        elif way == "unattach":
            await run("DELETE FROM memory_vectors WHERE memory_id = $1", [secret.memory_id])
        else:
            await guild.embeddings.attach([(chain[0], [1, 0])], model=OTHER)
            await guild.embeddings.retire(MODEL)
        rows = await run(
            "SELECT embedding::text AS numbers FROM memory_vectors WHERE memory_id <> $1 AND embedding_model = $2",
            [secret.memory_id, MODEL],
        )
        assert len(rows) == (0 if way == "retire" else 4)
        assert [row["numbers"].strip("[]").split(",")[2] for row in rows] == ["0"] * len(rows)
    await assert_searched_vectors_are_true(past_scopes, "acme")
    assert strangers == await past_scopes.fetch(
        "SELECT * FROM memory_vectors WHERE tenant_id = 'umbrella' ORDER BY memory_id"
    )


async def test_a_forgotten_memory_that_is_restored_lends_its_vector_again(
    chain: list[guild.MemoryRecord], past_scopes: Connection
) -> None:
    before = await searched_vectors(past_scopes, "acme")
    async with guild.tenant_scope("acme"):
        await guild.forget(chain[1], chain[2])
        await guild.restore(chain[2], chain[1])
    assert await searched_vectors(past_scopes, "acme") == before


async def test_what_a_scope_rolls_back_changes_no_vector(
    chain: list[guild.MemoryRecord], past_scopes: Connection
) -> None:
    before = await searched_vectors(past_scopes, "acme")
    with pytest.raises(ZeroDivisionError):
        async with guild.tenant_scope("acme"):
            await guild.forget(chain[2])
            await guild.embeddings.attach([(chain[1], [1, 1, 1, 1, 1])], model=MODEL)
            raise ZeroDivisionError
    assert await searched_vectors(past_scopes, "acme") == before


async def test_at_most_64_neighbors_of_a_kind_lend_their_vectors(search: str, past_scopes: Connection) -> None:
    async with guild.tenant_scope("acme", agent_id="scribe"):
        question = (await guild.remember("question", source_type="document")).memory
        report = await guild.remember_many(
            {"content_text": f"answer {number}", "source_type": "document"} for number in range(70)
        )
        await guild.relate_many(
            {"source_memory_id": answer.memory_id, "target_memory_id": question, "relationship_type": "follows"}
            for answer in report
        )
        answers = [answer.memory_id for answer in report if answer.memory_id]
        await guild.embeddings.attach(zip([question, *answers], axes(71), strict=True), model=MODEL)
    await assert_searched_vectors_are_true(past_scopes, "acme")
    vector = (await searched_vectors(past_scopes, "acme"))[question.memory_id, MODEL]
    assert sum(number > 0 for number in vector) == 65
