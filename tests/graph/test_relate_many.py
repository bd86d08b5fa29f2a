"""Many edges at once: their outcomes in order, what occurs twice, and all of them or none."""

from __future__ import annotations

from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from memory_guild import get_many, neighbors, relate, relate_many
from memory_guild.errors import InvalidInputError, SelfReferenceError, UnknownMemoryError
from memory_guild.graph.edges import Edge
from memory_guild.models import MemoryRelationship
from memory_guild.serializers import MemoryRelationshipCreate
from memory_guild.types import RelationshipType
from tests.graph.graphs import Named, acme, edge, edges_in, memories, statements_of

pytestmark = pytest.mark.usefixtures("shared_database")

NOBODYS = UUID("00000000-0000-0000-0000-0000000000ff")
SECRET = "the swordfish is in the third drawer"


async def two() -> Named:
    """Two memories that are committed."""
    async with acme():
        return await memories("a", "b")


BAD_EDGES: list[Any] = [
    pytest.param({"relationship_type": SECRET}, InvalidInputError, "edges[1].relationship_type", id="unknown type"),
    pytest.param({"confidence_score": 1.5}, InvalidInputError, "edges[1].confidence_score", id="confidence"),
    pytest.param({"confidence_score": float("nan")}, InvalidInputError, "edges[1].confidence_score", id="NaN"),
    pytest.param({"target_memory_id": SECRET}, InvalidInputError, "edges[1].target_memory_id", id="target"),
    pytest.param({"source_memory_id": None}, InvalidInputError, "edges[1].source_memory_id", id="no source"),
    pytest.param({"surplus": SECRET}, InvalidInputError, "edges[1].surplus", id="unknown key"),
]


async def test_outcomes_in_the_order_of_the_edges() -> None:
    async with acme():
        named = await memories("a", "b", "c", "d")
        known = await relate(named["c"], named["d"], "supports")
        ends = [("d", "a"), ("a", "b"), ("c", "d"), ("b", "a"), ("a", "c")]
        outcomes = await relate_many(edge(named, *pair, None, "supports") for pair in ends)

        assert [outcome.created for outcome in outcomes] == [True, True, False, True, True]
        assert outcomes[2].relationship_id == known.edge.relationship_id
        for outcome, (source, target) in zip(outcomes, ends, strict=True):
            stored = await MemoryRelationship.get(relationship_id=outcome.relationship_id)
            assert (stored.source_memory_id, stored.target_memory_id) == (named[source], named[target])


async def test_dicts_serializers_and_any_iterable(shared_database: str) -> None:
    async with acme():
        named = await memories("a", "b", "c")
        given: list[Edge] = [
            MemoryRelationshipCreate(**edge(named, "a", "b", 0.5, "supports")),
            edge(named, "b", "c", 1) | {"relationship_type": RelationshipType.FOLLOWS},
            {
                "source_memory_id": str(named["a"]),
                "target_memory_id": str(named["b"]),
                "relationship_type": "supports",
            },
        ]
        outcomes = await relate_many(iter(given))
    assert [outcome.created for outcome in outcomes] == [True, True, False]
    assert outcomes[0].relationship_id == outcomes[2].relationship_id
    assert {row[2:] for row in await edges_in(shared_database)} == {("supports", 0.5), ("follows", 1.0)}


async def test_ends_may_be_models() -> None:
    async with acme():
        named = await memories("a", "b")
        a, b = (await get_many([named["a"], named["b"]])).memories
        (outcome,) = await relate_many(
            [{"source_memory_id": a, "target_memory_id": b, "relationship_type": "supports"}]
        )
        assert (await neighbors(a))[0].edge.relationship_id == outcome.relationship_id


@pytest.mark.parametrize("edges", [None, 7])
async def test_what_is_no_list_of_edges(edges: Any) -> None:
    async with acme():
        with pytest.raises(InvalidInputError, match="edges: must be an iterable, not") as caught:
            await relate_many(edges)
    assert caught.value.field == "edges"


async def test_nothing_to_store_is_nothing_sent() -> None:
    async with acme() as scope, statements_of(scope) as sent:
        assert await relate_many([]) == []
        assert await relate_many(iter(()), on_existing="increase") == []
    assert sent == []


@pytest.mark.parametrize(
    ("on_existing", "scores", "expected"),
    [
        ("keep", [0.5, 0.9, None], 0.5),
        ("keep", [None, 0.9], None),
        ("increase", [0.5, 0.9, 0.7], 0.9),
        ("increase", [None, 0.0], 0.0),
        ("increase", [0.3, None], 0.3),
        ("increase", [None, None], None),
    ],
)
async def test_an_edge_that_occurs_twice_is_stored_once(
    shared_database: str, on_existing: Any, scores: list[float | None], expected: float | None
) -> None:
    async with acme():
        named = await memories("a", "b")
        outcomes = await relate_many((edge(named, "a", "b", score) for score in scores), on_existing=on_existing)
    assert [outcome.created for outcome in outcomes] == [True] + [False] * (len(scores) - 1)
    assert len({outcome.relationship_id for outcome in outcomes}) == 1
    assert await edges_in(shared_database) == [(named["a"], named["b"], "references", expected)]


@pytest.mark.parametrize(
    ("on_existing", "expected"),
    [("keep", [0.5, None, 0.5, None, 0.1]), ("increase", [0.9, 0.0, 0.5, None, 0.1])],
)
async def test_the_confidences_of_edges_that_are_there(
    shared_database: str, on_existing: Any, expected: list[float | None]
) -> None:
    async with acme():
        named = await memories("a", "b", "c", "d", "e", "f")
        pairs = [("a", target) for target in "bcdef"]
        before = [0.5, None, 0.5, None]
        await relate_many(edge(named, *pair, score) for pair, score in zip(pairs, before, strict=False))
        given = [0.9, 0.0, 0.2, None, 0.1]
        outcomes = await relate_many(
            (edge(named, *pair, score) for pair, score in zip(pairs, given, strict=True)),
            on_existing=on_existing,
        )
    assert [outcome.created for outcome in outcomes] == [False] * 4 + [True]
    scores = {row[1]: row[3] for row in await edges_in(shared_database)}
    assert [scores[named[target]] for _, target in pairs] == expected


@pytest.mark.long
async def test_more_edges_than_one_statement_takes(shared_database: str) -> None:
    async with acme() as scope:
        named = await memories(*(f"memory {number}" for number in range(73)))
        pairs = list(permutations(named, 2))
        assert len(pairs) > 5_000
        async with statements_of(scope) as sent:
            outcomes = await relate_many(edge(named, *pair, 0.5) for pair in pairs)
        again = await relate_many((edge(named, *pair, 0.75) for pair in reversed(pairs)), on_existing="increase")

    assert sum("INSERT INTO" in statement for statement in sent) == 2
    assert all(outcome.created for outcome in outcomes)
    assert [outcome.relationship_id for outcome in reversed(again)] == [outcome.relationship_id for outcome in outcomes]
    assert not any(outcome.created for outcome in again)
    assert {row[3] for row in await edges_in(shared_database)} == {0.75}


@pytest.mark.parametrize(("changes", "kind", "field"), BAD_EDGES)
async def test_a_bad_edge_is_named_and_nothing_is_stored(
    shared_database: str, changes: dict[str, Any], kind: type[InvalidInputError], field: str
) -> None:
    named = await two()
    async with acme():
        with pytest.raises(InvalidInputError) as caught:
            await relate_many([edge(named, "a", "b"), edge(named, "b", "a") | changes])
    assert type(caught.value) is kind
    assert caught.value.field == field
    assert SECRET not in str(caught.value)
    assert await edges_in(shared_database) == []


async def test_an_edge_without_an_end_or_of_another_kind(shared_database: str) -> None:
    named = await two()
    lacking = edge(named, "a", "b")
    del lacking["target_memory_id"]
    async with acme():
        with pytest.raises(InvalidInputError) as caught:
            await relate_many([lacking])
        assert caught.value.field == "edges[0].target_memory_id"
        with pytest.raises(InvalidInputError) as caught:
            await relate_many([edge(named, "a", "b"), SECRET])  # type: ignore[list-item]
        assert caught.value.field == "edges[1]"
        assert SECRET not in str(caught.value)
    assert await edges_in(shared_database) == []


async def test_an_edge_to_itself_is_named(shared_database: str) -> None:
    named = await two()
    async with acme():
        with pytest.raises(SelfReferenceError) as caught:
            await relate_many([edge(named, "a", "b"), edge(named, "b", "b")])
    assert caught.value.field == "edges[1].target_memory_id"
    assert caught.value.constraint == "no_self_reference"
    assert await edges_in(shared_database) == []


async def test_a_choice_that_does_not_exist() -> None:
    async with acme():
        with pytest.raises(InvalidInputError) as caught:
            await relate_many([], on_existing="replace")  # type: ignore[arg-type]
    assert caught.value.field == "on_existing"


async def test_all_or_nothing_also_where_the_scope_goes_on(shared_database: str) -> None:
    async with acme():
        named = await memories("a", "b", "c")
        await relate(named["a"], named["b"], "supports", confidence_score=0.5)
        with pytest.raises(UnknownMemoryError):
            await relate_many(
                [
                    edge(named, "a", "b", 0.9, "supports"),
                    edge(named, "b", "c"),
                    edge(named, "a", "c") | {"target_memory_id": NOBODYS},
                ],
                on_existing="increase",
            )
        await relate(named["c"], named["a"], "follows")
    assert {row[2:] for row in await edges_in(shared_database)} == {("supports", 0.5), ("follows", None)}
