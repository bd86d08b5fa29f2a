"""What access policies cost: ``python -m benchmarks.policies``; ``--url`` names a server, reached as a superuser.

The same verbs through two pools on one database, with policies and without, interleaved; and how many decisions are
made in a second, known ones and new ones.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from uuid import UUID

import memory_guild as guild
from benchmarks.interleave import Side, timed
from benchmarks.report import Report
from benchmarks.server import new_database, server, versions
from benchmarks.verbs.timing import HEADER, OURS, Figure, Goal, Measurement, take_turns
from memory_guild.database.connecting import MemoryDatabase
from memory_guild.policies.deciding import Decider
from memory_guild.policies.loading import Policy
from memory_guild.policies.rego import RegoEngine

WITHOUT = "without policies"
OVERHEAD = Goal("time", 1.15)
POLICY = """
package memory.access

allow if input.memory.agent_id == input.agent_id

deny if {
    input.action == "read"
    input.memory.source_type == "tool_output"
}
"""
_TENANT, _AGENT = "acme", "scribe"


async def verbs(url: str, rounds: int) -> list[Measurement]:
    """The verbs with decisions that are known, in a scope of their own and in one that is open."""
    async with _two_pools(url) as (plain, guarded):
        with guarded.use():
            async with guild.tenant_scope(_TENANT, _AGENT):
                ids = [
                    (await guild.remember(f"known {number}", source_type="document")).memory_id for number in range(100)
                ]
        works: dict[str, Callable[[int, str], Awaitable[object]]] = {
            "remember": lambda number, side: guild.remember(f"{side} {number}", source_type="document"),
            "get": lambda number, side: guild.get(ids[number % len(ids)]),
            "newest 50": lambda number, side: guild.find(limit=50),
        }
        measured: list[Measurement] = []
        for name, work in works.items():
            for calls in (1, 20):
                sides = {
                    OURS: Side(timed(_in_scope(guarded, work, "guarded", calls))),
                    WITHOUT: Side(timed(_in_scope(plain, work, "plain", calls))),
                }
                scope = "a scope of its own" if calls == 1 else f"{calls} in one scope"
                goals = {WITHOUT: OVERHEAD} if name != "newest 50" else {}
                measured.append(await take_turns(f"{name}, {scope}", sides, rounds, 5, goals))
        return measured


def _in_scope(
    database: MemoryDatabase, work: Callable[[int, str], Awaitable[object]], side: str, calls: int
) -> Callable[[int], Awaitable[None]]:
    async def run(number: int) -> None:
        with database.use():
            async with guild.tenant_scope(_TENANT, _AGENT):
                for call in range(calls):
                    await work(calls * number + call, f"{side} {calls}")

    return run


@asynccontextmanager
async def _two_pools(url: str) -> AsyncIterator[tuple[MemoryDatabase, MemoryDatabase]]:
    async with guild.connect(url) as plain:
        async with guild.admin_scope("benchmark"):
            await guild.policies.put("benchmark", POLICY)
        os.environ["MEMORY_GUILD_POLICIES"] = "rego"
        try:
            async with guild.connect(url) as guarded:
                yield plain, guarded
        finally:
            del os.environ["MEMORY_GUILD_POLICIES"]


async def decisions(rounds: int) -> list[Measurement]:
    """How many decisions are made in a second."""
    engine = RegoEngine(timeout_seconds=30)
    policies = [Policy("benchmark", POLICY)]
    inputs = [
        {
            "agent_id": _AGENT,
            "tenant_id": _TENANT,
            "action": "read",
            "memory": {"memory_id": str(UUID(int=number)), "agent_id": f"agent {number}", "source_type": "document"},
            "source": None,
        }
        for number in range(100)
    ]
    decider = Decider(engine, holds_policies=True, max_age_seconds=3600)
    await decider.refresh()
    decider.use(tuple(policies))
    try:
        await decider.decide(inputs)
        found = {
            "known decisions, one at a time": await _rate(rounds, 1, lambda: decider.decide(inputs[:1])),
            "known decisions, 100 at a time": await _rate(rounds, 100, lambda: decider.decide(inputs)),
            "new decisions, one at a time": await _rate(rounds, 1, lambda: engine.decide(policies, inputs[:1])),
            "new decisions, 100 at a time": await _rate(rounds, 100, lambda: engine.decide(policies, inputs)),
        }
    finally:
        await engine.close()
    return [Figure(name, f"{rate:,.0f} a second") for name, rate in found.items()]


async def _rate(rounds: int, count: int, work: Callable[[], Awaitable[object]]) -> float:
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        await work()
        seconds.append(time.perf_counter() - began)
    return count / median(seconds)


async def run(server_url: str, rounds: int, output: Path | None) -> None:
    """Measure, print and write."""
    report = Report(output)
    async with new_database(server_url) as url:
        await guild.upgrade(url)
        measured = [*await verbs(url, rounds), *await decisions(rounds)]
        found = await versions(url)
    report.write(", ".join(f"{name} {version}" for name, version in found.items()) + f"; {rounds} rounds.\n")
    report.rows(HEADER, [row for measurement in measured for row in measurement.rows()])
    report.save()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.policies", description="What access policies cost.")
    parser.add_argument("--quick", action="store_true", help="a few rounds: proves nothing")
    parser.add_argument("--url", help="a server to use instead of a private embedded one")
    parser.add_argument("--output", type=Path, metavar="FILE.md", help="write the table to a file too")
    given = parser.parse_args()
    with server(given.url) as server_url:
        asyncio.run(run(server_url, 3 if given.quick else 200, given.output))


if __name__ == "__main__":
    main()
