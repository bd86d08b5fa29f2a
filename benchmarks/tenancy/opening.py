"""What it costs to open and close a scope, beside a transaction on a raw asyncpg pool."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from benchmarks.contexts import open_context, within
from benchmarks.interleave import Comparison, Side, interleave, timed
from benchmarks.tenancy.memories import Tenant
from benchmarks.tenancy.round_trips import arguments, counted
from benchmarks.tenancy.statements import NEWEST, POINT_READ
from memory_guild.settings import Settings
from memory_guild.tenancy import tenant_scope


@dataclass(frozen=True)
class Inside:
    """What is done in the transaction.

    Attributes:
        name: What it is.
        statement: The statement, with the tenant as its last argument; None for nothing at all.
        takes_memory: Whether its first argument is a memory.
        plan_cache_mode: What a careful person sets together with the tenant.
    """

    name: str
    statement: str | None
    takes_memory: bool = False
    plan_cache_mode: str = "auto"


INSIDES = (
    Inside("nothing", None),
    Inside("point read", POINT_READ, takes_memory=True),
    Inside("newest 50", NEWEST, plan_cache_mode="force_custom_plan"),
)


@dataclass(frozen=True)
class Opening:
    """What was found.

    Attributes:
        name: What was done inside.
        round_trips_by_hand: How many round trips it took on the raw pool.
        round_trips: How many it took in a scope.
        work_round_trips: How many of them are the work itself.
        comparison: The time of the scope as a multiple of the raw pool's.
    """

    name: str
    round_trips_by_hand: int
    round_trips: int
    work_round_trips: int
    comparison: Comparison


async def measure_openings(settings: Settings, tenant: Tenant, rounds: int) -> list[Opening]:
    """Measure all of them, the round trips through a proxy and the time without."""
    async with counted(settings) as (through_proxy, trips), _both(through_proxy) as works:
        found = []
        for inside in INSIDES:
            numbers = []
            for context, work in works:
                for _ in range(2):  # the first time a statement is prepared, too
                    before = trips.count
                    await within(context, work(inside, tenant, 0))
                numbers.append(trips.count - before)
            found.append(numbers)
    openings = []
    async with _both(settings) as works:
        for inside, (by_hand, in_scope) in zip(INSIDES, found, strict=True):
            sides = [_side(context, work, inside, tenant) for context, work in works]
            await interleave(sides, 6)
            comparison = Comparison.of(*await interleave(sides, rounds))
            openings.append(Opening(inside.name, by_hand, in_scope, int(inside.statement is not None), comparison))
    return openings


_Work = Callable[[Inside, Tenant, int], Any]


def _side(context: Context, work: _Work, inside: Inside, tenant: Tenant) -> Side:
    def run(number: int) -> Awaitable[object]:
        result: Awaitable[object] = work(inside, tenant, number)
        return result

    return Side(timed(run), context)


@asynccontextmanager
async def _both(settings: Settings) -> AsyncIterator[list[tuple[Context, _Work]]]:
    """By hand on a raw pool with asyncpg's own reset, and in a scope."""
    async with (
        asyncpg.create_pool(**arguments(settings), min_size=1, max_size=1) as pool,
        open_context(replace(settings, pool_min=1, pool_max=1).tortoise_config()) as context,
    ):

        async def by_hand(inside: Inside, tenant: Tenant, number: int) -> None:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(
                    "SELECT set_config('memory_guild.tenant_id', $1, true), set_config('plan_cache_mode', $2, true)",
                    tenant.tenant_id,
                    inside.plan_cache_mode,
                )
                if inside.statement is not None:
                    await connection.fetch(inside.statement, *_values(inside, tenant, number))

        async def in_scope(inside: Inside, tenant: Tenant, number: int) -> None:
            async with tenant_scope(tenant.tenant_id) as scope:
                if inside.statement is not None:
                    # Plain SQL is planned for the tenant; a read by key need not be, as a queryset by key is not.
                    run = scope.transaction.execute_by_key if inside.takes_memory else scope.transaction.execute_query
                    await run(inside.statement, _values(inside, tenant, number))

        yield [(copy_context(), by_hand), (context, in_scope)]


def _values(inside: Inside, tenant: Tenant, number: int) -> list[object]:
    memory_id = random.Random(number).choice(tenant.memory_ids)
    return [memory_id, tenant.tenant_id] if inside.takes_memory else [tenant.tenant_id]
