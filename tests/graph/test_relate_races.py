"""Edges that several transactions store, raise and delete at the same time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import permutations
from typing import Any

import asyncpg
import pytest

from memory_guild import relate, relate_many
from memory_guild.database.connecting import connect
from memory_guild.errors import TransactionConflictError
from memory_guild.graph import edges
from memory_guild.graph.bulk import EdgeKey, EdgeOutcome, store_edges
from memory_guild.graph.edges import OnExisting, Related
from tests.graph.graphs import Named, acme, edge, edges_in, memories, once_after
from tests.memories.storing import Connection, until_one_waits

INSERT = (
    "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type, confidence_score)"
    " VALUES ($1, $2, 'references', $3) RETURNING relationship_id"
)
RAISE = "UPDATE memory_relationships SET confidence_score = $3 WHERE source_memory_id = $1 AND target_memory_id = $2"
DELETE = "DELETE FROM memory_relationships WHERE source_memory_id = $1 AND target_memory_id = $2"


@pytest.fixture
async def pool(verbs_database_url: str, superuser: Connection, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Tortoise, connected with as many connections as tasks race."""
    monkeypatch.setenv("MEMORY_GUILD_POOL_MAX", "20")
    async with connect(verbs_database_url, check_schema=False):
        yield verbs_database_url


@pytest.fixture
async def named(pool: str) -> Named:
    """Memories that are committed."""
    async with acme():
        return await memories("a", "b", "c", "d")


@pytest.fixture
async def other(pool: str) -> AsyncIterator[Connection]:
    """Somebody else's connection, which a deadlock never takes for its victim: it waits longer before it looks."""
    connection = await asyncpg.connect(pool, server_settings={"deadlock_timeout": "1min"})
    yield connection
    await connection.close()


async def store(named: Named, confidence: float | None = None, on_existing: OnExisting = "keep") -> Related:
    async with acme():
        return await relate(named["a"], named["b"], "references", confidence_score=confidence, on_existing=on_existing)


async def store_many(given: list[dict[str, Any]], on_existing: OnExisting = "keep") -> list[EdgeOutcome]:
    async with acme():
        return await relate_many(given, on_existing=on_existing)


async def test_many_tasks_store_the_same_edge_once(pool: str, named: Named) -> None:
    results = await asyncio.gather(*(store(named) for _ in range(50)))
    assert [result.created for result in results].count(True) == 1
    assert len({result.edge.relationship_id for result in results}) == 1
    assert await edges_in(pool) == [(named["a"], named["b"], "references", None)]


async def test_increases_end_with_the_highest(pool: str, named: Named) -> None:
    scores = [None, *(number / 40 for number in range(40))]
    random.Random(4).shuffle(scores)
    results = await asyncio.gather(*(store(named, score, "increase") for score in scores))

    assert [result.created for result in results].count(True) == 1
    for score, result in zip(scores, results, strict=True):
        assert score is None or (result.edge.confidence_score or 0) >= score
    assert await edges_in(pool) == [(named["a"], named["b"], "references", 39 / 40)]


async def test_batches_of_increases_end_with_the_highest(pool: str, named: Named) -> None:
    chance = random.Random(4)
    pairs = [(source, target) for source in named for target in named if source != target]

    async def increase(number: int) -> list[EdgeOutcome]:
        given = [edge(named, *pair, number / 20) for pair in pairs]
        chance.shuffle(given)
        return await store_many(given, "increase")

    results = await asyncio.gather(*(increase(number) for number in range(20)))
    assert sum(outcome.created for outcomes in results for outcome in outcomes) == len(pairs)
    assert {row[3] for row in await edges_in(pool)} == {19 / 20}


@pytest.mark.parametrize("at_once", [50, 5_000])
async def test_batches_in_any_order_store_each_edge_once(pool: str, at_once: int) -> None:
    """Unsorted, most of these transactions would deadlock; and none of them is run again."""
    async with acme():
        named = await memories(*(f"memory {number}" for number in range(20)))
    given = [(source, target, "references") for source, target in permutations(named.values(), 2)]
    chance = random.Random(4)

    async def store_shuffled() -> dict[EdgeKey, EdgeOutcome]:
        keys = chance.sample(given, len(given))
        async with acme():
            return await store_edges(dict.fromkeys(keys), increase=False, edges_at_once=at_once)

    results = await asyncio.gather(*(store_shuffled() for _ in range(16)))

    assert sum(outcome.created for outcomes in results for outcome in outcomes.values()) == len(given)
    for key in given:
        assert len({outcomes[key].relationship_id for outcomes in results}) == 1
    assert [row[:3] for row in await edges_in(pool)] == sorted(given)


# relate: each of these waits for a transaction that is not over, and the statement that waited does not see its end.


async def test_an_edge_that_another_transaction_commits_is_there(named: Named, other: Connection) -> None:
    async with other.transaction():
        relationship_id = await other.fetchval(INSERT, named["a"], named["b"], 0.5)
        task = asyncio.create_task(store(named, 0.9))
        await until_one_waits(other)
    result = await task
    assert not result.created
    assert (result.edge.relationship_id, result.edge.confidence_score) == (relationship_id, 0.5)


async def test_an_edge_that_another_transaction_commits_is_raised(named: Named, other: Connection) -> None:
    async with other.transaction():
        await other.execute(INSERT, named["a"], named["b"], 0.5)
        task = asyncio.create_task(store(named, 0.9, "increase"))
        await until_one_waits(other)
    result = await task
    assert (result.created, result.edge.confidence_score) == (False, 0.9)


async def test_an_edge_that_another_transaction_undoes_is_created(named: Named, other: Connection) -> None:
    transaction = other.transaction()
    await transaction.start()
    await other.execute(INSERT, named["a"], named["b"], 0.5)
    task = asyncio.create_task(store(named, 0.9))
    await until_one_waits(other)
    await transaction.rollback()
    result = await task
    assert (result.created, result.edge.confidence_score) == (True, 0.9)


@pytest.mark.parametrize(("theirs", "ours", "expected"), [(0.9, 0.5, 0.9), (0.5, 0.9, 0.9), (0.5, 0.5, 0.5)])
async def test_the_confidence_is_the_one_that_is_stored(
    pool: str, named: Named, other: Connection, theirs: float, ours: float, expected: float
) -> None:
    await store(named, 0.25)
    async with other.transaction():
        await other.execute(RAISE, named["a"], named["b"], theirs)
        task = asyncio.create_task(store(named, ours, "increase"))
        await until_one_waits(other)
    result = await task
    assert (result.created, result.edge.confidence_score) == (False, expected)
    assert await edges_in(pool) == [(named["a"], named["b"], "references", expected)]


async def test_an_edge_that_another_transaction_deletes_is_created(pool: str, named: Named, other: Connection) -> None:
    await store(named, 0.25)
    async with other.transaction():
        await other.execute(DELETE, named["a"], named["b"])
        task = asyncio.create_task(store(named, 0.5, "increase"))
        await until_one_waits(other)
    result = await task
    assert (result.created, result.edge.confidence_score) == (True, 0.5)
    assert await edges_in(pool) == [(named["a"], named["b"], "references", 0.5)]


async def test_an_edge_that_is_never_seen_is_a_conflict(
    named: Named, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edges, "ATTEMPTS", 1)
    async with other.transaction():
        await other.execute(INSERT, named["a"], named["b"], 0.5)
        task = asyncio.create_task(store(named))
        await until_one_waits(other)
    with pytest.raises(TransactionConflictError, match="run the scope again"):
        await task


async def test_a_deadlock_is_undone_and_run_again(pool: str, named: Named, other: Connection) -> None:
    (first, second) = sorted([named["c"], named["d"]])
    given = [
        {"source_memory_id": named["a"], "target_memory_id": end, "relationship_type": "references"}
        for end in (first, second)
    ]
    async with other.transaction():
        theirs = await other.fetchval(INSERT, named["a"], second, 0.5)
        task = asyncio.create_task(store_many(given))
        await until_one_waits(other)
        # Now each has what the other one wants; ours is the one that gives way.
        ours = await other.fetchval(INSERT, named["a"], first, 0.5)
    outcomes = await task
    assert outcomes == [EdgeOutcome(ours, created=False), EdgeOutcome(theirs, created=False)]
    assert {row[3] for row in await edges_in(pool)} == {0.5}


@pytest.mark.long
async def test_a_deadlock_that_the_scope_is_part_of_does_not_end(
    pool: str, named: Named, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the scope has locked before, it keeps while the batch is tried again."""
    monkeypatch.setattr("memory_guild.tenancy.ATTEMPTS", 2)
    transaction = other.transaction()
    await transaction.start()
    async with acme():
        await relate(named["a"], named["b"], "references")
        await other.execute(INSERT, named["c"], named["d"], 0.5)
        task = asyncio.create_task(relate_many([edge(named, "b", "c"), edge(named, "c", "d")]))
        await until_one_waits(other)
        theirs = asyncio.create_task(other.execute(INSERT, named["a"], named["b"], 0.5))
        with pytest.raises(TransactionConflictError, match="40P01"):
            await task
        await relate(named["d"], named["a"], "references")
    with pytest.raises(asyncpg.UniqueViolationError):
        await theirs
    await transaction.rollback()
    assert {row[:2] for row in await edges_in(pool)} == {(named["a"], named["b"]), (named["d"], named["a"])}


@pytest.mark.parametrize("on_existing", ["keep", "increase"])
async def test_edges_that_disappear_meanwhile_are_stored_again(
    pool: str, named: Named, other: Connection, monkeypatch: pytest.MonkeyPatch, on_existing: OnExisting
) -> None:
    await store(named, 0.5)

    async def disappear() -> None:
        await other.execute(DELETE, named["a"], named["b"])

    once_after(monkeypatch, "graph/store_edges", disappear)
    outcomes = await store_many([edge(named, "a", "b", 0.25), edge(named, "b", "c", 0.25)], on_existing)
    assert [outcome.created for outcome in outcomes] == [True, True]
    assert {row[3] for row in await edges_in(pool)} == {0.25}


async def test_a_confidence_that_was_raised_meanwhile_stays(
    pool: str, named: Named, other: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(named, 0.25)

    async def increase() -> None:
        await other.execute(RAISE, named["a"], named["b"], 0.9)

    once_after(monkeypatch, "graph/stored_edges", increase)
    outcomes = await store_many([edge(named, "a", "b", 0.5)], "increase")
    assert [outcome.created for outcome in outcomes] == [False]
    assert {row[3] for row in await edges_in(pool)} == {0.9}
