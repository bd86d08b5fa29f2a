"""Storing one memory: a fresh text beside the raw statement, a duplicate beside an upsert by hand."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.interleave import Side, timed
from benchmarks.peers import Item
from benchmarks.peers import asyncpg as raw
from benchmarks.peers.asyncpg import AsyncpgPeer
from benchmarks.peers.memory_guild import MemoryGuildPeer, connect
from benchmarks.verbs.memories import known
from benchmarks.verbs.setting import Scale, Setting
from benchmarks.verbs.sides import transactions
from benchmarks.verbs.timing import Goal, Timing, take_turns

_UPSERT = "an upsert by hand"


async def remember(setting: Setting) -> list[Timing]:
    """On one connection, in one scope that is undone; and a duplicate in a transaction of its own."""
    tenant, scale = setting.memories.typical, setting.scale
    stored = await known(setting.url, tenant, scale.numbers)
    duplicates = [
        _item(tenant.tenant_id, "", 0) | {"agent_id": memory.agent_id, "content_text": memory.content_text}
        for memory in stored
    ]
    async with raw.connect(setting.url, is_sparing=True) as by_hand, connect(setting.url) as ours:
        async with transactions([ours], tenant.tenant_id):
            timings = [await _fresh(ours, tenant.tenant_id, scale), await _duplicate(ours, duplicates, scale)]
        return [*timings, await _duplicate_alone(ours, by_hand, duplicates, scale)]


async def _fresh(ours: MemoryGuildPeer, tenant_id: str, scale: Scale) -> Timing:
    work, by_hand = "remember, a fresh text", "the raw statement"
    rows = raw.rows([_item(tenant_id, "by hand", number) for number in range(scale.numbers)])

    async def in_scope(number: int) -> object:
        return await ours.remember(_item(tenant_id, "in a scope", number))

    async def store(number: int) -> object:
        return await ours.connection.fetchrow(raw.REMEMBER, *rows[number], None)  # created now

    sides = {ours.name: Side(timed(in_scope), ours.context), by_hand: Side(timed(store), ours.context)}
    return await take_turns(work, sides, scale.rounds, scale.warm_up, {by_hand: Goal("time", 1.25)}, calls=scale.calls)


async def _duplicate(ours: MemoryGuildPeer, items: Sequence[Item], scale: Scale) -> Timing:
    work, read = "remember, a duplicate", "reading it by its key"
    rows = raw.rows(items)

    async def in_scope(number: int) -> object:
        return await ours.remember(items[number])

    async def upsert(number: int) -> object:
        return await ours.connection.fetchrow(raw.UPSERT, *rows[number])

    async def read_it(number: int) -> object:
        agent_id, tenant_id, _, _, content_hash, _ = rows[number]
        return await ours.connection.fetchrow(raw.BY_KEY, agent_id, tenant_id, content_hash)

    sides = {
        ours.name: Side(timed(in_scope), ours.context),
        _UPSERT: Side(timed(upsert), ours.context),
        read: Side(timed(read_it), ours.context),
    }
    return await take_turns(work, sides, scale.rounds, scale.warm_up, {_UPSERT: Goal("time", 0.6)}, calls=scale.calls)


async def _duplicate_alone(ours: MemoryGuildPeer, by_hand: AsyncpgPeer, items: Sequence[Item], scale: Scale) -> Timing:
    work = "scope + remember, a duplicate"

    async def in_scope(number: int) -> object:
        return await ours.remember_alone(items[number])

    async def upsert(number: int) -> object:
        return await by_hand.upsert_alone(items[number])

    sides = {ours.name: Side(timed(in_scope), ours.context), _UPSERT: Side(timed(upsert), by_hand.context)}
    return await take_turns(work, sides, scale.rounds, scale.warm_up, {_UPSERT: Goal("time", 0.6)}, calls=scale.calls)


def _item(tenant_id: str, side: str, number: int) -> Item:
    return {
        "agent_id": "agent-0",
        "tenant_id": tenant_id,
        "source_type": "document",
        "content_text": f"What was learned {side} in round {number}{' and so on' * 12}",
        "metadata": {"subject": "benchmark"},
    }
