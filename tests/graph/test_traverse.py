"""Walks: each memory once, at its shortest depth, by the surest of the shortest paths, within a budget."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from memory_guild import get, relate, traverse
from memory_guild.errors import CheckError, InvalidInputError
from memory_guild.types import Direction, RelationshipType
from tests.graph.graphs import (
    Ends,
    acme,
    graph,
    memories,
    paths,
    product,
    reached,
    statements_of,
)

pytestmark = pytest.mark.usefixtures("shared_database")

SECRET = "the swordfish is in the third drawer"

CHAIN: tuple[Ends, ...] = (("a", "b", 0.5), ("b", "c", None), ("c", "d", 0.25), ("d", "e", 0.0))
TYPED: tuple[Ends, ...] = (
    ("a", "b", 0.9, "supports"),
    ("b", "c", 0.4, "follows"),
    ("c", "d", 0.8, "supports"),
    ("a", "d", 0.3, "related"),
)


@pytest.mark.parametrize("max_hops", [1, 2, 3, 4, 100])
async def test_a_chain(max_hops: int) -> None:
    async with acme():
        named = await graph(*CHAIN)
        walked = await traverse(named["a"], max_hops=max_hops)
    steps = list(zip("bcde", (1, 2, 3, 4), ("ab", "abc", "abcd", "abcde"), (0.5, 0.5, 0.125, 0.0), strict=True))
    assert (
        list(
            zip(
                reached(named, walked),
                [step.depth for step in walked.steps],
                paths(named, walked),
                [step.confidence for step in walked.steps],
                strict=True,
            )
        )
        == steps[:max_hops]
    )
    assert not walked.is_cut


async def test_three_hops_along_the_edges_unless_told_otherwise() -> None:
    async with acme():
        named = await graph(*CHAIN)
        assert reached(named, await traverse(named["a"])) == ["b", "c", "d"]
        assert reached(named, await traverse(named["e"])) == []


async def test_as_far_as_a_walk_may_go() -> None:
    async with acme():
        names = [f"memory {number}" for number in range(102)]
        named = await graph(*((names[number], names[number + 1]) for number in range(101)))
        walked = await traverse(named["memory 0"], max_hops=100)
    assert reached(named, walked) == names[1:101]
    assert named.of(walked.steps[-1].path) == names[:101]
    assert not walked.is_cut


async def test_the_memories_are_the_stored_ones() -> None:
    async with acme():
        named = await graph(*CHAIN)
        by_id = await traverse(named["a"])
        assert by_id.steps
        for step in by_id.steps:
            assert vars(step.memory) == vars(await get(step.memory.memory_id))
        assert await traverse(str(named["a"])) == by_id
        assert await traverse(await get(named["a"])) == by_id


async def test_one_statement() -> None:
    async with acme() as scope:
        named = await graph(*CHAIN)
        async with statements_of(scope) as sent:
            await traverse(named["a"])
    assert len(sent) == 1


async def test_the_same_walk_whoever_planned_the_statement() -> None:
    """After five times the server keeps a plan for all walks."""
    async with acme():
        named = await graph(*TYPED)
        walks = [await traverse(named[start], direction="both") for _ in range(8) for start in "ad"]
    assert [reached(named, walk) for walk in walks[::2]] == [["b", "d", "c"]] * 8
    assert [reached(named, walk) for walk in walks[1::2]] == [["c", "a", "b"]] * 8


async def test_a_memory_without_edges() -> None:
    async with acme():
        named = await memories("lonely")
        walk = await traverse(named["lonely"], direction="both")
        assert (walk, walk.is_cut) == ([], False)


@pytest.mark.parametrize("direction", ["outgoing", "both"])
async def test_two_that_lead_to_each_other(direction: str) -> None:
    async with acme():
        named = await graph(("a", "b", 0.5), ("b", "a", 0.5))
        walked = await traverse(named["a"], max_hops=100, direction=direction)
    assert paths(named, walked) == ["ab"]
    assert not walked.is_cut


async def test_each_memory_of_a_ring_once() -> None:
    async with acme():
        named = await graph(("a", "b"), ("b", "c"), ("c", "d"), ("d", "a"))
        assert paths(named, await traverse(named["a"], max_hops=100)) == ["ab", "abc", "abcd"]
        there_and_back = await traverse(named["a"], max_hops=100, direction="both")
    assert sorted(paths(named, there_and_back)[:2]) == ["ab", "ad"]
    assert paths(named, there_and_back)[2] == "a" + ("b" if named["b"] < named["d"] else "d") + "c"


async def test_everyone_to_everyone() -> None:
    async with acme():
        names = "abcdefgh"
        named = await graph(*((one, other) for one in names for other in names if one != other))
        walked = await traverse(named["a"], max_hops=100)
    assert sorted(paths(named, walked)) == [f"a{name}" for name in names[1:]]


async def test_of_the_shortest_paths_the_surest() -> None:
    async with acme():
        named = await graph(("a", "b", 0.9), ("b", "d", 0.5), ("a", "c", 0.6), ("c", "d", 0.9))
        walked = await traverse(named["a"])
    assert paths(named, walked) == ["ab", "ac", "acd"]
    assert walked.steps[2].confidence == 0.6 * 0.9


async def test_the_surest_path_as_a_whole_not_step_by_step() -> None:
    """The last edge is worse on the better path; and what is surest on each level is not on it."""
    async with acme():
        named = await graph(
            ("a", "b", 1.0), ("a", "c", 0.8), ("b", "d", 0.1), ("c", "e", 0.9), ("d", "f", 1.0), ("e", "f", 0.5)
        )
        walked = await traverse(named["a"])
    assert dict(zip(reached(named, walked), paths(named, walked), strict=True))["f"] == "acef"
    assert walked.steps[-1].confidence == product([0.8, 0.9, 0.5])


async def test_a_shorter_path_comes_before_a_surer_one() -> None:
    async with acme():
        named = await graph(("a", "d", 0.01), ("a", "b", 1.0), ("b", "d", 1.0), ("d", "e", 1.0), ("b", "e", 0.5))
        walked = await traverse(named["a"])
    assert paths(named, walked) == ["ab", "ad", "abe"]
    assert [step.confidence for step in walked.steps] == [1.0, 0.01, 0.5]


async def test_of_several_edges_between_two_the_surest() -> None:
    async with acme():
        named = await graph(("a", "b", 0.2), ("a", "b", 0.8, "supports"), ("a", "b", 0.5, "follows"))
        assert [step.confidence for step in (await traverse(named["a"])).steps] == [0.8]
        await relate(named["b"], named["a"], "contradicts", confidence_score=0.9)
        assert [step.confidence for step in (await traverse(named["a"])).steps] == [0.8]
        assert [step.confidence for step in (await traverse(named["a"], direction="both")).steps] == [0.9]
        await relate(named["a"], named["b"], "related")
        assert [step.confidence for step in (await traverse(named["a"])).steps] == [1.0]
        walked = await traverse(named["a"], types=["references", "follows"])
        assert [step.confidence for step in walked.steps] == [0.5]


async def test_of_equal_paths_always_the_same() -> None:
    async with acme():
        named = await graph(*(("a", name, 0.5) for name in "bcdef"), *((name, "z", 0.5) for name in "bcdef"))
        first = min("bcdef", key=lambda name: named[name])
        for _ in range(7):
            walked = await traverse(named["a"])
            assert paths(named, walked)[-1] == f"a{first}z"


@pytest.mark.parametrize(
    "scores", [[1e-120] * 3, [5e-324, 0.5], [1e-300, 1e-300], [1e-300, 0.0], [0.0, 5e-324], [5e-324, 1.0]]
)
async def test_a_product_too_small_for_a_number_is_zero(scores: list[float]) -> None:
    """Each of them is a confidence that the column takes."""
    async with acme():
        names = "abcd"[: len(scores) + 1]
        named = await graph(*((one, other, score) for one, other, score in zip(names, names[1:], scores, strict=False)))
        walked = await traverse(named["a"])
    assert walked.steps[-1].confidence == product(scores)


@pytest.mark.parametrize(
    ("start", "conditions", "expected"),
    [
        ("a", {}, ["ab", "ad", "abc"]),
        ("a", {"direction": Direction.OUTGOING}, ["ab", "ad", "abc"]),
        ("a", {"direction": "incoming"}, []),
        ("d", {"direction": "incoming"}, ["dc", "da", "dcb"]),
        ("d", {"direction": "both"}, ["dc", "da", "dcb"]),
        ("c", {"direction": Direction.BOTH}, ["cd", "cb", "cba"]),
        ("a", {"types": "supports"}, ["ab"]),
        ("a", {"types": ["supports", "follows"]}, ["ab", "abc", "abcd"]),
        ("a", {"types": {RelationshipType.RELATED}}, ["ad"]),
        ("a", {"types": ()}, []),
        ("a", {"types": ["supports", "related"], "direction": "both"}, ["ab", "ad", "adc"]),
        ("a", {"min_confidence": 0.35}, ["ab", "abc", "abcd"]),
        ("a", {"min_confidence": 0.4}, ["ab", "abc", "abcd"]),
        ("a", {"min_confidence": 0.41}, ["ab"]),
        ("a", {"min_confidence": 0}, ["ab", "ad", "abc"]),
        ("a", {"min_confidence": 1}, []),
    ],
)
async def test_by_direction_type_and_confidence(start: str, conditions: dict[str, Any], expected: list[str]) -> None:
    async with acme():
        named = await graph(*TYPED)
        walked = await traverse(named[start], **conditions)
    assert paths(named, walked) == expected


async def test_an_edge_of_which_nobody_said_how_sure_it_is_fulfils_every_confidence() -> None:
    async with acme():
        named = await graph(("a", "b"), ("b", "c", 0.99))
        assert paths(named, await traverse(named["a"], min_confidence=1)) == ["ab"]


async def test_the_confidence_is_asked_of_each_edge_not_of_the_path() -> None:
    async with acme():
        named = await graph(("a", "b", 0.5), ("b", "c", 0.5))
        walked = await traverse(named["a"], min_confidence=0.5)
    assert [step.confidence for step in walked.steps] == [0.5, 0.25]


@pytest.mark.parametrize(
    ("arguments", "kind", "field"),
    [
        ({"start": SECRET}, InvalidInputError, "start"),
        ({"max_hops": 0}, InvalidInputError, "max_hops"),
        ({"max_hops": 101}, InvalidInputError, "max_hops"),
        ({"max_hops": True}, InvalidInputError, "max_hops"),
        ({"max_hops": 1.5}, InvalidInputError, "max_hops"),
        ({"limit": 0}, InvalidInputError, "limit"),
        ({"limit": 10_001}, InvalidInputError, "limit"),
        ({"limit": None}, InvalidInputError, "limit"),
        ({"direction": SECRET}, InvalidInputError, "direction"),
        ({"types": SECRET}, CheckError, "relationship_type"),
        ({"min_confidence": 2}, InvalidInputError, "min_confidence"),
        ({"min_confidence": "0.5"}, InvalidInputError, "min_confidence"),
    ],
)
async def test_what_is_refused(arguments: dict[str, Any], kind: type[InvalidInputError], field: str) -> None:
    async with acme() as scope, statements_of(scope) as sent:
        with pytest.raises(InvalidInputError) as caught:
            await traverse(**{"start": uuid4()} | arguments)
    assert type(caught.value) is kind
    assert caught.value.field == field
    assert SECRET not in str(caught.value)
    assert sent == []
