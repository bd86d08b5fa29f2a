"""Edges: stored once for each type, their confidence kept or raised, deleted; and what is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest

from memory_guild import admin_scope, forget, get, relate, relate_many, restore, traverse, unrelate
from memory_guild.errors import (
    CheckError,
    InvalidInputError,
    MemoryGuildError,
    SelfReferenceError,
    TenantNotSetError,
    UnknownMemoryError,
)
from memory_guild.models import MemoryRelationship
from memory_guild.tenancy import tenant_scope
from memory_guild.types import RelationshipType
from tests.graph.graphs import Named, acme, edge, edges_in, memories, statements_of, strangers

NOBODYS = UUID("00000000-0000-0000-0000-0000000000ff")
pytestmark = pytest.mark.usefixtures("shared_database")

SECRET = "the swordfish is in the third drawer"


async def two() -> Named:
    """Two memories that are committed."""
    async with acme():
        return await memories("a", "b")


async def test_a_new_edge_is_stored_as_given(shared_database: str) -> None:
    named = await two()
    async with acme():
        related = await relate(named["a"], named["b"], "supports", confidence_score=0.25)

    assert related.created
    assert await edges_in(shared_database) == [(named["a"], named["b"], "supports", 0.25)]
    async with acme():
        stored = await MemoryRelationship.get(relationship_id=related.edge.relationship_id)
        assert vars(related.edge) == vars(stored)
    assert related.edge.relationship_type is RelationshipType.SUPPORTS
    assert related.edge.confidence_score == 0.25
    assert related.edge.created_at is not None


async def test_memories_are_named_by_model_id_or_text() -> None:
    async with acme():
        named = await memories("a", "b")
        first = await relate(await get(named["a"]), str(named["b"]), RelationshipType.FOLLOWS)
        second = await relate(str(named["a"]), await get(named["b"]), "follows")

    assert (first.created, second.created) == (True, False)
    assert vars(second.edge) == vars(first.edge)


async def test_types_and_directions_are_edges_of_their_own(shared_database: str) -> None:
    async with acme():
        named = await memories("a", "b")
        created = [
            (await relate(source, target, kind)).created
            for source, target in permutations(named.values())
            for kind in RelationshipType
        ]
    assert created == [True] * 10
    assert len(await edges_in(shared_database)) == 10


@pytest.mark.parametrize(
    ("on_existing", "known", "given", "expected"),
    [
        ("keep", 0.5, 0.9, 0.5),
        ("keep", None, 0.9, None),
        ("keep", 0.5, None, 0.5),
        ("increase", 0.5, 0.9, 0.9),
        ("increase", 0.5, 0.5, 0.5),
        ("increase", 0.9, 0.5, 0.9),
        ("increase", None, 0.0, 0.0),
        ("increase", 0.0, None, 0.0),
        ("increase", None, None, None),
    ],
)
async def test_the_confidence_of_an_edge_that_is_there(
    shared_database: str, on_existing: Any, known: float | None, given: float | None, expected: float | None
) -> None:
    async with acme():
        named = await memories("a", "b", "c")
        first = await relate(named["a"], named["b"], "supports", confidence_score=known)
        await relate(named["a"], named["b"], "follows", confidence_score=0.125)
        await relate(named["a"], named["c"], "supports", confidence_score=0.125)
        again = await relate(named["a"], named["b"], "supports", confidence_score=given, on_existing=on_existing)

    assert not again.created
    assert again.edge.relationship_id == first.edge.relationship_id
    assert again.edge.created_at == first.edge.created_at
    assert again.edge.confidence_score == expected
    assert {row[3] for row in await edges_in(shared_database)} == {expected, 0.125}


async def test_an_edge_that_stays_as_it_is_is_not_written() -> None:
    version = "SELECT ctid, xmin, xmax FROM memory_relationships"
    async with acme() as scope:
        named = await memories("a", "b")
        await relate(named["a"], named["b"], "supports", confidence_score=0.5)
        before = await scope.transaction.session.connection.fetch(version)
        for on_existing in ("keep", "increase"):
            await relate(named["a"], named["b"], "supports", confidence_score=0.5, on_existing=on_existing)
        assert await scope.transaction.session.connection.fetch(version) == before


async def test_one_statement() -> None:
    async with acme() as scope:
        named = await memories("a", "b")
        async with statements_of(scope) as sent:
            await relate(named["a"], named["b"], "supports")
            await relate(named["a"], named["b"], "supports", confidence_score=1, on_existing="increase")
    assert len(sent) == 2


async def test_forgotten_memories_have_edges_for_when_they_come_back() -> None:
    async with acme():
        named = await memories("a", "b")
        await forget(named["b"])
        assert (await relate(named["a"], named["b"], "supports")).created
        assert (await traverse(named["a"])).steps == []
        await restore(named["b"])
        assert named.of(step.memory for step in (await traverse(named["a"])).steps) == ["b"]


TYPE_CHECK = "memory_relationships_relationship_type_check"
SCORE_CHECK = "memory_relationships_confidence_score_check"

REFUSED = [
    ("source", SECRET, InvalidInputError, None),
    ("target", 7, InvalidInputError, None),
    ("target", None, InvalidInputError, None),
    ("relationship_type", SECRET, CheckError, TYPE_CHECK),
    ("relationship_type", [SECRET], CheckError, TYPE_CHECK),
    ("relationship_type", None, CheckError, None),
    ("confidence_score", -0.001, CheckError, SCORE_CHECK),
    ("confidence_score", 1.001, CheckError, SCORE_CHECK),
    ("confidence_score", float("nan"), CheckError, SCORE_CHECK),
    ("confidence_score", float("inf"), CheckError, SCORE_CHECK),
    ("confidence_score", True, InvalidInputError, None),
    ("confidence_score", SECRET, InvalidInputError, None),
    ("on_existing", SECRET, InvalidInputError, None),
    ("on_existing", None, InvalidInputError, None),
]
"""An argument, a value that it does not take, the exact type of the error and the constraint that it names."""


@pytest.mark.parametrize(("argument", "value", "kind", "constraint"), REFUSED)
async def test_what_relate_refuses(
    shared_database: str, argument: str, value: Any, kind: type[InvalidInputError], constraint: str | None
) -> None:
    named = await two()
    arguments: dict[str, Any] = {"source": named["a"], "target": named["b"], "relationship_type": "supports"}
    async with acme() as scope, statements_of(scope) as sent:
        with pytest.raises(InvalidInputError) as caught:
            await relate(**arguments | {argument: value})
    assert sent == []
    assert type(caught.value) is kind
    assert caught.value.field == argument
    assert getattr(caught.value, "constraint", None) == constraint
    assert SECRET not in str(caught.value)
    assert await edges_in(shared_database) == []


async def test_a_memory_is_not_related_to_itself(shared_database: str) -> None:
    named = await two()
    async with acme():
        with pytest.raises(SelfReferenceError) as caught:
            await relate(named["a"], str(named["a"]), "supports")
    assert (caught.value.field, caught.value.constraint) == ("target", "no_self_reference")
    assert await edges_in(shared_database) == []


@pytest.mark.parametrize("store", ["relate", "relate_many"])
@pytest.mark.parametrize("end", ["source_memory_id", "target_memory_id"])
@pytest.mark.parametrize("whose", ["nobody's", "stranger's"])
async def test_unknown_memories_and_strangers_are_refused_alike(
    shared_database: str, store: str, end: str, whose: str
) -> None:
    named = await two()
    theirs = await strangers("theirs")
    wanted = edge(named, "a", "b") | {end: NOBODYS if whose == "nobody's" else theirs["theirs"]}
    with pytest.raises(UnknownMemoryError) as caught:
        async with acme():
            if store == "relate_many":
                await relate_many([edge(named, "a", "b"), wanted])
            else:
                await relate(wanted["source_memory_id"], wanted["target_memory_id"], "references")

    assert str(caught.value) == "the memory does not exist; store it first, and check the id"
    assert caught.value.sqlstate == "23503"
    assert caught.value.table == "memory_relationships"
    assert await edges_in(shared_database) == []


async def test_strangers_edges_are_not_ours_to_raise_or_delete(shared_database: str) -> None:
    async with tenant_scope("bolt", agent_id="spy"):
        theirs = await memories("x", "y")
        await relate(theirs["x"], theirs["y"], "supports", confidence_score=0.5)
    await two()
    with pytest.raises(UnknownMemoryError):
        async with acme():
            await relate(theirs["x"], theirs["y"], "supports", confidence_score=0.9, on_existing="increase")
    async with acme():
        with pytest.raises(UnknownMemoryError):
            await relate_many([edge(theirs, "x", "y", 0.9, "supports")], on_existing="increase")
        assert await unrelate(theirs["x"], theirs["y"]) == 0
    assert await edges_in(shared_database) == [(theirs["x"], theirs["y"], "supports", 0.5)]


async def test_edges_of_one_type_are_deleted(shared_database: str) -> None:
    async with acme():
        named = await memories("a", "b")
        for kind in ("supports", "follows"):
            await relate(named["a"], named["b"], kind)
        assert await unrelate(named["a"], await get(named["b"]), "supports") == 1
        assert await unrelate(named["a"], named["b"], RelationshipType.SUPPORTS) == 0
    assert [row[2] for row in await edges_in(shared_database)] == ["follows"]


async def test_edges_of_all_types_in_one_direction_are_deleted(shared_database: str) -> None:
    async with acme():
        named = await memories("a", "b", "c")
        for kind in RelationshipType:
            await relate(named["a"], named["b"], kind)
        await relate(named["b"], named["a"], "supports")
        await relate(named["a"], named["c"], "supports")
        assert await unrelate(str(named["a"]), named["b"]) == 5
        assert await unrelate(named["a"], named["b"]) == 0
    assert {row[:2] for row in await edges_in(shared_database)} == {
        (named["b"], named["a"]),
        (named["a"], named["c"]),
    }


async def test_there_may_be_no_edge_to_delete() -> None:
    async with acme():
        named = await memories("a", "b")
        assert await unrelate(named["a"], named["b"]) == 0
        assert await unrelate(uuid4(), uuid4()) == 0


@pytest.mark.parametrize("argument", ["source", "target", "relationship_type"])
async def test_what_unrelate_refuses(argument: str) -> None:
    async with acme():
        named = await memories("a", "b")
        arguments: dict[str, Any] = {"source": named["a"], "target": named["b"], argument: SECRET}
        with pytest.raises(InvalidInputError) as caught:
            await unrelate(**arguments)
    assert caught.value.field == argument
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda: relate(uuid4(), uuid4(), "supports"),
        lambda: relate_many([]),
        lambda: unrelate(uuid4(), uuid4()),
    ],
    ids=["relate", "relate_many", "unrelate"],
)
async def test_the_verbs_need_a_tenant(call: Callable[[], Awaitable[Any]]) -> None:
    with pytest.raises(TenantNotSetError):
        await call()
    with pytest.raises(MemoryGuildError) as caught:
        async with admin_scope():
            await call()
    assert type(caught.value) is TenantNotSetError
