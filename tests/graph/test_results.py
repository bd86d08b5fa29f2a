"""Walks, paths, subgraphs, neighbors and edges are used as what one wants from them."""

from __future__ import annotations

import pytest

from memory_guild import contradictions, get, neighbors, path, relate, subgraph, traverse
from tests.graph.graphs import acme, graph, memories

pytestmark = pytest.mark.usefixtures("shared_database")


async def test_a_walk_is_the_list_of_its_steps_and_a_step_is_its_memory() -> None:
    async with acme():
        named = await graph(("a", "b", 0.5), ("b", "c", 0.5))
        walk = await traverse(named["a"])

        assert walk == walk.steps
        assert [(step.content_text, step.depth, step.confidence) for step in walk] == [("b", 1, 0.5), ("c", 2, 0.25)]
        assert (len(walk), bool(walk), walk.is_cut) == (2, True, False)
        assert named["c"] in walk
        assert await get(named["b"]) in walk
        assert named["a"] not in walk
        memory, depth, ids, confidence = walk[-1]
        assert (memory.memory_id, depth, list(ids), confidence) == (named["c"], 2, list(named.values()), 0.25)


async def test_a_path_is_the_list_of_its_memories() -> None:
    async with acme():
        named = await graph(("a", "b", 0.5), ("b", "c", 0.5))
        found = await path(named["a"], named["c"])

        assert found is not None
        assert named.of(found) == named.of(found.memories) == ["a", "b", "c"]
        assert (len(found), found.confidence) == (3, 0.25)
        assert named["b"] in found


async def test_a_subgraph_is_the_list_of_its_memories_beside_their_edges() -> None:
    async with acme():
        named = await graph(("a", "b"), ("b", "c"), ("c", "a"))
        drawing = await subgraph(named["a"], max_hops=1)

        assert sorted(named.of(drawing)) == sorted(named.of(drawing.memories)) == ["a", "b", "c"]
        assert (len(drawing), len(drawing.edges), drawing.is_cut) == (3, 3, False)


async def test_a_neighbor_is_its_memory_beside_the_edge() -> None:
    async with acme():
        named = await graph(("a", "b", 0.5, "supports"), ("c", "a", 0.4))
        around = await neighbors(named["a"])

        assert [(neighbor.content_text, neighbor.edge.confidence_score) for neighbor in around] == [
            ("b", 0.5),
            ("c", 0.4),
        ]
        memory, edge = around[0]
        assert (memory.memory_id, edge.relationship_type) == (named["b"], "supports")
        assert named["c"] in around
        assert named["a"] not in around


async def test_nothing_reached_is_false() -> None:
    async with acme():
        named = await memories("lonely")
        for nothing in (await traverse(named["lonely"]), await neighbors(named["lonely"]), await contradictions()):
            assert not nothing
            assert len(nothing) == 0


async def test_what_was_related_is_used_as_the_edge() -> None:
    async with acme():
        named = await memories("a", "b")
        related = await relate(named["a"], named["b"], "supports", confidence_score=0.5)

        assert (related.relationship_type, related.confidence_score) == ("supports", 0.5)
        assert (related.relationship_id, related.created) == (related.edge.relationship_id, True)
        edge, created = related
        assert (edge, created) == (related.edge, True)
        assert not hasattr(related, "colour")
