"""What storing pays for the search: the same work in a database with it, and in a copy without its triggers."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

import asyncpg

import memory_guild as guild
from benchmarks.contexts import within
from benchmarks.interleave import Side, interleave
from benchmarks.peers import memory_guild as ours
from benchmarks.report import duration
from benchmarks.search.memories import AGENT, Tenant, Words, follow, store
from benchmarks.verbs.timing import OURS, Figure, Goal, Measurement, Timing, take_turns
from memory_guild.models import hash_content

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

WITHOUT = "without the search"
COPY_SEARCHED = "COPY into the same tables"
COPY_PLAIN = "COPY without the search"

_TRIGGERS = """
SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname) FROM pg_trigger
WHERE tgname LIKE 'memory\\_guild\\_words\\_%' OR tgname LIKE 'memory\\_guild\\_vectors\\_%'
"""
_BATCH = 1_000
_FEW = 40
_COLUMNS = ("agent_id", "tenant_id", "source_type", "content_text", "content_hash")


async def drop_triggers(url: str) -> None:
    """Make a copy of a database one without the search."""
    connection = await asyncpg.connect(url)
    try:
        for row in await connection.fetch(_TRIGGERS):
            await connection.execute(row[0])
    finally:
        await connection.close()


async def cpu(with_search: str, without: str, tenant: Tenant, rounds: int) -> list[Measurement]:
    """The processor's time that the server needs more with the search, for each memory."""
    one, other = await asyncpg.connect(with_search), await asyncpg.connect(without)
    try:
        if _seconds(one) is None:
            return [Figure("CPU of storing", "not measured: the server is not a Linux process on this machine")]
        works = {
            f"batches of {_BATCH:,}, without edges": _batch(tenant, is_chain=False),
            f"batches of {_BATCH:,}, each following another": _batch(tenant, is_chain=True),
        }
        figures = [await _compare_cpu(name, work, one, other, rounds, _BATCH) for name, work in works.items()]
    finally:
        await one.close()
        await other.close()
    return [*figures, await _one_by_one(with_search, without, tenant, rounds)]


def _batch(tenant: Tenant, *, is_chain: bool) -> Callable[[Connection, int], Awaitable[None]]:
    words = Words.made()

    async def work(connection: Connection, number: int) -> None:
        chance = random.Random(number)
        ids = [UUID(int=chance.getrandbits(128), version=4) for _ in range(_BATCH)]
        await store(connection, tenant.tenant_id, ids, [words.text(chance) for _ in ids])
        if is_chain:
            await follow(connection, ids)

    return work


async def _compare_cpu(
    name: str, work: Callable[[Any, int], Awaitable[None]], one: Connection, other: Connection, rounds: int, count: int
) -> Figure:
    def side(connection: Connection) -> Side:
        async def measure(number: int) -> float:
            before = _seconds(connection)
            async with _undone(connection):
                await work(connection, number)
                after = _seconds(connection)
            assert before is not None
            assert after is not None
            return (after - before) / count

        return Side(measure)

    with_search, without = await interleave([side(one), side(other)], rounds)
    return _figure(name, with_search, without)


def _figure(name: str, with_search: Sequence[float], without: Sequence[float]) -> Figure:
    more = median(one - other for one, other in zip(with_search, without, strict=True))
    told = f"{duration(more)} CPU more than {duration(median(without))}"
    return Figure(f"storing a memory, {name}", told, "at most 1 ms CPU more", is_met=more <= 0.001)


async def _one_by_one(with_search: str, without: str, tenant: Tenant, rounds: int) -> Figure:
    """`remember` and `relate`, each memory following the one before, in one scope that is undone."""
    words = Words.made()
    measured = []
    for url in (with_search, without):
        async with ours.connect(url) as peer:

            async def work(number: int, peer: ours.MemoryGuildPeer = peer) -> float:
                chance = random.Random(number)
                await peer.begin(tenant.tenant_id)
                async with peer.transaction.driver() as driver:
                    pass
                before = _seconds(driver)
                last = None
                for _ in range(_FEW):
                    memory = await guild.remember(words.text(chance), source_type="conversation", agent_id=AGENT)
                    if last is not None:
                        await guild.relate(memory, last, "follows")
                    last = memory
                after = _seconds(driver)
                await peer.roll_back()
                assert before is not None
                assert after is not None
                return (after - before) / _FEW

            measured.append((await interleave([Side(work, peer.context)], rounds))[0])
    return _figure("remember and relate, one by one", *measured)


async def remember(with_search: str, without: str, tenant: Tenant, rounds: int) -> list[Measurement]:
    """`remember` of a fresh text, in a scope of its own and in an open one, with the search and without."""
    words = Words.made()
    async with ours.connect(without) as plain, ours.connect(with_search) as searched:

        def side(peer: ours.MemoryGuildPeer, *, is_alone: bool) -> Side:
            async def measure(number: int) -> float:
                chance = random.Random(f"{number} {is_alone}")
                text = words.text(chance) + f" {chance.getrandbits(64)}"
                item = {"content_text": text, "source_type": "conversation", "metadata": {}, "agent_id": AGENT}
                began = time.perf_counter()
                await (peer.remember_alone(item | {"tenant_id": tenant.tenant_id}) if is_alone else peer.remember(item))
                return time.perf_counter() - began

            return Side(measure, peer.context)

        goals = {WITHOUT: Goal("time", 1.25)}
        alone = {OURS: side(searched, is_alone=True), WITHOUT: side(plain, is_alone=True)}
        timings: list[Measurement] = [await take_turns("scope + remember, a fresh text", alone, rounds, 3, goals)]
        for peer in (plain, searched):
            await within(peer.context, peer.begin(tenant.tenant_id))
        inside = {OURS: side(searched, is_alone=False), WITHOUT: side(plain, is_alone=False)}
        timings.append(await take_turns("remember, a fresh text, in an open scope", inside, rounds, 3, goals))
        for peer in (plain, searched):
            await within(peer.context, peer.roll_back())
    return timings


async def remember_many(with_search: str, without: str, tenant: Tenant, count: int, rounds: int) -> Timing:
    """`remember_many` with the search, beside a superuser's COPY of the same texts with it and without."""
    words = Words.made()
    async with ours.connect(with_search) as peer:
        one, other = await asyncpg.connect(with_search), await asyncpg.connect(without)

        def texts(number: int) -> list[str]:
            chance = random.Random(number)
            return [f"{words.text(chance)} {number} {place}" for place in range(count)]

        async def verb(number: int) -> float:
            items = [
                {
                    "content_text": text,
                    "source_type": "conversation",
                    "metadata": {},
                    "agent_id": AGENT,
                    "tenant_id": tenant.tenant_id,
                }
                for text in texts(number)
            ]
            began = time.perf_counter()
            await peer.begin(tenant.tenant_id)
            await guild.remember_many(items)
            seconds = time.perf_counter() - began
            await peer.roll_back()
            return seconds

        def copy(connection: Connection) -> Side:
            async def measure(number: int) -> float:
                rows = [(AGENT, tenant.tenant_id, "conversation", text, hash_content(text)) for text in texts(number)]
                async with _undone(connection):
                    began = time.perf_counter()
                    await connection.copy_records_to_table("memory_records", records=rows, columns=_COLUMNS)
                    return time.perf_counter() - began

            return Side(measure)

        sides = {OURS: Side(verb, peer.context), COPY_SEARCHED: copy(one), COPY_PLAIN: copy(other)}
        try:
            goals = {COPY_SEARCHED: Goal("speed", 0.5), COPY_PLAIN: Goal("speed", 0.5)}
            return await take_turns(f"remember_many, {count:,} records", sides, rounds, 0, goals)
        finally:
            await one.close()
            await other.close()


@asynccontextmanager
async def _undone(connection: Connection) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


def _seconds(connection: Any) -> float | None:
    """How long the processor has worked for a connection's server process; None where nobody can say."""
    try:
        counted = Path(f"/proc/{connection.get_server_pid()}/schedstat").read_text(encoding="ascii")
    except OSError:
        return None
    return int(counted.split()[0]) / 1e9
