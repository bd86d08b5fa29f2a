"""Neighbors: in each direction, by type and confidence, the surest first, none that is forgotten or a stranger's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

import memory_guild as guild
from memory_guild import MemoryRelationship, forget, get, neighbors, relate, restore
from memory_guild.errors import CheckError, InvalidInputError, TenantNotSetError
from memory_guild.tenancy import admin_scope
from memory_guild.types import Direction, RelationshipType
from tests.graph.graphs import (
    Named,
    acme,
    graph,
    join_behind_the_policies,
    memories,
    once_after,
    statements_of,
    strangers,
)

pytestmark = pytest.mark.usefixtures("shared_database")

SECRET = "the swordfish is in the third drawer"


async def around_the_center() -> Named:
    """Edges of all kinds that leave and reach one memory."""
    return await graph(
        ("center", "a", 0.9, "supports"),
        ("center", "b", None, "follows"),
        ("center", "c", 0.0, "contradicts"),
        ("d", "center", 0.5, "supports"),
        ("e", "center", 0.7, "related"),
        ("a", "e", 1.0, "supports"),
    )


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, ["b", "a", "e", "d", "c"]),
        ({"direction": "both"}, ["b", "a", "e", "d", "c"]),
        ({"direction": "outgoing"}, ["b", "a", "c"]),
        ({"direction": Direction.INCOMING}, ["e", "d"]),
        ({"types": "supports"}, ["a", "d"]),
        ({"types": RelationshipType.FOLLOWS}, ["b"]),
        ({"types": ["related", RelationshipType.CONTRADICTS]}, ["e", "c"]),
        ({"types": {"references"}}, []),
        ({"types": []}, []),
        ({"min_confidence": 0}, ["b", "a", "e", "d", "c"]),
        ({"min_confidence": 0.7}, ["b", "a", "e"]),
        ({"min_confidence": 1}, ["b"]),
        ({"limit": 2}, ["b", "a"]),
        ({"limit": 1, "direction": "incoming", "types": ("supports", "related"), "min_confidence": 0.5}, ["e"]),
    ],
)
async def test_which_and_in_which_order(conditions: dict[str, Any], expected: list[str]) -> None:
    async with acme():
        named = await around_the_center()
        assert named.of(found.memory for found in await neighbors(named["center"], **conditions)) == expected


async def test_the_memory_and_the_edge_are_the_stored_ones() -> None:
    async with acme():
        named = await around_the_center()
        found = await neighbors(str(named["center"]))
        for memory, edge in found:
            assert vars(memory) == vars(await get(memory.memory_id))
            assert vars(edge) == vars(await MemoryRelationship.get(relationship_id=edge.relationship_id))
        assert named.ends(edge for _, edge in found) == [
            ("center", "b"),
            ("center", "a"),
            ("e", "center"),
            ("d", "center"),
            ("center", "c"),
        ]
        assert await neighbors(await get(named["center"])) == found


async def test_a_neighbor_comes_once_for_each_edge() -> None:
    async with acme():
        named = await graph(("a", "b", 0.5, "supports"), ("a", "b", 0.9, "follows"), ("b", "a", 0.7, "supports"))
        found = await neighbors(named["a"])
        assert named.of(memory for memory, _ in found) == ["b", "b", "b"]
        assert [edge.confidence_score for _, edge in found] == [0.9, 0.7, 0.5]


async def test_edges_of_one_confidence_come_newest_first() -> None:
    async with acme():
        named = await memories("center", "a", "b", "c")
    for name in ("b", "c", "a"):
        async with acme():  # an edge is as old as its transaction
            await relate(named["center"], named[name], "supports", confidence_score=None if name == "c" else 1)
    async with acme():
        assert named.of(memory for memory, _ in await neighbors(named["center"])) == ["a", "c", "b"]


async def test_forgotten_memories_are_no_neighbors_and_have_none() -> None:
    async with acme():
        named = await around_the_center()
        await forget(named["a"], named["d"])
        assert named.of(found.memory for found in await neighbors(named["center"])) == ["b", "e", "c"]
        assert named.of(found.memory for found in await neighbors(named["center"], limit=2)) == ["b", "e"]
        assert await neighbors(named["a"]) == []
        await restore(named["a"])
        assert named.of(found.memory for found in await neighbors(named["a"])) == ["e", "center"]


async def test_whoever_is_not_there_has_none() -> None:
    theirs = await strangers("x")
    async with acme():
        named = await memories("lonely")
        assert await neighbors(named["lonely"]) == []
        assert await neighbors(uuid4()) == []
        assert await neighbors(theirs["x"]) == []


async def test_strangers_are_no_neighbors() -> None:
    theirs = await strangers("x", "y")
    async with acme() as scope:
        named = await graph(("center", "a", 0.5))
        await join_behind_the_policies(
            scope,
            (named["center"], theirs["x"]),
            (theirs["y"], named["center"]),
            (theirs["x"], theirs["y"]),
        )
        for direction in Direction:
            found = await neighbors(named["center"], direction=direction)
            assert named.of(memory for memory, _ in found) == ([] if direction == "incoming" else ["a"])
        assert await neighbors(theirs["x"]) == []


@pytest.mark.parametrize("end", ["forgotten", "deleted"])
async def test_a_neighbor_that_goes_between_the_two_statements_is_left_out(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    async with acme():
        named = await graph(("center", "a", 0.5), ("b", "center", 0.25))

        async def go() -> None:
            await forget(named["a"])
            if end == "deleted":
                await (await get(named["a"], include_forgotten=True)).delete()

        once_after(monkeypatch, "graph/neighbor_edges", go)
        assert named.of(found.memory for found in await neighbors(named["center"])) == ["b"]


async def test_two_statements_and_one_where_there_is_none() -> None:
    async with acme() as scope:
        named = await around_the_center()
        async with statements_of(scope) as sent:
            await neighbors(named["center"])
        assert len(sent) == 2
        async with statements_of(scope) as sent:
            await neighbors(uuid4())
        assert len(sent) == 1


@pytest.mark.parametrize(
    ("conditions", "kind", "field"),
    [
        ({"direction": SECRET}, InvalidInputError, "direction"),
        ({"direction": None}, InvalidInputError, "direction"),
        ({"types": SECRET}, CheckError, "relationship_type"),
        ({"types": ["supports", SECRET]}, CheckError, "relationship_type"),
        ({"types": [None]}, CheckError, "relationship_type"),
        ({"min_confidence": -0.1}, InvalidInputError, "min_confidence"),
        ({"min_confidence": 1.1}, InvalidInputError, "min_confidence"),
        ({"min_confidence": float("nan")}, InvalidInputError, "min_confidence"),
        ({"min_confidence": SECRET}, InvalidInputError, "min_confidence"),
        ({"limit": 0}, InvalidInputError, "limit"),
        ({"limit": 10_001}, InvalidInputError, "limit"),
        ({"limit": True}, InvalidInputError, "limit"),
        ({"limit": 1.0}, InvalidInputError, "limit"),
        ({"memory": SECRET}, InvalidInputError, "memory"),
    ],
)
async def test_what_is_refused(conditions: dict[str, Any], kind: type[InvalidInputError], field: str) -> None:
    async with acme() as scope, statements_of(scope) as sent:
        with pytest.raises(InvalidInputError) as caught:
            await neighbors(**{"memory": uuid4()} | conditions)
    assert type(caught.value) is kind
    assert caught.value.field == field
    assert SECRET not in str(caught.value)
    assert sent == []


@pytest.mark.parametrize(
    "call",
    [
        lambda: guild.neighbors(uuid4()),
        lambda: guild.traverse(uuid4()),
        lambda: guild.path(uuid4(), uuid4()),
        lambda: guild.subgraph(uuid4()),
        lambda: guild.contradictions(),
    ],
    ids=["neighbors", "traverse", "path", "subgraph", "contradictions"],
)
async def test_the_verbs_of_the_graph_need_a_tenant(call: Callable[[], Any]) -> None:
    with pytest.raises(TenantNotSetError):
        await call()
    async with admin_scope():
        with pytest.raises(TenantNotSetError):
            await call()
