"""Reading: one memory in an open scope and in one of its own, and the newest 50 with what belongs to them."""

from __future__ import annotations

from benchmarks.interleave import Side, timed
from benchmarks.peers import Peer, langgraph
from benchmarks.verbs.memories import STORE_SCHEMA, Known, known
from benchmarks.verbs.setting import Setting
from benchmarks.verbs.sides import opened, sides, transactions
from benchmarks.verbs.timing import Goal, Timing, take_turns


async def get(setting: Setting) -> list[Timing]:
    """A memory by its id, in a transaction that is open, on one connection with raw asyncpg."""
    scale, tenant_id = setting.scale, setting.memories.typical.tenant_id
    memories = await _drawn(setting)

    async def get_one(peer: Peer, number: int) -> object:
        return await peer.get(tenant_id, memories[number].memory_id)

    async with opened(setting.url) as peers, transactions([peers.ours, *peers.orms], tenant_id):
        peers.by_hand.connection = peers.ours.connection
        all_sides = sides(peers.all, get_one)
        goals = {peers.by_hand.name: Goal("time", 1.6)}
        work = "get, in an open scope"
        return [await take_turns(work, all_sides, scale.rounds, scale.warm_up, goals, calls=scale.calls)]


async def scope(setting: Setting) -> list[Timing]:
    """A memory by its id, in a transaction of its own."""
    scale, tenant_id = setting.scale, setting.memories.typical.tenant_id
    memories = await _drawn(setting)

    async def get_alone(peer: Peer, number: int) -> object:
        return await peer.get_alone(tenant_id, memories[number].memory_id)

    async def get_item(number: int) -> object:
        return await store.get_alone(tenant_id, memories[number].agent_id, memories[number].content_hash)

    async with (
        langgraph.connect(setting.url, schema=STORE_SCHEMA) as store,
        opened(setting.url) as peers,
    ):
        all_sides = sides(peers.all, get_alone) | {store.name: Side(timed(get_item), store.context)}
        goals = {"SQLAlchemy": Goal("speed", 2), "Django": Goal("speed", 2)}
        work = "scope + one get"
        return [await take_turns(work, all_sides, scale.rounds, scale.warm_up, goals, calls=scale.calls)]


async def newest(setting: Setting) -> list[Timing]:
    """The newest 50 memories with their embeddings and outgoing edges, in a transaction that is open."""
    scale, tenant_id = setting.scale, setting.memories.typical.tenant_id

    async def read(peer: Peer, number: int) -> object:
        return await peer.newest(tenant_id)

    async with opened(setting.url) as peers, transactions([peers.ours, *peers.orms], tenant_id):
        peers.by_hand.connection = peers.ours.connection
        all_sides = sides(peers.all, read)
        goals = {peers.by_hand.name: Goal("time", 1.5)}
        work = "newest 50 with embeddings and edges"
        return [await take_turns(work, all_sides, scale.slow_rounds, scale.warm_up, goals, calls=scale.calls)]


async def _drawn(setting: Setting) -> list[Known]:
    """A memory for every call."""
    return await known(setting.url, setting.memories.typical, setting.scale.numbers)
