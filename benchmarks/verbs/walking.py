"""Walking three hops along the edges, beside statements by hand and beside a query for each level."""

from __future__ import annotations

from collections.abc import Sequence
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
            timings.append(await _walk(setting, peers, memories.typical, typical, direction))
            timings.append(await _walk(setting, peers, memories.hub_tenant, hub, direction))
    return timings


async def _walk(setting: Setting, peers: Opened, tenant: Tenant, starts: Sequence[UUID], direction: str) -> Timing:
    by_hand = peers.by_hand
    is_hub = tenant is setting.memories.hub_tenant
    rounds = setting.scale.slow_rounds // (4 if is_hub else 1)

    async def hops(peer: Peer, number: int) -> object:
        return await peer.hops(tenant.tenant_id, starts[number], direction, _LIMIT)

    async def hop_ids(number: int) -> object:
        return await by_hand.hop_ids(tenant.tenant_id, starts[number], direction, _LIMIT)

    all_sides = sides(peers.all, hops) | {_ONLY_IDS: Side(timed(hop_ids), by_hand.context)}
    goals = {by_hand.name: Goal("time", 1.15)} | {orm.name: Goal("speed", 2) for orm in peers.orms}
    async with transactions(peers.all, tenant.tenant_id):
        work = f"traverse, 3 hops, {'hub' if is_hub else 'typical'}, {direction}"
        calls = 1 if is_hub else setting.scale.calls
        return await take_turns(work, all_sides, max(rounds, 1), setting.scale.warm_up, goals, calls=calls)
