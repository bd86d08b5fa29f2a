"""Random graphs, with forgotten memories and strangers among them, walked by the verbs and by networkx."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias
from uuid import UUID

import networkx  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_guild import forget, neighbors, path, relate_many, subgraph, traverse
from memory_guild.database.scope import Scope
from memory_guild.errors import MemoryNotFoundError
from memory_guild.graph.walks import Subgraph, Traversal
from memory_guild.types import Direction, RelationshipType
from tests.graph.graphs import Named, acme, behind_the_policies, edge, join_behind_the_policies, memories

pytestmark = pytest.mark.usefixtures("shared_database")

NAMES = "abcdefgh"
STRANGERS = "xyz"
KINDS = ["references", "supports", "follows"]

Key: TypeAlias = tuple[str, str, str]
Found: TypeAlias = dict[str, tuple[int, float]]


class UndoneError(Exception):
    """Ends a scope so that nothing of it stays."""


@dataclass(frozen=True)
class World:
    """A graph of ours, in which some memories are forgotten, and the edges that tie it to a stranger's."""

    confidences: dict[Key, float | None]
    forgotten: frozenset[str]
    strangers_edges: frozenset[tuple[str, str]]

    async def store(self, scope: Scope) -> Named:
        """Store all of it; the ids of all memories."""
        named = await memories(*NAMES)
        await relate_many(
            edge(named, one, other, score, kind) for (one, other, kind), score in self.confidences.items()
        )
        if self.forgotten:
            await forget(*(named[name] for name in self.forgotten))
        async with behind_the_policies(scope) as connection:
            rows = await connection.fetch(
                "INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash)"
                " SELECT 'spy', 'bolt', 'document', name, md5(name) FROM unnest($1::text[]) AS name"
                " RETURNING content_text, memory_id",
                list(STRANGERS),
            )
        named |= Named({row["content_text"]: row["memory_id"] for row in rows})
        await join_behind_the_policies(scope, *((named[one], named[other]) for one, other in self.strangers_edges))
        return named

    def live(self, names: Iterable[str] = NAMES) -> list[str]:
        """Those that are not forgotten."""
        return [name for name in names if name not in self.forgotten]


@dataclass(frozen=True)
class Conditions:
    """Which edges are followed, as arguments of the verbs."""

    direction: Direction = Direction.BOTH
    types: Collection[str] | None = None
    min_confidence: float | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """As keywords."""
        return vars(self)

    def fulfilled(self, world: World) -> list[tuple[Key, float]]:
        """The edges between live memories that fulfil them, whatever their direction, with their confidences."""
        return [
            (key, confidence)
            for key, score in world.confidences.items()
            for confidence in [1.0 if score is None else score]
            if not world.forgotten & {key[0], key[1]}
            and (self.types is None or key[2] in self.types)
            and (self.min_confidence is None or confidence >= self.min_confidence)
        ]

    def followed(self, world: World) -> networkx.DiGraph[str]:
        """The graph that is walked: of several edges between two memories the surest."""
        walked: networkx.DiGraph[str] = networkx.DiGraph()
        walked.add_nodes_from(world.live())
        for (source, target, _), confidence in self.fulfilled(world):
            for one, other, is_followed in (
                (source, target, self.direction is not Direction.INCOMING),
                (target, source, self.direction is not Direction.OUTGOING),
            ):
                if is_followed and confidence >= walked.get_edge_data(one, other, {"confidence": 0.0})["confidence"]:
                    walked.add_edge(one, other, confidence=confidence)
        return walked


def surest(walked: networkx.DiGraph[str], starts: Collection[str], max_hops: int) -> Found:
    """The depth of each memory, and the highest product of confidences among the shortest paths to it."""
    depths: dict[str, int] = {}
    for start in starts:
        for name, depth in networkx.single_source_shortest_path_length(walked, start, cutoff=max_hops).items():
            depths[name] = min(depth, depths.get(name, depth))
    best = dict.fromkeys(starts, 1.0)
    for name in sorted(depths, key=lambda name: depths[name]):
        if name not in best:
            best[name] = max(
                best[parent] * walked.edges[parent, name]["confidence"]
                for parent in walked.predecessors(name)
                if depths.get(parent) == depths[name] - 1
            )
    return {name: (depth, best[name]) for name, depth in depths.items()}


def in_order(found: Found, named: Named) -> list[str]:
    """By depth, then the surest first, then by id."""
    return sorted(found, key=lambda name: (found[name][0], -found[name][1], named[name]))


def worlds() -> st.SearchStrategy[World]:
    """Graphs of eight memories."""
    score = st.none() | st.sampled_from([0.0, 0.25, 0.5, 0.5, 0.75, 1.0]) | st.floats(0, 1)
    key = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from(KINDS))
    everyone = st.sampled_from(NAMES + STRANGERS)
    across = st.tuples(everyone, everyone).filter(lambda ends: ends[0] != ends[1] and set(ends) & set(STRANGERS))
    return st.builds(
        World,
        st.dictionaries(key.filter(lambda key: key[0] != key[1]), score, max_size=24),
        st.frozensets(st.sampled_from(NAMES), max_size=3),
        st.frozensets(across, max_size=6),
    )


def conditions() -> st.SearchStrategy[Conditions]:
    """What to follow."""
    return st.builds(
        Conditions,
        st.sampled_from(Direction),
        st.none() | st.frozensets(st.sampled_from(KINDS), min_size=1),
        st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    )


@dataclass
class Walk:
    """A world that is stored, what to follow in it, and what networkx finds."""

    world: World
    follow: Conditions
    named: Named
    walked: networkx.DiGraph[str] = field(init=False)

    def __post_init__(self) -> None:
        self.walked = self.follow.followed(self.world)

    async def check_traverse(self, start: str, max_hops: int, limit: int) -> None:
        """Reached are exactly the nearest and surest that networkx reaches, by valid paths."""
        walk = traverse(self.named[start], max_hops=max_hops, limit=limit, **self.follow.arguments)
        if start in self.world.forgotten:
            with pytest.raises(MemoryNotFoundError):
                await walk
            return
        result: Traversal = await walk
        found = surest(self.walked, [start], max_hops)
        del found[start]
        expected = in_order(found, self.named)
        assert result.is_cut == (len(expected) > limit)
        assert self.named.of(step.memory for step in result.steps) == expected[:limit]
        for step in result.steps:
            depth, confidence = found[self.named.of([step.memory])[0]]
            assert step.depth == depth
            assert math.isclose(step.confidence, confidence, abs_tol=1e-300)
            self.check_path(start, step.memory.memory_id, step.path, depth, confidence)

    def check_path(self, start: str, end: UUID, ids: Iterable[UUID], length: int, confidence: float) -> None:
        """It leads from the start to the end along edges that are followed, and is as sure as it says."""
        names = self.named.of(ids)
        assert (names[0], self.named[names[-1]], len(names)) == (start, end, length + 1)
        along = math.prod(self.walked.edges[one, other]["confidence"] for one, other in pairwise(names))
        assert math.isclose(along, confidence, abs_tol=1e-300)

    async def check_path_to(self, start: str, end: str, max_hops: int) -> None:
        """A path is found where networkx finds one, as short and as sure as can be."""
        found = await path(self.named[start], self.named[end], max_hops=max_hops, **self.follow.arguments)
        try:
            length = networkx.shortest_path_length(self.walked, start, end)
        except (networkx.NetworkXNoPath, networkx.NodeNotFound):
            assert found is None
            return
        if length > max_hops:
            assert found is None
            return
        assert found is not None
        _, confidence = surest(self.walked, [start], max_hops)[end]
        assert math.isclose(found.confidence, confidence, abs_tol=1e-300)
        ids = [memory.memory_id for memory in found.memories]
        self.check_path(start, self.named[end], ids, length, confidence)

    async def check_subgraph(self, starts: list[str], max_hops: int, limit: int) -> None:
        """The memories around several starts, and every edge that has both ends among them."""
        result: Subgraph = await subgraph(
            *(self.named[start] for start in starts), max_hops=max_hops, limit=limit, **self.follow.arguments
        )
        found = surest(self.walked, starts, max_hops)
        expected = in_order(found, self.named)
        assert result.is_cut == (len(expected) > limit + len(set(starts)))
        assert self.named.of(result.memories) == expected[: limit + len(set(starts))]
        inside = set(self.named.of(result.memories))
        induced = {key for key, _ in self.follow.fulfilled(self.world) if {key[0], key[1]} <= inside}
        assert {(*ends, edge.relationship_type) for ends, edge in self.with_ends(result)} == induced
        assert len(result.edges) == len(induced)

    def with_ends(self, result: Subgraph) -> Iterable[tuple[tuple[str, str], Any]]:
        """The edges, with the names at their ends."""
        return zip(self.named.ends(result.edges), result.edges, strict=True)

    async def check_neighbors(self, start: str, limit: int) -> None:
        """One neighbor for each edge that touches the memory, the surest first."""
        result = await neighbors(self.named[start], limit=limit, **self.follow.arguments)
        expected = []
        for (source, target, kind), confidence in self.follow.fulfilled(self.world):
            if source == start and self.follow.direction is not Direction.INCOMING:
                expected.append((-confidence, target, kind, source))
            if target == start and self.follow.direction is not Direction.OUTGOING:
                expected.append((-confidence, source, kind, source))
        actual = [
            (
                -1.0 if edge.confidence_score is None else -edge.confidence_score,
                *self.named.of([memory]),
                RelationshipType(edge.relationship_type).value,
                *self.named.of([edge.source_memory_id]),
            )
            for memory, edge in result
        ]
        assert [item[0] for item in actual] == sorted(item[0] for item in expected)[:limit]
        assert set(actual) <= set(expected)
        assert len(set(actual)) == len(actual)


async def undone(world: World, follow: Conditions, check: Callable[[Walk], Awaitable[None]]) -> None:
    """Check something in a scope of which nothing stays."""
    with pytest.raises(UndoneError):
        async with acme() as scope:
            await check(Walk(world, follow, await world.store(scope)))
            raise UndoneError


bounded = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
limits = st.integers(1, 9)
hops = st.integers(1, 6)


@bounded
@given(worlds(), conditions(), st.sampled_from(NAMES), hops, limits)
@pytest.mark.long
async def test_traverse_and_neighbors(world: World, follow: Conditions, start: str, max_hops: int, limit: int) -> None:
    async def check(walk: Walk) -> None:
        await walk.check_traverse(start, max_hops, 100)
        await walk.check_traverse(start, max_hops, limit)
        await walk.check_neighbors(start, limit)

    await undone(world, follow, check)


@bounded
@given(worlds(), conditions(), st.data(), hops, limits)
@pytest.mark.long
async def test_path_and_subgraph(world: World, follow: Conditions, data: Any, max_hops: int, limit: int) -> None:
    live = st.sampled_from(world.live())
    starts = data.draw(st.lists(live, min_size=1, max_size=3))
    ends = data.draw(st.lists(st.sampled_from(NAMES + STRANGERS), min_size=1, max_size=3, unique=True))

    async def check(walk: Walk) -> None:
        for end in ends:
            await walk.check_path_to(starts[0], end, max_hops)
        await walk.check_subgraph(starts, max_hops, 100)
        await walk.check_subgraph(starts, max_hops, limit)

    await undone(world, follow, check)
