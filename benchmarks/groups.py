"""What groups of tenants cost: ``python -m benchmarks.groups``; ``--url`` names a server, reached as a superuser.

The same verbs, interleaved: in a database with eight groups, whose tenants take turns on one connection, and in one
without groups. Statements are prepared once for each schema; a last side has them prepared once for all, so that the
server plans them anew at each change of the schema.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import memory_guild as guild
from benchmarks.interleave import Side, timed
from benchmarks.report import Report
from benchmarks.server import new_database, server, versions
from benchmarks.verbs.timing import HEADER, OURS, Measurement, take_turns
from memory_guild.database.connecting import MemoryDatabase
from memory_guild.database.engine import GuildClient
from memory_guild.database.session import PooledConnection

_GROUPS = 8
_AGENT = "scribe"

WITHOUT = "without groups"
SAME, PREPARED_ONCE = "eight groups, always one tenant", "eight groups, prepared once for all"


class _PreparedOnce(PooledConnection):
    def work_in(self, schema: str | None) -> None:
        """Whatever the schema."""


async def verbs(url: str, url_with_groups: str, rounds: int) -> list[Measurement]:
    """The verbs in a scope of their own, and scopes that do nothing."""
    async with _pools(url, url_with_groups) as pools:
        ids = {}
        for name, database in pools.items():
            with database.use():
                for tenant in range(_GROUPS):
                    async with guild.tenant_scope(f"tenant {tenant}", _AGENT):
                        ids[name, tenant] = (await guild.remember("known", source_type="document")).memory_id
        works: dict[str, Callable[[str, int, int], Awaitable[object]]] = {
            "a scope alone": lambda name, tenant, number: asyncio.sleep(0),
            "get": lambda name, tenant, number: guild.get(ids[name, tenant]),
            "newest 50": lambda name, tenant, number: guild.find(limit=50),
            "remember": lambda name, tenant, number: guild.remember(f"{name} {number}", source_type="document"),
        }
        return [
            await take_turns(
                title,
                {name: Side(timed(_in_scope(name, database, work))) for name, database in pools.items()},
                rounds,
                2 * _GROUPS,
                {},
            )
            for title, work in works.items()
        ]


def _in_scope(
    name: str, database: MemoryDatabase, work: Callable[[str, int, int], Awaitable[object]]
) -> Callable[[int], Awaitable[None]]:
    tenants = 1 if name == SAME else _GROUPS

    async def run(number: int) -> None:
        with database.use():
            async with guild.tenant_scope(f"tenant {number % tenants}", _AGENT):
                await work(name, number % tenants, number)

    return run


@asynccontextmanager
async def _pools(url: str, url_with_groups: str) -> AsyncIterator[dict[str, MemoryDatabase]]:
    os.environ["MEMORY_GUILD_POOL_MAX"] = "1"
    try:
        async with (
            guild.connect(url) as plain,
            guild.connect(url_with_groups) as same,
            guild.connect(url_with_groups) as in_turn,
        ):
            usual, GuildClient.connection_class = GuildClient.connection_class, _PreparedOnce
            try:
                async with guild.connect(url_with_groups) as prepared_once:
                    yield {OURS: in_turn, WITHOUT: plain, SAME: same, PREPARED_ONCE: prepared_once}
            finally:
                GuildClient.connection_class = usual
    finally:
        del os.environ["MEMORY_GUILD_POOL_MAX"]


async def run(server_url: str, rounds: int, output: Path | None) -> None:
    """Measure, print and write."""
    report = Report(output)
    async with new_database(server_url) as url, new_database(server_url) as url_with_groups:
        await guild.upgrade(url)
        for number in range(_GROUPS):
            await guild.schema.groups.create(f"group {number}", database_url=url_with_groups)
        measured = await verbs(url, url_with_groups, rounds)
        found = await versions(url)
    report.write(", ".join(f"{name} {version}" for name, version in found.items()) + f"; {rounds} rounds.\n")
    report.rows(HEADER, [row for measurement in measured for row in measurement.rows()])
    report.save()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.groups", description="What groups of tenants cost.")
    parser.add_argument("--quick", action="store_true", help="a few rounds: proves nothing")
    parser.add_argument("--url", help="a server to use instead of a private embedded one")
    parser.add_argument("--output", type=Path, metavar="FILE.md", help="write the table to a file too")
    given = parser.parse_args()
    with server(given.url) as server_url:
        asyncio.run(run(server_url, 3 if given.quick else 400, given.output))


if __name__ == "__main__":
    main()
