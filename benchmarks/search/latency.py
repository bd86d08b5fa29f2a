"""Recall beside the bare query of the vectors, tenant by tenant, and what an index for a large tenant changes."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from statistics import mean, median

import asyncpg

import memory_guild as guild
from benchmarks.interleave import Side, timed
from benchmarks.report import duration
from benchmarks.search.memories import MODEL, Meanings, Tenant, Words
from benchmarks.verbs.timing import OURS, Figure, Goal, Measurement, Timing, take_turns
from memory_guild.database.scope import current_scope

BARE = "the bare vector query"
EXACTLY = """
SELECT memory_id, memory_guild_likeness(embedding, memory_guild_vector($3::text)) AS likeness
FROM memory_vectors
WHERE tenant_id = $1::varchar AND embedding_model = $2::varchar AND is_current
ORDER BY likeness DESC, memory_id LIMIT $4
"""
NEAREST = "SELECT memory_id, likeness FROM memory_guild_nearest($1, $2, memory_guild_vector($3), $4)"

_MANY = 10_000
_NO_WORD = "xyzzy"  # no memory has it
_DEEPEST = 20


class Questions:
    """Texts and vectors like those of the memories, but others."""

    def __init__(self, count: int) -> None:
        words, chance = Words.made(), random.Random(2)
        self.texts = [words.text(chance) for _ in range(count)]
        self.vectors = [vector.tolist() for vector in Meanings(seed=2).vectors(count)]


async def latency(tenants: Sequence[Tenant], rounds: int) -> list[Measurement]:
    """Recall of ten memories by words and vectors, in an open scope."""
    return [await _latency(tenant, rounds) for tenant in tenants]


async def _latency(tenant: Tenant, rounds: int, addition: str = "") -> Measurement:
    questions = Questions(rounds + 2)
    async with guild.tenant_scope(tenant.tenant_id):

        async def recall(number: int) -> object:
            return await guild.recall(questions.texts[number], vector=questions.vectors[number], model=MODEL)

        async def bare(number: int) -> object:
            return await _rows(EXACTLY, tenant, questions.vectors[number], 10)

        await current_scope().transaction.plan_for_values()
        sides = {OURS: Side(timed(recall)), BARE: Side(timed(bare))}
        work = f"recall, {tenant.count:,} memories{addition}"
        timing = await take_turns(work, sides, rounds, 2, {BARE: Goal("time", 3)})
    return timing if tenant.count >= _MANY else _difference(timing)


def _difference(timing: Timing) -> Figure:
    more = median(ours - bare for ours, bare in zip(timing.seconds[OURS], timing.seconds[BARE], strict=True))
    told = f"{duration(more)} more than {duration(timing.medians[BARE])}"
    return Figure(timing.work, told, "at most 10 ms more", is_met=more <= 0.01)


async def index(url: str, tenant: Tenant, rounds: int) -> list[Measurement]:
    """Build the index of a tenant's vectors; recall with it, and its part alone."""
    names = [found.name for found in await guild.schema.indexes.recommend(url, min_vectors=tenant.count)][-1:]
    began = time.perf_counter()
    await guild.schema.indexes.create(url, names=names, min_vectors=tenant.count)
    built = Figure(f"index of {tenant.count:,} vectors", f"{time.perf_counter() - began:.0f} s to build")
    questions = Questions(rounds + 2)
    async with guild.tenant_scope(tenant.tenant_id):

        async def along_index(number: int) -> object:
            return await _rows(NEAREST, tenant, questions.vectors[number], 100)

        async def bare(number: int) -> object:
            return await _rows(EXACTLY, tenant, questions.vectors[number], 100)

        await current_scope().transaction.plan_for_values()
        work = f"the most alike 100 of {tenant.count:,}, with the index"
        sides = {OURS: Side(timed(along_index)), BARE: Side(timed(bare))}
        timing = await take_turns(work, sides, rounds, 2, {BARE: Goal("time", 1)})
    return [built, timing, await _latency(tenant, rounds, ", with the index")]


async def exactness(tenants: Sequence[Tenant], questions: int) -> list[Measurement]:
    """How many of the exact answer recall's vectors have, in the first ten and twenty, and whether any are missing."""
    return [await _exactness(tenant, Questions(questions)) for tenant in tenants]


async def _exactness(tenant: Tenant, questions: Questions) -> Figure:
    shares: dict[int, list[float]] = {10: [], _DEEPEST: []}
    is_short = False
    async with guild.tenant_scope(tenant.tenant_id):
        for vector in questions.vectors:
            exactly = [row[0] for row in await _rows(EXACTLY, tenant, vector, _DEEPEST)]
            results = await guild.recall(_NO_WORD, vector=vector, model=MODEL, limit=100)
            is_short = is_short or len(results) != min(100, tenant.count)
            found = [result.memory_id for result in sorted(results, key=lambda result: -result.vector)]
            for depth, share in shares.items():
                share.append(len({*found[:depth]} & {*exactly[:depth]}) / len(exactly[:depth]))
    told = ", ".join(f"{mean(share):.3f} @{depth}" for depth, share in shares.items())
    is_met = not is_short and all(mean(share) >= 0.97 for share in shares.values())
    work = f"vectors as the exact answer, {tenant.count:,} memories"
    return Figure(work, told + (", too few" if is_short else ""), "at least 0.97, never too few", is_met=is_met)


async def _rows(query: str, tenant: Tenant, vector: Sequence[float], count: int) -> list[asyncpg.Record]:
    async with current_scope().transaction.driver() as driver:
        return await driver.fetch(query, tenant.tenant_id, MODEL, str(vector), count)
