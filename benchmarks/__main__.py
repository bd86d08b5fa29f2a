"""How fast the verbs are, beside the same work by hand and by other libraries, as ratios measured in one run.

Run ``python -m benchmarks`` from the repository's root. It takes about ten minutes and needs the extra
``bench``; ``--url`` names another server, whose login must be a superuser.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.report import Report
from benchmarks.server import new_database, server, versions
from benchmarks.verbs.bulk import remember_many
from benchmarks.verbs.concurrent import concurrent
from benchmarks.verbs.memories import load, vacuum
from benchmarks.verbs.old_rows import old_rows
from benchmarks.verbs.plot import bars_of, plot
from benchmarks.verbs.reading import get, newest, scope
from benchmarks.verbs.setting import QUICK, Scale, Setting
from benchmarks.verbs.storing import remember
from benchmarks.verbs.streaming import stream
from benchmarks.verbs.timing import HEADER, Measurement
from benchmarks.verbs.walking import traverse

BENCHMARKS: dict[str, Callable[[Setting], Awaitable[Sequence[Measurement]]]] = {
    "get": get,
    "scope": scope,
    "newest": newest,
    "traverse": traverse,
    "remember": remember,
    "remember-many": remember_many,
    "concurrent": concurrent,
    "stream": stream,
    "old-rows": old_rows,
}

PEERS = {
    "SQLAlchemy": "sqlalchemy",
    "Django": "django",
    "psycopg": "psycopg",
    "LangGraph's store": "langgraph-checkpoint-postgres",
}

READING = (
    "`time`: ours as a multiple of theirs, smaller is better; `speed`: theirs as a multiple of ours, larger is better."
    " In brackets the 95 % confidence interval."
)


@dataclass(frozen=True)
class Options:
    """What the command line asks for.

    Attributes:
        names: Which benchmarks, in their order here.
        scale: How much to do.
        url: The server, or None.
        output: The Markdown file to write, or None.
        plot: The picture to write, or None; the Markdown shows it as a file beside its own.
    """

    names: Sequence[str]
    scale: Scale
    url: str | None
    output: Path | None
    plot: Path | None

    @classmethod
    def parse(cls, arguments: Sequence[str] | None = None) -> Options:
        """Read them."""
        parser = argparse.ArgumentParser(prog="python -m benchmarks", description="How fast the verbs are.")
        parser.add_argument("--only", action="append", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS))
        parser.add_argument("--quick", action="store_true", help="a few rounds on a few memories: proves nothing")
        parser.add_argument("--url", help="a server to use instead of a private embedded one")
        parser.add_argument("--output", type=Path, metavar="FILE.md", help="write the table to a file too")
        parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw six of the works, too")
        given = parser.parse_args(arguments)
        names = [name for name in BENCHMARKS if given.only is None or name in given.only]
        return cls(names, QUICK if given.quick else Scale(), given.url, given.output, given.plot)


async def run(options: Options, server_url: str) -> None:
    """Load a database, measure, print, write and draw."""
    report = Report(options.output)
    measured: list[Measurement] = []
    async with new_database(server_url) as url:
        memories = await load(url, options.scale.memories)
        setting = Setting(server_url, url, memories, options.scale)
        for name in options.names:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            measured += await BENCHMARKS[name](setting)
            await vacuum(url)
        found = await versions(url) | {name: version(package) for name, package in PEERS.items()}
    report.write(f"{memories.count:,} memories of {len(memories.tenants)} tenants, {2 * memories.count:,} edges.")
    report.write(", ".join(f"{name} {version}" for name, version in found.items()) + f".\n\n{READING}\n")
    rows = [row for measurement in measured for row in measurement.rows()]
    report.rows(HEADER, rows)
    if options.plot is not None and (works := bars_of(rows)):
        plot(options.plot, works)
        report.write(f"\n![Each side's time, as a multiple of Memory Guild's]({options.plot.name})")
    report.save()


def main() -> None:
    """The command."""
    options = Options.parse()
    with server(options.url) as server_url:
        asyncio.run(run(options, server_url))


if __name__ == "__main__":
    main()
