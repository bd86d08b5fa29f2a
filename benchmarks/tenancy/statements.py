"""What is measured as SQL: the same statements in both arms, with the tenant by hand where a scope needs none."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from tortoise.backends.base.client import BaseDBAsyncClient

from benchmarks.tenancy.memories import Tenant

Arguments: TypeAlias = list[Any]
Draw: TypeAlias = Callable[[Tenant, random.Random, int], list[Arguments]]
"""Draws the arguments of so many rounds in one transaction."""
Run: TypeAlias = Callable[[BaseDBAsyncClient, str, Arguments], Awaitable[object]]
"""Does it once: on a transaction, for a tenant, with the arguments."""

BATCH = 500
HOPS = 3


@dataclass(frozen=True)
class Work:
    """One thing that is done in both arms.

    Attributes:
        name: What it is.
        draw: Draws the arguments.
        by_hand: Does it by hand.
        in_scope: Does it in a scope.
        share: The part of the rounds that it gets: what takes long gets fewer.
        plan_cache_mode: How a careful person has the server plan it by hand.
        writes: Whether it leaves dead rows behind.
    """

    name: str
    draw: Draw
    by_hand: Run
    in_scope: Run
    share: float = 1.0
    plan_cache_mode: str = "auto"
    writes: bool = False


def no_arguments(tenant: Tenant, chance: random.Random, rounds: int) -> list[Arguments]:
    """The tenant is all."""
    return [[] for _ in range(rounds)]


def one_memory(tenant: Tenant, chance: random.Random, rounds: int) -> list[Arguments]:
    """A memory of the tenant."""
    return [[chance.choice(tenant.memory_ids)] for _ in range(rounds)]


def memories_with_edges(tenant: Tenant, chance: random.Random, rounds: int) -> list[Arguments]:
    """As many memories as have 500 edges, or all of a smaller tenant."""
    return [
        [chance.sample(tenant.memory_ids, min(BATCH // tenant.edges_per_memory, len(tenant.memory_ids)))]
        for _ in range(rounds)
    ]


def one_edge(tenant: Tenant, chance: random.Random, rounds: int) -> list[Arguments]:
    """An edge that is not there yet: source, target, type, confidence."""
    return [list(edge) for edge in tenant.new_edges(rounds, chance)]


def many_edges(tenant: Tenant, chance: random.Random, rounds: int) -> list[Arguments]:
    """500 edges that are not there yet, as four lists."""
    edges = tenant.new_edges(rounds * BATCH, chance)
    return [
        [list(column) for column in zip(*edges[start : start + BATCH], strict=True)]
        for start in range(0, len(edges), BATCH)
    ]


def _sql(text: str, *, with_tenant: bool = False) -> Run:
    async def run(transaction: BaseDBAsyncClient, tenant_id: str, arguments: Arguments) -> object:
        return await transaction.execute_query_dict(text, [*arguments, tenant_id] if with_tenant else arguments)

    return run


POINT_READ = "SELECT * FROM memory_records WHERE memory_id = $1 AND tenant_id = $2"

NEWEST = "SELECT * FROM memory_records WHERE tenant_id = $1 AND NOT is_deleted ORDER BY created_at DESC LIMIT 50"

_POINT_READ = _sql(POINT_READ, with_tenant=True)

_NEWEST = _sql(NEWEST, with_tenant=True)

_WRITE_EDGE = _sql(
    "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type, confidence_score)"
    " VALUES ($1, $2, $3, $4)"
)

_WRITE_EDGES = _sql(
    "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type, confidence_score)"
    " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::float8[])"
)

_WRITE_CHECKED_EDGES = _sql(
    "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type, confidence_score)"
    " SELECT given.* FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::float8[])"
    " AS given (source, target, type, score)"
    " JOIN memory_records AS source ON source.memory_id = given.source AND source.tenant_id = $5"
    " JOIN memory_records AS target ON target.memory_id = given.target AND target.tenant_id = $5",
    with_tenant=True,
)

_READ_EDGES = _sql("SELECT edge.* FROM memory_relationships AS edge WHERE edge.source_memory_id = ANY ($1::uuid[])")

_READ_EDGES_BY_HAND = _sql(
    "SELECT edge.* FROM memory_relationships AS edge"
    " JOIN memory_records AS source ON source.memory_id = edge.source_memory_id"
    " WHERE edge.source_memory_id = ANY ($1::uuid[]) AND source.tenant_id = $2",
    with_tenant=True,
)

_LATEST_EDGES = _sql(
    "SELECT edge.* FROM memory_relationships AS edge"
    " JOIN memory_records AS source ON source.memory_id = edge.source_memory_id"
    " WHERE source.tenant_id = $1 ORDER BY edge.created_at DESC LIMIT 50",
    with_tenant=True,
)

_THREE_HOPS = _sql(
    "WITH RECURSIVE walk AS ("
    " SELECT memory_id, 0 AS depth FROM memory_records WHERE memory_id = $1 AND tenant_id = $2 AND NOT is_deleted"
    " UNION"
    " SELECT target.memory_id, walk.depth + 1 FROM walk"
    " JOIN memory_relationships AS edge ON edge.source_memory_id = walk.memory_id"
    " JOIN memory_records AS target ON target.memory_id = edge.target_memory_id"
    f" WHERE walk.depth < {HOPS} AND target.tenant_id = $2 AND NOT target.is_deleted"
    ") SELECT memory_id, min(depth) AS depth FROM walk GROUP BY memory_id",
    with_tenant=True,
)

STATEMENTS = (
    Work("point read", one_memory, _POINT_READ, _POINT_READ),
    Work("newest 50", no_arguments, _NEWEST, _NEWEST, plan_cache_mode="force_custom_plan"),
    Work("one edge written", one_edge, _WRITE_EDGE, _WRITE_EDGE, writes=True),
    Work("500 edges written", many_edges, _WRITE_EDGES, _WRITE_EDGES, share=0.25, writes=True),
    Work("500 edges read", memories_with_edges, _READ_EDGES_BY_HAND, _READ_EDGES, share=0.5),
    Work("three hops", one_memory, _THREE_HOPS, _THREE_HOPS),
)

CARELESS_LIST = Work("newest 50, by hand without force_custom_plan", no_arguments, _NEWEST, _NEWEST, share=0.25)
"""The trap: a plan that is kept fits the average tenant."""

CHECKED_EDGES = Work(
    "500 edges written, both ends checked by hand",
    many_edges,
    _WRITE_CHECKED_EDGES,
    _WRITE_EDGES,
    share=0.25,
    writes=True,
)
"""By hand with what a plain INSERT leaves out: a foreign key does not ask whose the memory is."""

DENSE_HOPS = Work("three hops, ten edges leave each memory", one_memory, _THREE_HOPS, _THREE_HOPS, share=0.25)

LATEST_EDGES = Work(
    "newest 50 edges, which has no index",
    no_arguments,
    _LATEST_EDGES,
    _LATEST_EDGES,
    share=0.05,
    plan_cache_mode="force_custom_plan",
)
"""All edges of the tenant are read: where the policy's look-up for each edge shows most."""
