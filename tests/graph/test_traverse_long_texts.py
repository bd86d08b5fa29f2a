"""Walks through memories whose texts are too long to be carried along: they are read at the end."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from functools import partial
from string import ascii_letters
from uuid import UUID

import pytest

from memory_guild import forget, get, path, relate_many, subgraph, traverse, update
from memory_guild.database.scope import Scope
from memory_guild.database.statements import Statement
from memory_guild.models import MemoryRecord
from tests.graph.graphs import Named, acme, edge, memories, once_after, statements_of

pytestmark = pytest.mark.usefixtures("shared_database")


def long(text: str) -> str:
    """A text that cannot be made short."""
    return text + "".join(random.Random(text).choices(ascii_letters, k=20_000))


async def chain() -> Named:
    """From a by b and c to d; c has a long text, d has long metadata."""
    stored = await memories("a", "b", long("c"), "d")
    named = Named(zip("abcd", stored.values(), strict=True))
    await update(named["d"], metadata={"long": long("d")})
    await relate_many([edge(named, "a", "b"), edge(named, "b", "c", 0.5), edge(named, "c", "d", 0.5)])
    return named


async def test_the_memories_are_whole() -> None:
    async with acme() as scope:
        named = await chain()
        async with statements_of(scope) as sent:
            steps = (await traverse(named["a"])).steps
        assert len(sent) == 2
        assert [vars(step.memory) for step in steps] == [vars(await get(named[name])) for name in "bcd"]
        assert [(step.depth, "".join(named.of(step.path)), step.confidence) for step in steps] == [
            (1, "ab", 1),
            (2, "abc", 0.5),
            (3, "abcd", 0.25),
        ]


async def test_the_start_may_be_one_of_them() -> None:
    async with acme():
        named = await chain()
        around = await subgraph(named["c"], max_hops=1)
        found = await path(named["c"], named["d"])
        assert vars(around.memories[0]) == vars(await get(named["c"]))
        assert sorted(named.of(around.memories)) == ["b", "c", "d"]
        assert sorted(named.ends(around.edges)) == [("b", "c"), ("c", "d")]
        assert found is not None
        assert named.of(found.memories) == ["c", "d"]


async def test_short_texts_need_one_statement() -> None:
    async with acme() as scope:
        named = await chain()
        async with statements_of(scope) as sent:
            assert named.of(step.memory for step in (await traverse(named["a"], max_hops=1)).steps) == ["b"]
        assert len(sent) == 1


async def pages_of_a_walk(scope: Scope, start: UUID) -> int:
    """How many pages the walk's statement reads that ends at the first memory."""
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {Statement('graph/traverse_memories').text}"
    plan = await scope.transaction.session.connection.fetchval(
        explain, "acme", [start], 1, True, False, None, None, 1, None
    )
    pages: int = json.loads(plan)[0]["Plan"]["Shared Hit Blocks"]
    return pages


async def test_those_that_are_not_reached_are_not_read() -> None:
    async with acme() as scope:
        pages = []
        for kind, text in (("short", str), ("long", long)):
            names = [text(f"{kind} {number}") for number in range(50)]
            named = await memories(f"{kind} hub", *names)
            await relate_many(edge(named, f"{kind} hub", name) for name in names)
            pages.append(await pages_of_a_walk(scope, named[f"{kind} hub"]))

    short, longer = pages
    assert longer < 2 * short


async def delete(memory_id: UUID) -> None:
    await MemoryRecord.filter(memory_id=memory_id).delete()


@pytest.mark.parametrize("verb", [forget, delete])
async def test_one_that_is_gone_before_it_is_read_is_left_out(
    monkeypatch: pytest.MonkeyPatch, verb: Callable[[UUID], Awaitable[object]]
) -> None:
    async with acme():
        named = await chain()
        once_after(monkeypatch, "graph/traverse_memories", partial(verb, named["c"]))
        steps = (await traverse(named["a"])).steps

    assert [("".join(named.of(step.path)), named.of([step.memory])) for step in steps] == [
        ("ab", ["b"]),
        ("abcd", ["d"]),
    ]
