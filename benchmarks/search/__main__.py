"""What recall and its indexes cost: ``python -m benchmarks.search``; it needs the extra ``bench``.

It loads 200,000 memories of 20 tenants with vectors, which takes minutes, and measures for some more. ``--only``
chooses what, ``--memories`` how many; ``--url`` names another server, whose login must be a superuser.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

import memory_guild as guild
from benchmarks.report import Report
from benchmarks.search import latency, storing
from benchmarks.search.memories import Tenant, load
from benchmarks.server import new_database, server, versions
from benchmarks.verbs.timing import HEADER, Measurement

PARTS = ("latency", "index", "cpu", "remember", "remember-many")
_MEASURED = (0, 1, 4, 9, 19)  # tenants, from the largest to the smallest


@dataclass(frozen=True)
class Options:
    """What the command line asks for.

    Attributes:
        parts: What to measure.
        memories: How many memories to load.
        rounds: Rounds of each measurement.
        bulk: How many records ``remember_many`` stores.
        bulk_rounds: In how many rounds.
        url: The server, or None.
        output: The Markdown file to write, or None.
    """

    parts: Sequence[str]
    memories: int
    rounds: int
    bulk: int
    bulk_rounds: int
    url: str | None
    output: Path | None

    @classmethod
    def parse(cls, arguments: Sequence[str] | None = None) -> Options:
        """Read them."""
        parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description="What recall costs.")
        parser.add_argument("--only", action="append", choices=PARTS, metavar="PART", help=", ".join(PARTS))
        parser.add_argument("--memories", type=int, default=200_000, help="how many to load; by default 200,000")
        parser.add_argument("--quick", action="store_true", help="a few rounds on a few memories: proves nothing")
        parser.add_argument("--url", help="a server to use instead of a private embedded one")
        parser.add_argument("--output", type=Path, metavar="FILE.md", help="write the table to a file too")
        given = parser.parse_args(arguments)
        parts = [part for part in PARTS if given.only is None or part in given.only]
        if given.quick:
            return cls(parts, 1_000, 3, 200, 1, given.url, given.output)
        return cls(parts, given.memories, 40, 100_000, 5, given.url, given.output)


async def run(options: Options, server_url: str) -> None:
    """Load, measure, print and write."""
    report = Report(options.output)
    measured: list[Measurement] = []
    async with new_database(server_url) as url:
        _say(f"loading {options.memories:,} memories")
        tenants = await load(url, options.memories)
        some, largest, middle = [tenants[place] for place in _MEASURED], tenants[0], tenants[4]
        async with guild.connect(url):
            if "latency" in options.parts:
                _say("measuring latency")
                measured += await latency.latency(some, options.rounds)
            if "index" in options.parts:
                _say("measuring index")
                measured += await latency.index(url, largest, options.rounds)
                measured += await latency.exactness(some, options.rounds)
        found = await versions(url) | {"pgvector": await _pgvector(url)}
        if {*options.parts} & {*PARTS[2:]}:
            async with _without_search(server_url, url) as without:
                measured += await _storing(options, url, without, middle)
    sizes = ", ".join(f"{tenant.count:,}" for tenant in tenants)
    report.write(f"{sum(tenant.count for tenant in tenants):,} memories of {len(tenants)} tenants: {sizes}.")
    report.write(", ".join(f"{name} {version}" for name, version in found.items()) + f"; {options.rounds} rounds.\n")
    report.rows(HEADER, [row for measurement in measured for row in measurement.rows()])
    report.save()


async def _storing(options: Options, url: str, without: str, tenant: Tenant) -> list[Measurement]:
    measured: list[Measurement] = []
    if "cpu" in options.parts:
        _say("measuring cpu")
        measured += await storing.cpu(url, without, tenant, options.rounds // 4 + 2)
    if "remember" in options.parts:
        _say("measuring remember")
        measured += await storing.remember(url, without, tenant, options.rounds * 5)
    if "remember-many" in options.parts:
        _say("measuring remember-many")
        measured.append(await storing.remember_many(url, without, tenant, options.bulk, options.bulk_rounds))
    return measured


@asynccontextmanager
async def _without_search(server_url: str, url: str) -> AsyncIterator[str]:
    async with new_database(server_url, template=url) as copy:
        await storing.drop_triggers(copy)
        yield copy


async def _pgvector(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'vector'"))
    finally:
        await connection.close()


def _say(text: str) -> None:
    print(f"{text} …", file=sys.stderr, flush=True)


def main() -> None:
    """The command."""
    options = Options.parse()
    with server(options.url) as server_url:
        asyncio.run(run(options, server_url))


if __name__ == "__main__":
    main()
