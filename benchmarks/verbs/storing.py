"""Storing one memory in an open scope: a fresh text beside the raw statement, a duplicate beside an upsert by hand."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.interleave import Side, timed
from benchmarks.peers import Item
from benchmarks.peers import asyncpg as raw
from benchmarks.peers.memory_guild import MemoryGuildPeer, connect
from benchmarks.verbs.memories import Known, known
from benchmarks.verbs.setting import Scale, Setting
from benchmarks.verbs.sides import transactions
from benchmarks.verbs.timing import Goal, Timing, take_turns


async def remember(setting: Setting) -> list[Timing]:
    """Everything on one connection, in one scope that is undone."""
    tenant, scale = setting.memories.typical, setting.scale
    stored = await known(setting.url, tenant, scale.numbers)
    async with connect(setting.url) as ours, transactions([ours], tenant.tenant_id):
        return [
            await _fresh(ours, tenant.tenant_id, scale),
            await _duplicate(ours, tenant.tenant_id, stored, scale),
        ]


async def _fresh(ours: MemoryGuildPeer, tenant_id: str, scale: Scale) -> Timing:
    work, by_hand = "remember, a fresh text", "the raw statement"
    rows = raw.rows([_item(tenant_id, "by hand", number) for number in range(scale.numbers)])

    async def in_scope(number: int) -> object:
        return await ours.remember(_item(tenant_id, "in a scope", number))

    async def store(number: int) -> object:
        return await ours.connection.fetchrow(raw.REMEMBER, *rows[number], True)

    sides = {ours.name: Side(timed(in_scope), ours.context), by_hand: Side(timed(store), ours.context)}
    return await take_turns(work, sides, scale.rounds, scale.warm_up, {by_hand: Goal("time", 1.25)}, calls=scale.calls)


async def _duplicate(ours: MemoryGuildPeer, tenant_id: str, stored: Sequence[Known], scale: Scale) -> Timing:
    work, by_hand = "remember, a duplicate", "an upsert by hand"
    items = [
        _item(tenant_id, "", 0) | {"agent_id": memory.agent_id, "content_text": memory.content_text}
        for memory in stored
    ]
    rows = raw.rows(items)

    async def in_scope(number: int) -> object:
        return await ours.remember(items[number])

    async def upsert(number: int) -> object:
        return await ours.connection.fetchrow(raw.UPSERT, *rows[number])

    sides = {ours.name: Side(timed(in_scope), ours.context), by_hand: Side(timed(upsert), ours.context)}
    return await take_turns(work, sides, scale.rounds, scale.warm_up, {by_hand: Goal("time", 0.6)}, calls=scale.calls)


def _item(tenant_id: str, side: str, number: int) -> Item:
    return {
        "agent_id": "agent-0",
        "tenant_id": tenant_id,
        "source_type": "document",
        "content_text": f"What was learned {side} in round {number}{' and so on' * 12}",
        "metadata": {"subject": "benchmark"},
    }
