"""Contradictions: of one memory on either side, or all of a tenant's, the surest first."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from memory_guild import MemoryRelationship, contradictions, forget, get, relate, restore
from memory_guild.errors import InvalidInputError
from memory_guild.tenancy import tenant_scope
from tests.graph.graphs import (
    Named,
    acme,
    behind_the_policies,
    graph,
    memories,
    once_after,
    statements_of,
    strangers,
)

pytestmark = pytest.mark.usefixtures("shared_database")

SECRET = "the swordfish is in the third drawer"


async def some() -> Named:
    """Contradictions of which one memory is on both sides, and edges that are none."""
    return await graph(
        ("a", "b", 0.5, "contradicts"),
        ("b", "c", 0.9, "contradicts"),
        ("c", "d", None, "contradicts"),
        ("d", "a", 0.0, "contradicts"),
        ("a", "c", 1.0, "supports"),
        ("b", "d", 1.0, "related"),
    )


@pytest.mark.parametrize(
    ("memory", "conditions", "expected"),
    [
        (None, {}, ["cd", "bc", "ab", "da"]),
        ("b", {}, ["bc", "ab"]),
        ("d", {}, ["cd", "da"]),
        ("a", {}, ["ab", "da"]),
        (None, {"min_confidence": 0.5}, ["cd", "bc", "ab"]),
        (None, {"min_confidence": 1}, ["cd"]),
        ("a", {"min_confidence": 0.1}, ["ab"]),
        (None, {"min_confidence": 0}, ["cd", "bc", "ab", "da"]),
        (None, {"limit": 2}, ["cd", "bc"]),
        ("b", {"limit": 1}, ["bc"]),
    ],
)
async def test_which_and_in_which_order(memory: str | None, conditions: dict[str, Any], expected: list[str]) -> None:
    async with acme():
        named = await some()
        found = await contradictions(None if memory is None else named[memory], **conditions)
    assert ["".join(named.of([source, target])) for source, target, _ in found] == expected


async def test_what_comes_back_is_what_is_stored() -> None:
    async with acme():
        named = await some()
        found = await contradictions(str(named["b"]))
        assert found
        for source, target, edge in found:
            assert vars(source) == vars(await get(edge.source_memory_id))
            assert vars(target) == vars(await get(edge.target_memory_id))
            assert vars(edge) == vars(await MemoryRelationship.get(relationship_id=edge.relationship_id))
        assert await contradictions(await get(named["b"])) == found


async def test_two_that_contradict_each_other_do_so_twice() -> None:
    async with acme():
        named = await graph(("a", "b", 0.5, "contradicts"), ("b", "a", 0.6, "contradicts"))
        for memory in (None, named["a"], named["b"]):
            found = await contradictions(memory)
            assert ["".join(named.of([source, target])) for source, target, _ in found] == ["ba", "ab"]


async def test_those_of_one_confidence_come_newest_first() -> None:
    async with acme():
        named = await memories("a", "b", "c")
    for ends in ("bc", "ca", "ab"):
        async with acme():  # an edge is as old as its transaction
            await relate(named[ends[0]], named[ends[1]], "contradicts", confidence_score=0.5)
    async with acme():
        found = await contradictions()
    assert ["".join(named.of([source, target])) for source, target, _ in found] == ["ab", "ca", "bc"]


async def test_forgotten_memories_contradict_nobody() -> None:
    async with acme():
        named = await some()
        await forget(named["b"])
        for memory, expected in [(None, ["cd", "da"]), (named["b"], []), (named["a"], ["da"])]:
            found = await contradictions(memory)
            assert ["".join(named.of([source, target])) for source, target, _ in found] == expected
        await restore(named["b"])
        assert len(await contradictions()) == 4


async def test_forgotten_memories_use_up_nothing_of_the_limit() -> None:
    """The surest edges leave and reach the one that is forgotten."""
    async with acme():
        named = await some()
        await forget(named["c"])
        found = await contradictions(limit=1)
    assert ["".join(named.of([source, target])) for source, target, _ in found] == ["ab"]


async def test_strangers_do_not_come_in() -> None:
    async with tenant_scope("bolt", agent_id="spy"):
        theirs = await graph(("x", "y", 1.0, "contradicts"))
    async with acme() as scope:
        named = await graph(("a", "b", 0.5, "contradicts"))
        async with behind_the_policies(scope) as connection:
            await connection.executemany(
                "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type)"
                " VALUES ($1, $2, 'contradicts')",
                [(named["a"], theirs["x"]), (theirs["y"], named["b"])],
            )
        for memory in (None, named["a"], named["b"]):
            found = await contradictions(memory)
            assert ["".join(named.of([source, target])) for source, target, _ in found] == ["ab"]
        assert await contradictions(theirs["x"]) == []


async def test_where_there_is_none() -> None:
    await strangers("x")
    async with acme() as scope:
        named = await graph(("a", "b", 0.5, "supports"))
        async with statements_of(scope) as sent:
            assert await contradictions() == []
            assert await contradictions(named["a"]) == []
            assert await contradictions(uuid4()) == []
        assert sum("memory_relationships" in statement for statement in sent) == 3
        assert not any("memory_records WHERE memory_id = ANY" in statement for statement in sent)


async def test_what_goes_between_the_two_statements_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async with acme():
        named = await some()
        once_after(monkeypatch, "graph/contradictions", lambda: forget(named["c"]))
        found = await contradictions()
    assert ["".join(named.of([source, target])) for source, target, _ in found] == ["ab", "da"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"memory": SECRET}, "memory"),
        ({"min_confidence": 1.5}, "min_confidence"),
        ({"min_confidence": True}, "min_confidence"),
        ({"limit": 0}, "limit"),
        ({"limit": 10_001}, "limit"),
    ],
)
async def test_what_is_refused(arguments: dict[str, Any], field: str) -> None:
    async with acme() as scope, statements_of(scope) as sent:
        with pytest.raises(InvalidInputError) as caught:
            await contradictions(**arguments)
    assert caught.value.field == field
    assert SECRET not in str(caught.value)
    assert sent == []
