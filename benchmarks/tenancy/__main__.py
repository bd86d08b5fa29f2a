"""What isolation costs: each statement in a tenant scope beside the same one by hand without row-level security.

Run ``python -m benchmarks.tenancy`` from the repository's root. It takes about three minutes and needs nothing but the
extra ``embedded``; ``--url`` names another server, whose login must be a superuser. ``--beside`` names a second one,
such as a stock Debian server with its default settings: everything runs there too, and the statements are compared.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contexts import OpenScope, within
from benchmarks.interleave import Comparison, Side, interleave, timed
from benchmarks.report import Report, duration, ratio, verdict
from benchmarks.server import new_database, server, versions
from benchmarks.tenancy.arms import Arm, HandArm, both_arms
from benchmarks.tenancy.guards import GUARDS, measure_guards
from benchmarks.tenancy.memories import SMALLEST_LOAD, Memories, Tenant, load, vacuum
from benchmarks.tenancy.opening import measure_openings
from benchmarks.tenancy.querysets import QUERYSETS
from benchmarks.tenancy.seal import measure_seal
from benchmarks.tenancy.statements import (
    CARELESS_LIST,
    CHECKED_EDGES,
    DENSE_HOPS,
    LATEST_EDGES,
    STATEMENTS,
    Run,
    Work,
)
from memory_guild.database.connecting import settings_for
from memory_guild.schema import seal

GOAL = 1.3
ROUND_TRIPS_GOAL = 2
FEWEST_ROUNDS = 7

_ROUNDS_IN_A_TRANSACTION = 20
_WARM_UP_ROUNDS = 6  # from its sixth execution on a statement may get a plan that is kept

_ARMS = ("tenant", "what", "by hand", "in a scope", "ratio (95 %)", "rounds")


@dataclass(frozen=True)
class Options:
    """What the command line asks for.

    Attributes:
        memories: How many memories.
        rounds: How often the quick statements are run.
        guarded_edges: How many edges one statement writes under each guard.
        url: The server, or None.
        beside: A second server to run everything on, or None.
        output: The file to write, or None.
    """

    memories: int = 100_000
    rounds: int = 150
    guarded_edges: int = 10_000
    url: str | None = None
    beside: str | None = None
    output: Path | None = None

    @classmethod
    def parse(cls, arguments: Sequence[str] | None = None) -> Options:
        """Read them."""
        parser = argparse.ArgumentParser(prog="python -m benchmarks.tenancy", description="What isolation costs.")
        parser.add_argument("--memories", type=int, default=cls.memories, help="how many memories (%(default)s)")
        parser.add_argument("--rounds", type=int, default=cls.rounds, help="of the quick statements (%(default)s)")
        parser.add_argument("--quick", action="store_true", help="a few rounds on a few memories: proves nothing")
        parser.add_argument("--url", help="a server to use instead of a private embedded one")
        parser.add_argument("--beside", metavar="URL", help="a second server, to compare the statements on both")
        parser.add_argument("--output", type=Path, metavar="FILE.md", help="write the tables to a file too")
        given = parser.parse_args(arguments)
        if given.quick:
            return cls(SMALLEST_LOAD, FEWEST_ROUNDS, 500, given.url, given.beside, given.output)
        if given.memories < SMALLEST_LOAD or given.rounds < FEWEST_ROUNDS:
            parser.error(f"at least {SMALLEST_LOAD} memories and {FEWEST_ROUNDS} rounds are needed")
        edges = min(10_000, given.memories // 4)
        return cls(given.memories, given.rounds, edges, given.url, given.beside, given.output)


async def measure(work: Work, tenant: Tenant, hand: HandArm, scope: OpenScope, rounds: int) -> Comparison:
    """Do some work in both arms, in several transactions that are undone."""
    chance = random.Random(f"{work.name} {tenant.tenant_id}")
    hand.plan_cache_mode = work.plan_cache_mode
    rounds = max(FEWEST_ROUNDS, round(rounds * work.share))
    base: list[float] = []
    scoped: list[float] = []
    while len(base) < rounds:
        wanted = min(_ROUNDS_IN_A_TRANSACTION, rounds - len(base))
        by_hand, in_scope = await _one_transaction_each(work, tenant, hand, scope, wanted, chance)
        base += by_hand
        scoped += in_scope
    return Comparison.of(base, scoped)


async def _one_transaction_each(
    work: Work, tenant: Tenant, hand: HandArm, scope: OpenScope, rounds: int, chance: random.Random
) -> list[list[float]]:
    arguments = work.draw(tenant, chance, _WARM_UP_ROUNDS + rounds)

    def side(arm: Arm, run: Run) -> Side:
        return Side(timed(lambda number: run(arm.transaction, tenant.tenant_id, arguments[number])), arm.context)

    sides = [side(hand, work.by_hand), side(scope, work.in_scope)]
    arms: tuple[Arm, ...] = (hand, scope)
    for arm in arms:
        await within(arm.context, arm.begin(tenant.tenant_id))
    try:
        await interleave(sides, _WARM_UP_ROUNDS)
        return await interleave(sides, rounds, first=_WARM_UP_ROUNDS)
    finally:
        for arm in arms:
            await within(arm.context, arm.roll_back())


class TenancyBenchmark:
    """Runs everything on one database and reports it.

    Args:
        url: The database.
        memories: What was loaded into it.
        options: How much to run.
        report: Where the tables go.
        sealed_url: A copy of it that is sealed.

    Attributes:
        seconds: How long each statement took in a scope, by tenant and name.
    """

    def __init__(self, url: str, memories: Memories, options: Options, report: Report, sealed_url: str) -> None:
        self.seconds: dict[tuple[str, str], float] = {}
        self._url = url
        self._sealed_url = sealed_url
        self._settings = settings_for(url, schema="public")
        self._memories = memories
        self._rounds = options.rounds
        self._edges = options.guarded_edges
        self._report = report

    async def run(self) -> None:
        """All tables."""
        await self._goals("SQL: the same statement in both arms", STATEMENTS)
        await self._goals("ORM: the same queryset in both arms", QUERYSETS)
        await self._openings()
        await self._seal()
        await self._guards()
        await self._beside()

    async def _goals(self, title: str, works: Sequence[Work]) -> None:
        rows: dict[tuple[str, str], list[str]] = {}
        async with both_arms(self._settings) as arms:
            for tenant in reversed(self._memories.measured):  # the tiny one finds what the giant left in the caches
                for work in works:
                    comparison = await self._measure(work, tenant, arms)
                    rows[tenant.tenant_id, work.name] = [
                        *_row(tenant, work, comparison),
                        f"{GOAL}",
                        verdict(comparison, GOAL),
                    ]
        ordered = [rows[tenant.tenant_id, work.name] for tenant in self._memories.measured for work in works]
        self._report.table(title, (*_ARMS, "goal", "verdict"), ordered)

    async def _openings(self) -> None:
        rows = []
        for opening in await measure_openings(self._settings, self._memories.middle, self._rounds):
            beside = opening.round_trips - opening.work_round_trips
            rows.append(
                [
                    opening.name,
                    f"{opening.round_trips_by_hand}",
                    f"{opening.round_trips}",
                    f"{beside}",
                    f"{ROUND_TRIPS_GOAL}",
                    duration(opening.comparison.base_seconds),
                    duration(opening.comparison.seconds),
                    ratio(opening.comparison),
                ]
            )
        header = ("inside", "trips by hand", "trips", "beside the work", "goal", "by hand", "a scope", "ratio (95 %)")
        self._report.table("Opening and closing, beside a transaction on a raw asyncpg pool", header, rows)

    async def _seal(self) -> None:
        measured = await measure_seal(self._url, self._sealed_url, self._memories.middle, 3 * self._rounds)
        rows = [
            [
                found.name,
                duration(found.comparison.base_seconds),
                duration(found.comparison.seconds),
                ratio(found.comparison),
                f"{found.goal or ''}",
                verdict(found.comparison, found.goal) if found.goal else "",
            ]
            for found in measured
        ]
        await vacuum(self._url)
        header = ("what", "not sealed", "sealed", "ratio (95 %)", "goal", "verdict")
        self._report.table("Sealed scopes, beside scopes that are not sealed", header, rows)

    async def _guards(self) -> None:
        rows = []
        for statements, edges in ((1, self._edges), (20, 1)):
            await vacuum(self._url)
            rounds = max(FEWEST_ROUNDS, self._rounds // (20 if edges > 1 else 5))
            found = await measure_guards(self._url, self._memories, statements=statements, edges=edges, rounds=rounds)
            for guard in GUARDS:
                comparison = found[guard.name]
                median = duration(comparison.seconds / statements)
                rows.append([guard.name, f"{edges:,}", median, ratio(comparison), f"{comparison.rounds}"])
        title = "Guards: who makes sure that both ends of an edge are the tenant's (the giant)"
        self._report.table(title, ("guard", "edges in one statement", "median", "ratio (95 %)", "rounds"), rows)

    async def _beside(self) -> None:
        rows = []
        async with both_arms(self._settings) as arms:
            for tenant, work in (
                (self._memories.giant, CHECKED_EDGES),
                (self._memories.dense, DENSE_HOPS),
                (self._memories.middle, LATEST_EDGES),
            ):
                rows.append(_row(tenant, work, await self._measure(work, tenant, arms)))
            await self._serve_every_tenant(*arms)
            tiny = self._memories.tiny
            rows.insert(0, _row(tiny, CARELESS_LIST, await self._measure(CARELESS_LIST, tiny, arms)))
        self._report.table("Beside the goals: what by hand goes wrong, and where isolation costs more", _ARMS, rows)

    async def _measure(self, work: Work, tenant: Tenant, arms: tuple[HandArm, OpenScope]) -> Comparison:
        comparison = await measure(work, tenant, *arms, self._rounds)
        self.seconds[tenant.tenant_id, work.name] = comparison.seconds
        if work.writes:
            await vacuum(self._url)
        return comparison

    async def _serve_every_tenant(self, hand: HandArm, scope: OpenScope) -> None:
        for tenant in self._memories.tenants:
            await measure(CARELESS_LIST, tenant, hand, scope, 1)


def _row(tenant: Tenant, work: Work, comparison: Comparison) -> list[str]:
    return [
        tenant.tenant_id,
        work.name,
        duration(comparison.base_seconds),
        duration(comparison.seconds),
        ratio(comparison),
        f"{comparison.rounds}",
    ]


async def run(options: Options, server_urls: Sequence[str]) -> None:
    """Load a database on each server, measure, and print."""
    report = Report(options.output)
    report.write("# What isolation costs\n")
    seconds = [await _run_on(server_url, options, report) for server_url in server_urls]
    if len(seconds) > 1:
        _compare_servers(report, *seconds)
    report.save()


async def _run_on(server_url: str, options: Options, report: Report) -> dict[tuple[str, str], float]:
    async with new_database(server_url) as url:
        for name, version in (await versions(url)).items():
            report.write(f"- {name}: {version}")
        memories = await load(url, options.memories)
        sizes = ", ".join(f"{tenant.tenant_id} {len(tenant.memory_ids):,}" for tenant in memories.measured)
        report.write(f"- memories: {memories.count:,} of {len(memories.tenants)} tenants ({sizes})")
        async with new_database(server_url, template=url) as sealed_url:
            await seal(sealed_url)
            benchmark = TenancyBenchmark(url, memories, options, report, sealed_url)
            await benchmark.run()
    return benchmark.seconds


def _compare_servers(report: Report, first: dict[tuple[str, str], float], second: dict[tuple[str, str], float]) -> None:
    """The statements in scopes on both servers, those first that are the slowest on the second."""
    ratios = sorted(((second[key] / first[key], key) for key in first), reverse=True)
    rows = [[*key, duration(first[key]), duration(second[key]), f"{multiple:.2f}"] for multiple, key in ratios]
    report.table("The same statements on both servers", ("tenant", "what", "first", "second", "ratio"), rows)
    worst, (tenant_id, name) = ratios[0]
    report.write(f"\nThe worst ratio of {len(rows)} statements: {worst:.2f} ({name}, {tenant_id}).")


def main() -> None:
    """The command."""
    options = Options.parse()
    with server(options.url) as server_url:
        asyncio.run(run(options, [server_url, *([options.beside] if options.beside else [])]))


if __name__ == "__main__":
    main()
