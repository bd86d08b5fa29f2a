"""Walking three hops along the edges, beside statements by hand and beside a query for each level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from benchmarks.interleave import Side, timed
from benchmarks.peers import Peer
from benchmarks.verbs.memories import Tenant, known
from benchmarks.verbs.setting import Setting
from benchmarks.verbs.sides import Opened, opened, sides, transactions
from benchmarks.verbs.timing import Goal, Timing, take_turns
from memory_guild.rows import memories_from

_LIMIT = 10_000
"""More than there are to be found: nothing is cut."""

_ONLY_IDS = "raw asyncpg, ids only"
_MODELS = "raw asyncpg, then models"
"""The statement by hand, and the models of its rows without paths and steps: what a verb as fast as it would take."""


@dataclass(frozen=True)
class _Walk:
    """Where walks of a tenant start, and how often they are taken.

    Attributes:
        place: What the table calls the starts.
        tenant: Whose memories they are.
        starts: One for each call.
        rounds: How many rounds.
        calls: How many calls in one.
    """

    place: str
    tenant: Tenant
    starts: Sequence[UUID]
    rounds: int
    calls: int


async def traverse(setting: Setting) -> list[Timing]:
    """From typical starts and from a hub, along the edges and either way; the verb, and its statement alone."""
    scale, memories = setting.scale, setting.memories
    drawn = await known(setting.url, memories.typical, scale.numbers)
    rounds = scale.slow_rounds
    walks = [
        _Walk("typical", memories.typical, [memory.memory_id for memory in drawn], rounds, scale.calls),
        _Walk("hub", memories.hub_tenant, [memories.hub] * len(drawn), max(rounds // 4, 1), 1),
    ]
    timings = []
    async with opened(setting.url) as peers:
        for direction in ("outgoing", "both"):
            for walk in walks:
                async with transactions(peers.all, walk.tenant.tenant_id):
                    timings.append(await _verb(walk, peers, direction, scale.warm_up))
                    timings.append(await _statement(walk, peers, direction, scale.warm_up))
    return timings


async def _verb(walk: _Walk, peers: Opened, direction: str, warm_up: int) -> Timing:
    by_hand = peers.by_hand

    async def hops(peer: Peer, number: int) -> object:
        return await peer.hops(walk.tenant.tenant_id, walk.starts[number], direction, _LIMIT)

    async def hop_ids(number: int) -> object:
        return await by_hand.hop_ids(walk.tenant.tenant_id, walk.starts[number], direction, _LIMIT)

    async def hop_models(number: int) -> object:
        rows = await by_hand.hops(walk.tenant.tenant_id, walk.starts[number], direction, _LIMIT)
        return memories_from(rows)

    all_sides = sides(peers.all, hops)
    all_sides |= {_ONLY_IDS: Side(timed(hop_ids), by_hand.context), _MODELS: Side(timed(hop_models), by_hand.context)}
    goals = {by_hand.name: Goal("time", 1.15)} | {orm.name: Goal("speed", 2) for orm in peers.orms}
    work = f"traverse, 3 hops, {walk.place}, {direction}"
    return await take_turns(work, all_sides, walk.rounds, warm_up, goals, calls=walk.calls)


async def _statement(walk: _Walk, peers: Opened, direction: str, warm_up: int) -> Timing:
    """The walk without what Python makes of it: statement beside statement."""
    ours, by_hand = peers.ours, peers.by_hand

    async def hop_rows(number: int) -> object:
        return await ours.hop_rows(walk.tenant.tenant_id, walk.starts[number], direction, _LIMIT)

    async def hops(number: int) -> object:
        return await by_hand.hops(walk.tenant.tenant_id, walk.starts[number], direction, _LIMIT)

    both = {ours.name: Side(timed(hop_rows), ours.context), by_hand.name: Side(timed(hops), by_hand.context)}
    work = f"traverse, its rows alone, {walk.place}, {direction}"
    goals = {by_hand.name: Goal("time", 1.15)}
    return await take_turns(work, both, walk.rounds, warm_up, goals, calls=walk.calls)
