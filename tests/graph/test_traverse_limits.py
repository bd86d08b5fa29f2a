"""How many memories and edges a walk may meet, and whether it says so where there were more."""

from __future__ import annotations

import pytest

from memory_guild import forget, relate_many, traverse
from tests.graph.graphs import acme, edge, graph, hub, memories, reached

pytestmark = pytest.mark.usefixtures("shared_database")


FIVE = tuple((name, 0.9 - number / 10) for number, name in enumerate("abcde"))


@pytest.mark.parametrize("limit", [1, 2, 4])
async def test_a_cut_hub_keeps_the_surest(limit: int) -> None:
    async with acme():
        named = await hub(*reversed(FIVE))
        walked = await traverse(named["hub"], limit=limit)
    assert reached(named, walked) == list("abcde")[:limit]
    assert walked.is_cut


@pytest.mark.parametrize("limit", [5, 6, 10_000])
async def test_a_walk_that_fits_exactly_is_not_cut(limit: int) -> None:
    async with acme():
        named = await hub(*FIVE)
        walked = await traverse(named["hub"], limit=limit)
    assert reached(named, walked) == list("abcde")
    assert not walked.is_cut


async def test_a_cut_level_is_the_last_one() -> None:
    async with acme():
        named = await graph(("a", "b", 0.5), ("a", "c", 0.4), ("a", "d", 0.3), ("b", "e", 1.0))
        walked = await traverse(named["a"], limit=2)
    assert (reached(named, walked), walked.is_cut) == (["b", "c"], True)


@pytest.mark.parametrize(("limit", "is_cut"), [(2, True), (3, False)])
async def test_a_full_limit_is_a_cut_only_where_there_is_more(limit: int, is_cut: bool) -> None:
    async with acme():
        named = await graph(("a", "b", 0.9), ("a", "c", 0.8), ("c", "d", 0.7))
        walked = await traverse(named["a"], limit=limit)
    assert (reached(named, walked), walked.is_cut) == (["b", "c", "d"][:limit], is_cut)


async def test_what_lies_beyond_the_last_hop_is_no_cut() -> None:
    async with acme():
        named = await graph(("a", "b"), ("b", "c"), ("c", "d"))
        assert not (await traverse(named["a"], limit=2, max_hops=2)).is_cut
        assert (await traverse(named["a"], limit=2, max_hops=3)).is_cut


async def test_what_was_seen_or_is_forgotten_or_not_followed_is_no_cut() -> None:
    async with acme():
        named = await graph(("a", "b"), ("b", "a"), ("b", "gone"), ("b", "c", 0.1), ("b", "d", 1.0, "follows"))
        await forget(named["gone"])
        walked = await traverse(named["a"], limit=1, min_confidence=0.2, types="references")
    assert (reached(named, walked), walked.is_cut) == (["b"], False)


@pytest.mark.parametrize(("forgotten", "is_cut"), [(49, False), (50, True)])
async def test_fifty_times_as_many_edges_are_looked_at(forgotten: int, is_cut: bool) -> None:
    async with acme():
        named = await hub(("a", 0.5), *((f"gone {number}", 0.5) for number in range(forgotten)))
        await forget(*(named[name] for name in named if name.startswith("gone")))
        walked = await traverse(named["hub"], limit=1)
    assert walked.is_cut == is_cut
    assert is_cut or reached(named, walked) == ["a"]


async def test_a_level_of_which_not_all_edges_were_looked_at_is_the_last_one() -> None:
    """What was left out there would come too late, and by a longer path, on the next level."""
    async with acme():
        named = await graph(("a", "b"), ("b", "c"), *(("a", f"gone {number}") for number in range(100)))
        await forget(*(named[name] for name in named if name.startswith("gone")))
        walked = await traverse(named["a"], limit=2)
    assert (reached(named, walked), walked.is_cut) == (["b"], True)


@pytest.mark.parametrize(("forgotten", "is_cut"), [(50, False), (51, True)])
async def test_edges_that_all_lead_nowhere_are_a_cut_too(forgotten: int, is_cut: bool) -> None:
    """Nothing is reached, and yet nobody looked at all edges."""
    async with acme():
        named = await graph(("a", "hub"), *(("hub", f"gone {number}") for number in range(forgotten)))
        await forget(*(named[name] for name in named if name.startswith("gone")))
        walked = await traverse(named["a"], limit=1)
    assert (reached(named, walked), walked.is_cut) == (["hub"], is_cut)


@pytest.mark.parametrize(("more", "is_cut"), [(0, False), (1, True)])
async def test_the_edges_of_a_level_count_together(more: int, is_cut: bool) -> None:
    async with acme():
        named = await graph(
            ("a", "b"),
            ("a", "c"),
            *(("b", f"gone {number}") for number in range(50)),
            *(("c", f"gone {number}") for number in range(50 + more)),
        )
        await forget(*(named[name] for name in named if name.startswith("gone")))
        assert (await traverse(named["a"], limit=2)).is_cut == is_cut


@pytest.mark.long
async def test_a_hub_of_many_edges() -> None:
    async with acme():
        names = [f"memory {number}" for number in range(1_500)]
        named = await memories("hub", *names)
        await relate_many(edge(named, "hub", name, number / 1_500) for number, name in enumerate(names))
        walked = await traverse(named["hub"], limit=1_000)
        assert reached(named, walked) == names[:499:-1]
        assert walked.is_cut
        walked = await traverse(named["memory 3"], direction="both", limit=1_500)
        assert (len(walked.steps), walked.is_cut) == (1_500, False)
        assert [step.depth for step in walked.steps] == [1] + [2] * 1_499
