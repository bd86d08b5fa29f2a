"""What it costs to make sure that both ends of an edge are the tenant's: the policy as shipped beside triggers."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

import asyncpg

from benchmarks.interleave import Comparison, Side, interleave
from benchmarks.tenancy.memories import SCHEMA, Memories, Tenant

_NO_POLICY = "ALTER POLICY tenant_isolation ON memory_relationships WITH CHECK (true);"

_INSERT = (
    "INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type, confidence_score)"
    " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::float8[])"
)


@dataclass(frozen=True)
class Guard:
    """A way to guard an edge.

    Attributes:
        name: What it is.
        setup: The statements that put it in the place of the one that is shipped; empty for that one.
    """

    name: str
    setup: str


GUARDS = (
    Guard(
        "none",
        "ALTER TABLE memory_relationships DISABLE ROW LEVEL SECURITY;"
        "ALTER TABLE memory_relationships DISABLE TRIGGER memory_guild_edge_guard_insert",
    ),
    Guard("the policy's WITH CHECK (as shipped)", ""),
    Guard(
        "trigger, BEFORE INSERT, each row",
        f"""{_NO_POLICY}
        CREATE FUNCTION guard_row() RETURNS TRIGGER LANGUAGE plpgsql AS $body$
        BEGIN
            IF NOT EXISTS (
                SELECT FROM memory_records source JOIN memory_records target ON target.tenant_id = source.tenant_id
                WHERE source.memory_id = NEW.source_memory_id AND target.memory_id = NEW.target_memory_id
            ) THEN
                RAISE EXCEPTION 'the memory does not exist' USING ERRCODE = 'foreign_key_violation';
            END IF;
            RETURN NEW;
        END $body$;
        CREATE TRIGGER guard_row BEFORE INSERT ON memory_relationships FOR EACH ROW EXECUTE FUNCTION guard_row()""",
    ),
    Guard(
        "trigger, AFTER INSERT, each statement",
        f"""{_NO_POLICY}
        CREATE FUNCTION guard_statement() RETURNS TRIGGER LANGUAGE plpgsql AS $body$
        BEGIN
            IF EXISTS (
                SELECT FROM new_rows WHERE NOT EXISTS (
                    SELECT FROM memory_records source JOIN memory_records target ON target.tenant_id = source.tenant_id
                    WHERE source.memory_id = new_rows.source_memory_id AND target.memory_id = new_rows.target_memory_id
                )
            ) THEN
                RAISE EXCEPTION 'the memory does not exist' USING ERRCODE = 'foreign_key_violation';
            END IF;
            RETURN NULL;
        END $body$;
        CREATE TRIGGER guard_statement AFTER INSERT ON memory_relationships REFERENCING NEW TABLE AS new_rows
            FOR EACH STATEMENT EXECUTE FUNCTION guard_statement()""",
    ),
)
"""The first is what the others are compared with."""


async def measure_guards(
    url: str, memories: Memories, *, statements: int, edges: int, rounds: int
) -> dict[str, Comparison]:
    """Write edges of the giant tenant under each guard; nothing of it stays.

    Args:
        url: The database.
        memories: What it holds.
        statements: How many statements one round takes, in one transaction.
        edges: How many edges one statement writes.
        rounds: How many rounds.

    Returns:
        Each guard beside none at all, by the guard's name.
    """
    chance = random.Random(edges)
    connection = await asyncpg.connect(url, server_settings={"search_path": SCHEMA})
    try:
        batches = [_batches(memories.giant, statements, edges, chance) for _ in range(rounds + 1)]

        def side(guard: Guard) -> Side:
            async def measure(number: int) -> float:
                return await _write(connection, guard, memories.giant.tenant_id, batches[number])

            return Side(measure)

        sides = [side(guard) for guard in GUARDS]
        await interleave(sides, 1)
        seconds = await interleave(sides, rounds, first=1)
    finally:
        await connection.close()
    return {guard.name: Comparison.of(seconds[0], other) for guard, other in zip(GUARDS, seconds, strict=True)}


def _batches(tenant: Tenant, statements: int, edges: int, chance: random.Random) -> list[list[tuple[object, ...]]]:
    drawn = tenant.new_edges(statements * edges, chance)
    return [list(zip(*drawn[start : start + edges], strict=True)) for start in range(0, len(drawn), edges)]


async def _write(
    connection: asyncpg.Connection[asyncpg.Record],
    guard: Guard,
    tenant_id: str,
    batches: list[list[tuple[object, ...]]],
) -> float:
    transaction = connection.transaction()
    await transaction.start()
    try:
        if guard.setup:
            await connection.execute(guard.setup)
        await connection.execute("SET LOCAL ROLE memory_guild_app")
        await connection.execute("SELECT set_config('memory_guild.tenant_id', $1, true)", tenant_id)
        began = time.perf_counter()
        for batch in batches:
            await connection.execute(_INSERT, *batch)
        return time.perf_counter() - began
    finally:
        await transaction.rollback()
