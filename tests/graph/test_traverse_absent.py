"""Walks past memories that are not there: forgotten ones and strangers', at their start and on the way."""

from __future__ import annotations

from uuid import uuid4

import pytest

from memory_guild import forget, restore, traverse
from memory_guild.errors import MemoryNotFoundError
from tests.graph.graphs import acme, graph, hub, join_behind_the_policies, paths, reached, strangers

pytestmark = pytest.mark.usefixtures("shared_database")


async def test_nobody_walks_through_a_forgotten_memory() -> None:
    async with acme():
        named = await graph(("a", "b"), ("b", "c"), ("a", "d", 0.5), ("d", "e"), ("e", "c"))
        assert paths(named, await traverse(named["a"])) == ["ab", "ad", "abc", "ade"]
        await forget(named["b"])
        assert paths(named, await traverse(named["a"])) == ["ad", "ade", "adec"]
        assert paths(named, await traverse(named["c"], direction="both", max_hops=100)) == ["ce", "ced", "ceda"]
        await forget(named["e"])
        assert paths(named, await traverse(named["a"])) == ["ad"]
        await restore(named["b"], named["e"])
        assert paths(named, await traverse(named["a"])) == ["ab", "ad", "abc", "ade"]


async def test_memories_of_which_nobody_said_whether_they_are_forgotten_are_live() -> None:
    async with acme() as scope:
        named = await graph(("a", "b"), ("b", "c"))
        await scope.transaction.session.connection.execute("UPDATE memory_records SET is_deleted = NULL")
        assert paths(named, await traverse(named["a"])) == ["ab", "abc"]


async def test_forgotten_memories_use_up_nothing_of_the_limit() -> None:
    async with acme():
        named = await hub(*((name, 1.0) for name in "vwxyz"), ("a", 0.2), ("b", 0.1))
        await forget(*(named[name] for name in "vwxyz"))
        assert reached(named, walked := await traverse(named["hub"], limit=2)) == ["a", "b"]
        assert not walked.is_cut
        assert reached(named, walked := await traverse(named["hub"], limit=1)) == ["a"]
        assert walked.is_cut


async def test_whoever_is_not_there_cannot_be_started_at() -> None:
    theirs = await strangers("x")
    async with acme():
        named = await graph(("a", "b"))
        await forget(named["a"])
        for start in (uuid4(), named["a"], theirs["x"]):
            with pytest.raises(MemoryNotFoundError) as caught:
                await traverse(start)
            assert caught.value.memory_ids == (start,)
        assert (await traverse(named["b"], direction="both")).steps == []


async def test_strangers_are_not_walked_through() -> None:
    """Not even along edges that the policies would never have let in."""
    theirs = await strangers("x", "y")
    async with acme() as scope:
        named = await graph(("a", "b"), ("c", "d"))
        x, y = theirs["x"], theirs["y"]
        await join_behind_the_policies(
            scope, (named["a"], x), (x, y), (x, named["c"]), (y, named["d"]), (named["d"], y), (y, named["a"])
        )
        for direction, expected in [("outgoing", ["ab"]), ("incoming", []), ("both", ["ab"])]:
            walked = await traverse(named["a"], direction=direction, max_hops=10, limit=1)
            assert paths(named, walked) == expected
            assert not walked.is_cut
        walked = await traverse(named["d"], direction="both", max_hops=10)
        assert paths(named, walked) == ["dc"]
        with pytest.raises(MemoryNotFoundError):
            await traverse(x)
