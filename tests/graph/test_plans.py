"""The plans of the graph's statements: they find memories and edges by the specification's indexes, hub or not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from memory_guild.database.statements import statement
from memory_guild.graph.neighbors import _CONTRADICTIONS
from tests.databases import copied_database
from tests.memories.storing import Connection
from tests.tenancy.two_tenants import acting_as

MEMORIES = 6_000
HUB_EDGES = 2_000

ROWS = f"""
CREATE FUNCTION pg_temp.id(n int) RETURNS text LANGUAGE sql IMMUTABLE RETURN md5('memory ' || n);
INSERT INTO memory_records (memory_id, agent_id, tenant_id, source_type, content_text, content_hash, is_deleted)
SELECT pg_temp.id(n)::uuid, 'agent-1', CASE WHEN n % 100 = 0 THEN 'tiny' ELSE 'giant' END, 'document', n, md5(n::text),
       n % 50 = 7
FROM generate_series(1, {MEMORIES}) AS n;
INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type, confidence_score)
SELECT pg_temp.id(source)::uuid, pg_temp.id(target)::uuid, kind, source % 10 / 10.0
FROM (
    SELECT 1, n, 'references' FROM generate_series(2, {HUB_EDGES * 100 // 99 + 1}) AS n
    UNION ALL SELECT n, 1 + n * 7919 % {MEMORIES}, 'supports' FROM generate_series(1, {MEMORIES}) AS n
    UNION ALL SELECT n, 1 + n * 104729 % {MEMORIES}, 'follows' FROM generate_series(1, {MEMORIES}) AS n
    UNION ALL SELECT n, n + 100, 'contradicts' FROM generate_series(1, {MEMORIES} - 100) AS n
    UNION ALL SELECT n, n + 300, 'related' FROM generate_series(100, {MEMORIES} - 300, 100) AS n
) AS edge (source, target, kind)
WHERE source <> target AND (source % 100 = 0) = (target % 100 = 0)
ON CONFLICT DO NOTHING;
ANALYZE memory_records, memory_relationships
"""


def _id(number: int) -> str:
    return f"md5('memory {number}')::uuid"


def _ids(*numbers: int) -> str:
    return f"ARRAY[{', '.join(map(_id, numbers))}]"


HUB, TYPICAL = 1, 5_001
SCORES = "ARRAY[0.5, 0.9]::float8[]"
KINDS = "ARRAY['supports', 'follows']"

STATEMENTS: dict[str, tuple[str, str]] = {
    "walk from a hub": ("traverse_memories", f"'giant', {_ids(HUB)}, 3, true, false, NULL, NULL, 1000, NULL"),
    "walk through a hub": ("traverse_memories", f"'giant', {_ids(9)}, 3, true, true, NULL, NULL, 10000, NULL"),
    "walk by type": ("traverse_memories", f"'giant', {_ids(HUB, TYPICAL)}, 3, true, true, {KINDS}, 0.5, 200, NULL"),
    "typical walk": ("traverse_memories", f"'giant', {_ids(TYPICAL)}, 3, true, false, NULL, NULL, 1000, NULL"),
    "path": ("traverse_memories", f"'giant', {_ids(TYPICAL)}, 6, true, true, NULL, NULL, 10000, {_id(HUB)}"),
    "neighbors of a hub": ("neighbor_edges", f"{_id(HUB)}, true, true, NULL, NULL, 100"),
    "typical neighbors": ("neighbor_edges", f"{_id(TYPICAL)}, true, false, {KINDS}, 0.5, 100"),
    "edges among": ("edges_among_memories", f"{_ids(HUB, *range(5_001, 5_050))}, NULL, NULL"),
    "relate": ("relate_memories", f"{_id(HUB)}, {_id(TYPICAL)}, 'supports', 0.5, true"),
    "store edges": ("store_edges", f"{_ids(HUB, 2)}, {_ids(TYPICAL, 3)}, {KINDS}, {SCORES}"),
    "stored edges": ("stored_edges", f"{_ids(HUB, 2)}, {_ids(TYPICAL, 3)}, {KINDS}"),
    "raise confidences": ("raise_confidences", f"{_ids(HUB, 2)}, {SCORES}"),
    "unrelate": ("unrelate_memories", f"{_id(HUB)}, {_id(TYPICAL)}, NULL"),
}


@pytest.fixture(scope="module")
def unequal_url(server_url: str, template: str) -> Iterator[str]:
    """A database with a giant tenant, in which there is a hub, and a tiny one."""
    with copied_database(server_url, template, ROWS) as url:
        yield url


@pytest.fixture
async def as_app(unequal_url: str) -> AsyncIterator[Connection]:
    """The giant tenant's scope, as plain SQL."""
    async with acting_as("app", unequal_url, "giant") as connection:
        yield connection


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(("name", "arguments"), STATEMENTS.values(), ids=STATEMENTS)
async def test_memories_and_edges_are_found_by_index(as_app: Connection, name: str, arguments: str, mode: str) -> None:
    plan = await _plan(as_app, name, arguments, mode)
    assert _read_as_a_whole(plan) == []
    assert _indexes(plan)


@pytest.mark.parametrize(
    ("tenant_id", "memory", "index"),
    [("giant", _id(TYPICAL), "idx_relationships_target"), ("tiny", "NULL", "idx_memory_tenant")],
)
async def test_contradictions_are_found_by_index(unequal_url: str, tenant_id: str, memory: str, index: str) -> None:
    """They are planned for the tenant and the memory at hand."""
    assert _CONTRADICTIONS._planned_for_values
    async with acting_as("app", unequal_url, tenant_id) as connection:
        arguments = f"'{tenant_id}', {memory}, NULL, 100"
        plan = await _plan(connection, "contradictions", arguments, "force_custom_plan")
    assert _read_as_a_whole(plan) == []
    assert index in _indexes(plan)


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_what_was_seen_is_not_compared_with_each_edge(as_app: Connection, mode: str) -> None:
    """Behind a hub thousands of edges meet thousands of memories: no step of the plan meets their product."""
    plan = await _plan(as_app, *STATEMENTS["walk through a hub"], mode, run=True)
    met = [
        (node["Actual Rows"] + node.get("Rows Removed by Join Filter", 0)) * node["Actual Loops"]
        for node in _nodes(plan)
    ]
    assert HUB_EDGES < max(met) < 50 * HUB_EDGES


async def test_of_a_hub_as_many_neighbors_are_looked_up_as_are_wanted(as_app: Connection) -> None:
    plan = await _plan(as_app, *STATEMENTS["neighbors of a hub"], "force_generic_plan", run=True)
    assert plan["Actual Rows"] == 100
    joins = [node for node in _nodes(plan) if node["Node Type"] == "Nested Loop"]
    assert [join["Actual Rows"] for join in joins] == [100]


async def _plan(connection: Connection, name: str, arguments: str, mode: str, *, run: bool = False) -> dict[str, Any]:
    await connection.execute(f"SET LOCAL plan_cache_mode = {mode}; PREPARE planned AS {statement(f'graph/{name}')}")
    explain = "EXPLAIN (ANALYZE, FORMAT JSON)" if run else "EXPLAIN (FORMAT JSON)"
    (explained,) = json.loads(await connection.fetchval(f"{explain} EXECUTE planned ({arguments})"))
    plan: dict[str, Any] = explained["Plan"]
    return plan


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps of a plan, but for those that the planner knows never to run."""
    yield plan
    if plan.get("One-Time Filter") != "false":
        for child in plan.get("Plans", []):
            yield from _nodes(child)


def _read_as_a_whole(plan: dict[str, Any]) -> list[str]:
    return [node["Relation Name"] for node in _nodes(plan) if node["Node Type"] == "Seq Scan"]


def _indexes(plan: dict[str, Any]) -> set[str]:
    return {node["Index Name"] for node in _nodes(plan) if "Index Name" in node}
