"""Walking three hops along the edges, beside statements by hand and beside a query for each level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from benchmarks.interleave import Side, timed
from benchmarks.peers import Peer
from benchmarks.verbs.memories import Tenant, known
from benchmarks.verbs.setting import Setting
from benchmarks.verbs.sides import Opened, opened, sides, transactions
from benchmarks.verbs.timing import Goal, Timing, take_turns

_LIMIT = 10_000
"""More than there are to be found: nothing is cut."""

_ONLY_IDS = "raw asyncpg, ids only"


async def traverse(setting: Setting) -> list[Timing]:
    """From typical starts and from a hub, along the edges and either way."""
    scale, memories = setting.scale, setting.memories
    drawn = await known(setting.url, memories.typical, scale.numbers)
    typical = [memory.memory_id for memory in drawn]
    hub = [memories.hub] * len(typical)
    timings = []
    async with opened(setting.url) as peers:
        for direction in ("outgoing", "both"):
            for tenant, starts in ((memories.typical, typical), (memories.hub_tenant, hub)):
                async with transactions(peers.all, tenant.tenant_id):
                    timings.append(await _walk(setting, peers, tenant, starts, direction))
                    timings.append(await _statement(setting, peers, tenant, starts, direction))
    return timings


async def _walk(setting: Setting, peers: Opened, tenant: Tenant, starts: Sequence[UUID], direction: str) -> Timing:
    by_hand = peers.by_hand

    async def hops(peer: Peer, number: int) -> object:
        return await peer.hops(tenant.tenant_id, starts[number], direction, _LIMIT)

    async def hop_ids(number: int) -> object:
        return await by_hand.hop_ids(tenant.tenant_id, starts[number], direction, _LIMIT)

    all_sides = sides(peers.all, hops) | {_ONLY_IDS: Side(timed(hop_ids), by_hand.context)}
    goals = {by_hand.name: Goal("time", 1.15)} | {orm.name: Goal("speed", 2) for orm in peers.orms}
    return await _timed(setting, tenant, f"3 hops, {_place(setting, tenant)}, {direction}", all_sides, goals)


async def _statement(setting: Setting, peers: Opened, tenant: Tenant, starts: Sequence[UUID], direction: str) -> Timing:
    """The walk without what Python makes of it: statement beside statement."""
    ours, by_hand = peers.ours, peers.by_hand

    async def hop_rows(number: int) -> object:
        return await ours.hop_rows(tenant.tenant_id, starts[number], direction, _LIMIT)

    async def hops(number: int) -> object:
        return await by_hand.hops(tenant.tenant_id, starts[number], direction, _LIMIT)

    both = {ours.name: Side(timed(hop_rows), ours.context), by_hand.name: Side(timed(hops), by_hand.context)}
    work = f"its rows alone, {_place(setting, tenant)}, {direction}"
    return await _timed(setting, tenant, work, both, {by_hand.name: Goal("time", 1.15)})


def _place(setting: Setting, tenant: Tenant) -> str:
    return "hub" if tenant is setting.memories.hub_tenant else "typical"


async def _timed(
    setting: Setting, tenant: Tenant, work: str, of: Mapping[str, Side], goals: Mapping[str, Goal]
) -> Timing:
    scale = setting.scale
    is_hub = tenant is setting.memories.hub_tenant
    rounds = max(scale.slow_rounds // (4 if is_hub else 1), 1)
    calls = 1 if is_hub else scale.calls
    return await take_turns(f"traverse, {work}", of, rounds, scale.warm_up, goals, calls=calls)
