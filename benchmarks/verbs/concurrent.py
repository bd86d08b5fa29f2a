"""Concurrency: 32 tasks, four reads to each write, each in a transaction of its own, on pools of one size."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple, TypeAlias

from benchmarks.interleave import Side, timed
from benchmarks.peers import Item, langgraph, memory_guild
from benchmarks.peers import asyncpg as raw
from benchmarks.peers.asyncpg import AsyncpgPeer
from benchmarks.peers.langgraph import LanggraphPeer
from benchmarks.peers.memory_guild import MemoryGuildPeer
from benchmarks.verbs.memories import STORE_SCHEMA, Known, known
from benchmarks.verbs.setting import Setting
from benchmarks.verbs.timing import Goal, Timing, take_turns

TASKS = 32
CONNECTIONS = 10
SPARING = "raw asyncpg, COMMIT and reset in one"

_SHARE_OF_WRITES = 0.2
_GOALS = {"raw asyncpg": Goal("speed", 0.9), SPARING: Goal("speed", 0.9), "LangGraph": Goal("speed", 2)}


class Transaction(NamedTuple):
    """A memory of a tenant that is read, or an item of it that is stored."""

    tenant_id: str
    memory: Known
    item: Item | None


_Run: TypeAlias = Callable[[Transaction], Awaitable[object]]


async def concurrent(setting: Setting) -> list[Timing]:
    """The same transactions on every side, in the same order in each task."""
    scale, url = setting.scale, setting.url
    stored = {tenant.tenant_id: await known(url, tenant, 500) for tenant in setting.memories.tenants}

    def side(name: str, peer: MemoryGuildPeer | AsyncpgPeer | LanggraphPeer, run: _Run) -> Side:
        async def work(number: int) -> None:
            await asyncio.gather(*(_run_all(run, given) for given in drawn[name, number]))

        drawn = {
            (name, number): _draw(name, number, scale.transactions, stored)
            for number in range(1 + scale.concurrent_rounds)
        }
        return Side(timed(work), peer.context)

    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(langgraph.connect(url, schema=STORE_SCHEMA, connections=CONNECTIONS))
        by_hand = await stack.enter_async_context(raw.connect(url, connections=CONNECTIONS))
        sparing = await stack.enter_async_context(raw.connect(url, connections=CONNECTIONS, is_sparing=True))
        ours = await stack.enter_async_context(memory_guild.connect(url, connections=CONNECTIONS))
        sides = {
            ours.name: side(ours.name, ours, _on_tables(ours)),
            by_hand.name: side(by_hand.name, by_hand, _on_tables(by_hand)),
            SPARING: side(SPARING, sparing, _on_tables(sparing)),
            store.name: side(store.name, store, _in_store(store)),
        }
        work = f"{TASKS} tasks, 80 % reads, 20 % writes"
        return [await take_turns(work, sides, scale.concurrent_rounds, 1, _GOALS)]


def _on_tables(peer: MemoryGuildPeer | AsyncpgPeer) -> _Run:
    async def run(given: Transaction) -> object:
        if given.item is not None:
            return await peer.remember_alone(given.item)
        return await peer.get_alone(given.tenant_id, given.memory.memory_id)

    return run


def _in_store(store: LanggraphPeer) -> _Run:
    async def run(given: Transaction) -> object:
        if given.item is not None:
            await store.remember_alone(given.item)
            return None
        return await store.get_alone(given.tenant_id, given.memory.agent_id, given.memory.content_hash)

    return run


async def _run_all(run: _Run, transactions: Sequence[Transaction]) -> None:
    for given in transactions:
        await run(given)


def _draw(side: str, number: int, count: int, stored: Mapping[str, Sequence[Known]]) -> list[list[Transaction]]:
    """The transactions of each task; sides differ in nothing but the texts that they store, so that each is fresh."""
    chance = random.Random(number)
    tenants = list(stored)
    tasks = []
    for task in range(TASKS):
        transactions = []
        for place in range(count):
            tenant_id = chance.choice(tenants)
            memory = chance.choice(stored[tenant_id])
            is_write = chance.random() < _SHARE_OF_WRITES
            text = f"What {side} learned in round {number}, task {task}, place {place}{' and so on' * 12}"
            transactions.append(Transaction(tenant_id, memory, _item(tenant_id, memory, text) if is_write else None))
        tasks.append(transactions)
    return tasks


def _item(tenant_id: str, memory: Known, text: str) -> Item:
    return {
        "agent_id": memory.agent_id,
        "tenant_id": tenant_id,
        "source_type": "document",
        "content_text": text,
        "metadata": {"subject": "benchmark"},
    }
