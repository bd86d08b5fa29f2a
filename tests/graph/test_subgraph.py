"""Pieces of the graph: the memories around some memories, and every edge between them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from memory_guild import MemoryRelationship, forget, get, relate, subgraph
from memory_guild.errors import InvalidInputError, MemoryNotFoundError
from memory_guild.graph.walks import Subgraph
from memory_guild.types import Direction
from tests.graph.graphs import Ends, Named, acme, graph, join_behind_the_policies, memories, statements_of, strangers

pytestmark = pytest.mark.usefixtures("shared_database")

SECRET = "the swordfish is in the third drawer"

PICTURE: tuple[Ends, ...] = (
    ("a", "b", 0.9, "supports"),
    ("b", "c", 0.8, "follows"),
    ("c", "d", 0.7, "supports"),
    ("c", "a", 0.6, "contradicts"),
    ("e", "a", 0.5, "related"),
    ("d", "e", 0.4, "supports"),
)


def nodes(named: Named, result: Subgraph) -> str:
    return "".join(named.of(result.memories))


def edges(named: Named, result: Subgraph) -> set[str]:
    return {f"{source}{target}" for source, target in named.ends(result.edges)}


@pytest.mark.parametrize(
    ("conditions", "expected_nodes", "expected_edges"),
    [
        ({}, "abced", {"ab", "bc", "cd", "ca", "ea", "de"}),
        ({"max_hops": 1}, "abce", {"ab", "bc", "ca", "ea"}),
        ({"max_hops": 1, "direction": "outgoing"}, "ab", {"ab"}),
        ({"direction": "outgoing"}, "abc", {"ab", "bc", "ca"}),
        ({"direction": Direction.INCOMING}, "acebd", {"ab", "bc", "cd", "ca", "ea", "de"}),
        ({"types": ["supports", "follows"]}, "abc", {"ab", "bc"}),
        ({"types": ["supports", "follows"], "max_hops": 5}, "abcde", {"ab", "bc", "cd", "de"}),
        ({"types": "references"}, "a", set()),
        ({"min_confidence": 0.65, "max_hops": 5}, "abcd", {"ab", "bc", "cd"}),
        ({"limit": 1}, "ab", {"ab"}),
        ({"limit": 2}, "abc", {"ab", "bc", "ca"}),
    ],
)
async def test_the_memories_around_one(
    conditions: dict[str, Any], expected_nodes: str, expected_edges: set[str]
) -> None:
    async with acme():
        named = await graph(*PICTURE)
        result = await subgraph(named["a"], **conditions)
    assert nodes(named, result) == expected_nodes
    assert edges(named, result) == expected_edges
    assert result.is_cut == ("limit" in conditions)


async def test_all_edges_between_them_also_those_that_no_walk_follows() -> None:
    async with acme():
        named = await graph(("a", "b"), ("a", "c"), ("c", "b", 0.1), ("b", "a", 0.2, "supports"), ("b", "d"))
        result = await subgraph(named["a"], direction="outgoing", max_hops=1)
    assert edges(named, result) == {"ab", "ac", "cb", "ba"}
    assert len(result.edges) == 4


async def test_what_comes_back_is_what_is_stored() -> None:
    async with acme():
        named = await graph(*PICTURE)
        result = await subgraph(str(named["a"]))
        assert [vars(memory) for memory in result.memories] == [vars(await get(memory)) for memory in result.memories]
        assert [vars(edge) for edge in result.edges] == [
            vars(await MemoryRelationship.get(relationship_id=edge.relationship_id)) for edge in result.edges
        ]
        assert await subgraph(await get(named["a"])) == result


async def test_edges_come_oldest_first() -> None:
    async with acme():
        named = await memories("a", "b", "c")
    for ends in ("cb", "ab", "ca"):
        async with acme():  # an edge is as old as its transaction
            await relate(named[ends[0]], named[ends[1]], "supports")
    async with acme():
        result = await subgraph(named["a"])
    assert [f"{source}{target}" for source, target in named.ends(result.edges)] == ["cb", "ab", "ca"]


async def test_around_several() -> None:
    async with acme():
        named = await graph(("a", "b"), ("b", "c"), ("x", "y"), ("y", "z"), ("p", "q"))
        result = await subgraph(named["a"], named["x"], max_hops=1)
    assert set(nodes(named, result)[:2]) == {"a", "x"}
    assert set(nodes(named, result)[2:]) == {"b", "y"}
    assert edges(named, result) == {"ab", "xy"}


async def test_one_that_lies_beside_another_is_still_a_start() -> None:
    async with acme():
        named = await graph(("a", "b", 0.5), ("b", "c", 0.5), ("c", "d", 0.5))
        result = await subgraph(named["a"], named["b"], max_hops=1)
    assert sorted(nodes(named, result)) == ["a", "b", "c"]
    assert nodes(named, result)[2] == "c"
    assert edges(named, result) == {"ab", "bc"}


async def test_one_that_is_named_twice_counts_once() -> None:
    async with acme():
        named = await graph(("a", "b", 0.5), ("a", "c", 0.4), ("a", "d", 0.3))
        once = await subgraph(named["a"], limit=2)
        again = await subgraph(named["a"], str(named["a"]), await get(named["a"]), limit=2)
    assert again == once
    assert (nodes(named, once), once.is_cut) == ("abc", True)


async def test_the_limit_is_for_those_around() -> None:
    async with acme():
        named = await graph(("a", "b", 0.9), ("x", "y", 0.8), ("x", "z", 0.7))
        cut = await subgraph(named["a"], named["x"], limit=2)
        assert (set(nodes(named, cut)), cut.is_cut) == (set("axby"), True)
        whole = await subgraph(named["a"], named["x"], limit=3)
        assert (set(nodes(named, whole)), whole.is_cut) == (set("axbyz"), False)


async def test_all_starts_must_be_there() -> None:
    theirs = await strangers("x")
    async with acme():
        named = await graph(("a", "b"), ("b", "c"))
        await forget(named["c"])
        unknown = uuid4()
        with pytest.raises(MemoryNotFoundError) as caught:
            await subgraph(named["a"], named["c"], theirs["x"], named["b"], unknown, unknown)
    assert caught.value.memory_ids == (named["c"], theirs["x"], unknown)


async def test_there_must_be_a_start() -> None:
    async with acme():
        with pytest.raises(InvalidInputError) as caught:
            await subgraph()
        assert caught.value.field == "start"
        with pytest.raises(InvalidInputError) as caught:
            await subgraph(uuid4(), SECRET)
    assert caught.value.field == "start[1]"
    assert SECRET not in str(caught.value)


async def test_forgotten_memories_and_strangers_are_not_drawn() -> None:
    theirs = await strangers("x")
    async with acme() as scope:
        named = await graph(("a", "b"), ("b", "c"), ("c", "d"), ("a", "d"))
        await join_behind_the_policies(scope, (named["a"], theirs["x"]), (theirs["x"], named["b"]))
        await forget(named["b"])
        result = await subgraph(named["a"], max_hops=10)
    assert nodes(named, result) == "adc"
    assert edges(named, result) == {"ad", "cd"}
    assert not result.is_cut


async def test_two_statements() -> None:
    async with acme() as scope:
        named = await graph(*PICTURE)
        async with statements_of(scope) as sent:
            await subgraph(named["a"], named["d"])
    assert len(sent) == 2


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"max_hops": 0}, "max_hops"),
        ({"limit": 0}, "limit"),
        ({"direction": SECRET}, "direction"),
        ({"types": [SECRET]}, "relationship_type"),
        ({"min_confidence": float("nan")}, "min_confidence"),
    ],
)
async def test_what_is_refused(arguments: dict[str, Any], field: str) -> None:
    async with acme():
        with pytest.raises(InvalidInputError) as caught:
            await subgraph(uuid4(), **arguments)
    assert caught.value.field == field
    assert SECRET not in str(caught.value)
