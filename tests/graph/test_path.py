"""Paths: the shortest, of several the surest, and how a search ends that finds none."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from memory_guild import forget, get, path
from memory_guild.errors import CheckError, InvalidInputError, MemoryNotFoundError, SearchLimitError
from memory_guild.graph.conditions import EdgeConditions
from memory_guild.graph.walking import walk
from memory_guild.graph.walks import Path
from memory_guild.types import Direction
from tests.graph.graphs import (
    Ends,
    Named,
    acme,
    graph,
    join_behind_the_policies,
    memories,
    once_after,
    product,
    statements_of,
    strangers,
)

pytestmark = pytest.mark.usefixtures("shared_database")

SECRET = "the swordfish is in the third drawer"


def along(named: Named, found: Path | None) -> str | None:
    return None if found is None else "".join(named.of(found.memories))


async def test_the_shortest_path_although_a_longer_one_is_surer() -> None:
    async with acme():
        named = await graph(("a", "b"), ("b", "c"), ("c", "z"), ("a", "y", 0.1), ("y", "z", 0.2))
        found = await path(named["a"], named["z"])
    assert along(named, found) == "ayz"
    assert found is not None
    assert found.confidence == product([0.1, 0.2])


async def test_of_the_shortest_paths_the_surest() -> None:
    async with acme():
        named = await graph(
            ("a", "b", 0.9), ("b", "z", 0.5), ("a", "c", 0.7), ("c", "z", 0.7, "supports"), ("c", "z", 0.1)
        )
        found = await path(named["a"], named["z"])
        assert along(named, found) == "acz"
        assert found is not None
        assert found.confidence == product([0.7, 0.7])
        assert along(named, await path(named["a"], named["z"], types="references")) == "abz"


async def test_the_memories_are_the_stored_ones() -> None:
    async with acme():
        named = await graph(("a", "b"), ("b", "c"))
        found = await path(str(named["a"]), await get(named["c"]))
        assert found is not None
        assert [vars(memory) for memory in found.memories] == [vars(await get(named[name])) for name in "abc"]
        assert found.confidence == 1


@pytest.mark.parametrize(("max_hops", "expected"), [(3, None), (4, "abcde"), (100, "abcde")])
async def test_no_path_is_longer_than_asked_for(max_hops: int, expected: str | None) -> None:
    async with acme():
        named = await graph(("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"))
        assert along(named, await path(named["a"], named["e"], max_hops=max_hops)) == expected


async def test_six_hops_unless_told_otherwise() -> None:
    async with acme():
        named = await graph(*zip("abcdefg", "bcdefgh", strict=True))
        assert along(named, await path(named["a"], named["g"])) == "abcdefg"
        assert await path(named["a"], named["h"]) is None


@pytest.mark.parametrize(
    ("ends", "conditions", "expected"),
    [
        ("ac", {}, "abc"),
        ("ca", {}, None),
        ("ca", {"direction": "incoming"}, "cba"),
        ("ca", {"direction": Direction.BOTH}, "cba"),
        ("ad", {}, None),
        ("ad", {"direction": "both"}, "abcd"),
        ("ac", {"types": "supports"}, None),
        ("ac", {"types": ["supports", "follows"]}, "abc"),
        ("ac", {"types": []}, None),
        ("ac", {"min_confidence": 0.5}, "abc"),
        ("ac", {"min_confidence": 0.6}, None),
    ],
)
async def test_by_direction_type_and_confidence(ends: str, conditions: dict[str, Any], expected: str | None) -> None:
    async with acme():
        named = await graph(("a", "b", 0.9, "supports"), ("b", "c", 0.5, "follows"), ("d", "c", 0.9, "related"))
        assert along(named, await path(named[ends[0]], named[ends[1]], **conditions)) == expected


async def test_from_a_memory_to_itself() -> None:
    async with acme():
        named = await graph(("a", "b", 0.5), ("b", "a", 0.5))
        found = await path(named["a"], named["a"])
        assert found == [await get(named["a"])]
        assert found.confidence == 1.0
        await forget(named["a"])
        with pytest.raises(MemoryNotFoundError):
            await path(named["a"], named["a"])


async def test_forgotten_memories_are_gone_round() -> None:
    async with acme():
        named = await graph(("a", "b"), ("b", "z"), ("a", "c"), ("c", "d"), ("d", "z"))
        assert along(named, await path(named["a"], named["z"])) == "abz"
        await forget(named["b"])
        assert along(named, await path(named["a"], named["z"])) == "acdz"
        await forget(named["d"])
        assert await path(named["a"], named["z"]) is None


async def test_to_a_memory_that_nobody_reaches() -> None:
    theirs = await strangers("x")
    async with acme() as scope:
        named = await graph(("a", "b"), ("c", "d"))
        await join_behind_the_policies(scope, (named["a"], theirs["x"]), (theirs["x"], named["c"]))
        await forget(named["b"])
        for target in (named["b"], named["c"], theirs["x"], uuid4()):
            assert await path(named["a"], target, direction="both") is None


async def test_from_a_memory_that_is_not_there() -> None:
    theirs = await strangers("x")
    async with acme():
        named = await graph(("a", "b"))
        await forget(named["a"])
        for source in (named["a"], theirs["x"], uuid4()):
            with pytest.raises(MemoryNotFoundError) as caught:
                await path(source, named["b"])
            assert caught.value.memory_ids == (source,)


async def test_a_search_that_was_not_over_says_so() -> None:
    async with acme():
        named = await graph(("a", "b", 0.9), ("a", "c", 0.8), ("c", "z"), ("b", "d"))
        assert along(named, await path(named["a"], named["z"], limit=4)) == "acz"
        for limit in (1, 2):
            with pytest.raises(SearchLimitError) as caught:
                await path(named["a"], named["z"], limit=limit)
            assert caught.value.limit == limit


async def test_what_was_found_within_the_limit_counts() -> None:
    async with acme():
        named = await graph(("a", "z", 0.9), ("a", "b", 0.8), ("a", "c", 0.7))
        assert along(named, await path(named["a"], named["z"], limit=1)) == "az"
        with pytest.raises(SearchLimitError):
            await path(named["a"], named["b"], limit=1)


async def test_a_search_that_was_over_is_no_path() -> None:
    async with acme():
        named = await graph(("a", "b"), ("b", "a"), ("y", "z"))
        assert await path(named["a"], named["z"], limit=1) is None


async def test_a_search_among_edges_that_lead_nowhere_says_so() -> None:
    async with acme():
        named = await graph(*(("a", f"gone {number}") for number in range(51)), ("y", "z"))
        await forget(*(named[name] for name in named if name.startswith("gone")))
        with pytest.raises(SearchLimitError):
            await path(named["a"], named["z"], limit=1)
        assert await path(named["a"], named["z"], limit=2) is None


async def test_a_path_that_need_not_be_the_surest_is_none() -> None:
    """Of 52 edges 51 are looked at, and a surer one to the target may be the last."""
    async with acme():
        gone = [f"gone {number}" for number in range(50)]
        to_target: list[Ends] = [("b", "z", 0.1), ("b", "z", 0.9, "follows")]
        named = await graph(("a", "b", 0.5), *(("b", name) for name in gone), *to_target)
        await forget(*(named[name] for name in gone))
        found = await path(named["a"], named["z"], limit=2)
        assert found is not None
        assert found.confidence == product([0.5, 0.9])
        with pytest.raises(SearchLimitError):
            await path(named["a"], named["z"], limit=1)


async def test_a_target_that_is_reached_is_found_however_full_its_level_is() -> None:
    async with acme():
        named = await graph(("a", "z", 0.9), ("a", "b", 0.5), ("a", "c", 0.4))
        assert along(named, await path(named["a"], named["z"], limit=1)) == "az"
        with pytest.raises(SearchLimitError):
            await path(named["a"], named["b"], limit=1)


async def test_the_search_ends_where_it_meets_the_target() -> None:
    """Nothing that lies behind it is looked at."""
    conditions = EdgeConditions.checked("outgoing", None, None)
    async with acme():
        named = await graph(("a", "z", 0.5), ("z", "b"), ("a", "c"), ("c", "d"))
        rows = (await walk([named["a"]], 6, conditions, 100, named["z"])).rows
    assert named.of(row["step_memory_id"] for row in rows) == ["a", "c", "z"]


@pytest.mark.parametrize("gone", ["forgotten", "deleted"])
@pytest.mark.parametrize("name", ["b", "z"])
async def test_a_path_that_breaks_before_it_is_read_is_none(
    monkeypatch: pytest.MonkeyPatch, gone: str, name: str
) -> None:
    async with acme():
        named = await graph(("a", "b"), ("b", "z"))

        async def go() -> None:
            await forget(named[name])
            if gone == "deleted":
                await (await get(named[name], include_forgotten=True)).delete()

        once_after(monkeypatch, "graph/traverse_memories", go)
        assert await path(named["a"], named["z"]) is None


async def test_two_statements() -> None:
    async with acme() as scope:
        named = await graph(("a", "b"), ("b", "c"))
        async with statements_of(scope) as sent:
            await path(named["a"], named["c"])
    assert len(sent) == 2


@pytest.mark.parametrize(
    ("arguments", "kind", "field"),
    [
        ({"source": SECRET}, InvalidInputError, "source"),
        ({"target": SECRET}, InvalidInputError, "target"),
        ({"target": None}, InvalidInputError, "target"),
        ({"max_hops": 0}, InvalidInputError, "max_hops"),
        ({"max_hops": 101}, InvalidInputError, "max_hops"),
        ({"limit": 10_001}, InvalidInputError, "limit"),
        ({"direction": "backwards"}, InvalidInputError, "direction"),
        ({"types": SECRET}, CheckError, "relationship_type"),
        ({"min_confidence": -1}, InvalidInputError, "min_confidence"),
    ],
)
async def test_what_is_refused(arguments: dict[str, Any], kind: type[InvalidInputError], field: str) -> None:
    async with acme() as scope:
        named = await memories("a")
        async with statements_of(scope) as sent:
            with pytest.raises(InvalidInputError) as caught:
                await path(**{"source": named["a"], "target": uuid4()} | arguments)
    assert type(caught.value) is kind
    assert caught.value.field == field
    assert SECRET not in str(caught.value)
    assert sent == []
