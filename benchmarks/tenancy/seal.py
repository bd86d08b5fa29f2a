"""What sealing costs: the verbs in scopes of the same memories, sealed and not, taking turns."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass, replace
from typing import TypeAlias

from benchmarks.contexts import OpenScope, open_context, within
from benchmarks.interleave import Comparison, Side, interleave, timed
from benchmarks.tenancy.memories import Tenant
from memory_guild import find, get, relate, remember, tenant_scope, traverse
from memory_guild.database.connecting import settings_for

GOAL = 1.06
"""Of ``get`` in an open scope."""

Verb: TypeAlias = Callable[[Tenant, random.Random], Awaitable[object]]


@dataclass(frozen=True)
class Sealed:
    """What was found.

    Attributes:
        name: What was done.
        comparison: The sealed scope's time as a multiple of the other's.
        goal: The largest ratio that is allowed; None where there is no goal.
    """

    name: str
    comparison: Comparison
    goal: float | None = None


async def _get(tenant: Tenant, chance: random.Random) -> object:
    return await get(chance.choice(tenant.memory_ids))


async def _find(tenant: Tenant, chance: random.Random) -> object:
    return await find(limit=50)


async def _traverse(tenant: Tenant, chance: random.Random) -> object:
    return await traverse(chance.choice(tenant.memory_ids), max_hops=3)


async def _remember(tenant: Tenant, chance: random.Random) -> object:
    return await remember(f"text {chance.random()}", source_type="observation", agent_id="agent-1")


async def _relate(tenant: Tenant, chance: random.Random) -> object:
    source, target = chance.sample(tenant.memory_ids, 2)
    return await relate(source, target, "follows")


_IN_AN_OPEN_SCOPE: dict[str, Verb] = {
    "get": _get,
    "find, 50": _find,
    "traverse, 3 hops": _traverse,
    "remember": _remember,
    "relate": _relate,
}


async def measure_seal(url: str, sealed_url: str, tenant: Tenant, rounds: int) -> list[Sealed]:
    """Measure each verb in an open scope, and a whole scope.

    Args:
        url: A database that is not sealed.
        sealed_url: The same one, sealed.
        tenant: Whose memories.
        rounds: How often.
    """
    settings = [replace(settings_for(one), pool_min=1, pool_max=1) for one in (url, sealed_url)]
    found = []
    async with (
        open_context(settings[0].tortoise_config()) as plain,
        open_context(settings[1].tortoise_config()) as sealed,
    ):
        scopes = [OpenScope(plain), OpenScope(sealed)]
        for name, verb in _IN_AN_OPEN_SCOPE.items():
            for scope in scopes:
                await within(scope.context, scope.begin(tenant.tenant_id))
            try:
                compared = await _compare([_side(scope.context, verb, tenant) for scope in scopes], rounds)
            finally:
                for scope in scopes:
                    await within(scope.context, scope.roll_back())
            found.append(Sealed(f"{name}, in an open scope", compared, GOAL if name == "get" else None))

        async def whole(tenant: Tenant, chance: random.Random) -> None:
            async with tenant_scope(tenant.tenant_id):
                await _get(tenant, chance)

        compared = await _compare([_side(context, whole, tenant) for context in (plain, sealed)], rounds)
        found.append(Sealed("scope + one get", compared))
    return found


def _side(context: Context, verb: Verb, tenant: Tenant) -> Side:
    return Side(timed(lambda number: verb(tenant, random.Random(number))), context)


async def _compare(sides: list[Side], rounds: int) -> Comparison:
    await interleave(sides, 10)
    return Comparison.of(*await interleave(sides, rounds, first=10))
