"""Storing many records at once, a tenth of them duplicates, beside a superuser's COPY, which knows no duplicates."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import Context
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any

import asyncpg

from benchmarks.interleave import Side
from benchmarks.peers import Item, Peer, django, langgraph, memory_guild, sqlalchemy, tortoise
from benchmarks.peers import asyncpg as raw
from benchmarks.verbs.memories import PLAIN_SCHEMA, SCHEMA, STORE_SCHEMA, Known, known
from benchmarks.verbs.setting import Setting
from benchmarks.verbs.timing import Goal, Timing, take_turns

_GUARDED = f"{SCHEMA}.memory_records"
_PLAIN = f"{PLAIN_SCHEMA}.memory_records"
_STORE = f"{STORE_SCHEMA}.store"

COPY = "COPY by a superuser"
COPY_NEW = "COPY of the new ones alone"

_GOALS = {COPY: Goal("speed", 0.75), COPY_NEW: Goal("speed", 0.75)} | {
    peer: Goal("speed", 1) for peer in ("SQLAlchemy", "Django", "Tortoise", "LangGraph")
}

_NEW = "A new text"
"""How each text begins that a round has stored; what was there begins otherwise."""


@dataclass(frozen=True)
class Batch:
    """The records of one round, the same for all sides.

    Attributes:
        items: All of them: nine tenths are new, the others half stored before and half repeated.
        new: Those that are new, each once.
        as_many: As many as all, but each of them new: those, and others instead of the duplicates.
    """

    items: Sequence[Item]
    new: Sequence[Item]
    as_many: Sequence[Item]

    @classmethod
    def draw(cls, number: int, count: int, tenant_id: str, stored: Sequence[Known]) -> Batch:
        """Draw the records of a round."""
        chance = random.Random(number * 1_000_003 + count)
        agents = [memory.agent_id for memory in stored[:10]]
        duplicates = count // 10
        as_many = [
            _item(chance.choice(agents), tenant_id, f"{_NEW}, {chance.getrandbits(64):x}{' and so on' * 12}", position)
            for position in range(count)
        ]
        new = as_many[: count - duplicates]
        before = chance.sample(stored, duplicates // 2)
        items = [
            *new,
            *chance.sample(new, duplicates - len(before)),
            *(_item(memory.agent_id, tenant_id, memory.content_text, 0) for memory in before),
        ]
        chance.shuffle(items)
        return cls(items, new, as_many)


def _item(agent_id: str, tenant_id: str, content_text: str, position: int) -> Item:
    return {
        "agent_id": agent_id,
        "tenant_id": tenant_id,
        "source_type": "document",
        "content_text": content_text,
        "metadata": {"position": position},
    }


@dataclass(frozen=True)
class Contender:
    """A way to store a batch.

    Attributes:
        name: What the table calls it.
        context: The context variables that it needs.
        table: Where the records go.
        store: Stores what ``prepare`` has made of the batch.
        prepare: Prepares the batch, before the clock starts.
    """

    name: str
    context: Context
    table: str
    store: Callable[[Any], Awaitable[object]]
    prepare: Callable[[Batch], Any] = attrgetter("items")

    def side(self, pool: asyncpg.Pool[asyncpg.Record], draw: Callable[[int], Batch]) -> Side:
        """Store a batch each round; what it has stored is deleted before the next."""

        async def measure(number: int) -> float:
            given = self.prepare(draw(number))
            began = time.perf_counter()
            await self.store(given)
            seconds = time.perf_counter() - began
            await _clean(pool, self.table)
            return seconds

        return Side(measure, self.context)


async def remember_many(setting: Setting) -> list[Timing]:
    """Batches of several sizes; every side finds the table as it was before the round."""
    tenant = setting.memories.largest
    largest = max(count for count, _ in setting.scale.bulk_rounds)
    stored = await known(setting.url, tenant, largest // 20)
    timings = []
    async with _contenders(setting.url) as contenders, asyncpg.create_pool(setting.url, min_size=1) as pool:
        for count, rounds in setting.scale.bulk_rounds:
            # All sides of a round get the same batch, which takes a second to draw.
            draw = lru_cache(1)(partial(Batch.draw, count=count, tenant_id=tenant.tenant_id, stored=stored))
            sides = {contender.name: contender.side(pool, draw) for contender in contenders}
            timings.append(await take_turns(f"remember_many, {count:,} records", sides, rounds, 0, _GOALS))
    return timings


@asynccontextmanager
async def _contenders(url: str) -> AsyncIterator[list[Contender]]:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(langgraph.connect(url, schema=STORE_SCHEMA))
        by_hand = await stack.enter_async_context(raw.connect(url, schema=PLAIN_SCHEMA))
        orms: list[Peer] = [
            await stack.enter_async_context(module.connect(url, schema=PLAIN_SCHEMA))
            for module in (sqlalchemy, django, tortoise)
        ]
        ours = await stack.enter_async_context(memory_guild.connect(url))  # the last, see open_context()
        yield [
            Contender(ours.name, ours.context, _GUARDED, ours.store_many),
            Contender(COPY, by_hand.context, _PLAIN, by_hand.copy, lambda batch: raw.rows(batch.as_many)),
            Contender(COPY_NEW, by_hand.context, _PLAIN, by_hand.copy, lambda batch: raw.rows(batch.new)),
            *(Contender(orm.name, orm.context, _PLAIN, orm.store_many) for orm in orms),
            Contender(store.name, store.context, _STORE, store.store_many),
        ]


async def _clean(pool: asyncpg.Pool[asyncpg.Record], table: str) -> None:
    text = "value ->> 'content_text'" if table == _STORE else "content_text"
    async with pool.acquire() as connection:
        # Nothing refers to these rows yet: the foreign keys' triggers need not look.
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(f"DELETE FROM {table} WHERE starts_with({text}, '{_NEW}')")
        await connection.execute(f"VACUUM {table}")
    gc.collect()
