"""Streaming a million records from a generator, in a process of its own whose memory is measured."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.peers import Item, memory_guild
from benchmarks.verbs.setting import Setting
from benchmarks.verbs.timing import Figure
from memory_guild import remember_many, tenant_scope

MEMORY_GOAL_MEGABYTES = 300
THROUGHPUT_GOAL = 0.6

_TENANT = "streaming"


async def stream(setting: Setting) -> list[Figure]:
    """Run the process and read what it prints."""
    count = setting.scale.streamed
    command = (sys.executable, "-m", "benchmarks.verbs.streaming", setting.url, str(count))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} failed with {process.returncode}")
    found = json.loads(output)
    work = f"{count:,} records streamed"
    megabytes, ratio = found["peak_megabytes"], found["first_tenth_seconds"] / found["last_tenth_seconds"]
    return [
        Figure(
            f"{work}, peak memory",
            f"{megabytes:.0f} MB",
            f"under {MEMORY_GOAL_MEGABYTES} MB",
            megabytes < MEMORY_GOAL_MEGABYTES,
        ),
        Figure(
            f"{work}, throughput of the last tenth",
            f"{ratio:.2f} of the first",
            f"at least {THROUGHPUT_GOAL}",
            ratio >= THROUGHPUT_GOAL,
        ),
        Figure(f"{work}, in all", f"{count / found['seconds']:,.0f} records/s"),
    ]


def _records(count: int) -> Iterator[Item]:
    for number in range(count):
        yield {
            "agent_id": f"agent-{number % 10}",
            "source_type": "document",
            "content_text": f"Record {number} of a stream{' and so on' * 12}",
            "metadata": {"number": number},
        }


async def _store(url: str, count: int) -> dict[str, Any]:
    """Store everything; when the first and the last tenth were done, by what the verb says of its progress."""
    finished: list[tuple[int, float]] = []

    def note(done: int) -> None:
        finished.append((done, time.perf_counter()))

    async def work() -> None:
        async with tenant_scope(_TENANT):
            await remember_many(_records(count), progress=note)

    async with memory_guild.connect(url) as ours:
        began = time.perf_counter()
        finished.append((0, began))
        await asyncio.create_task(work(), context=ours.context)
        ended = time.perf_counter()
    tenth, end = count / 10, finished[-1][1]
    return {
        "seconds": ended - began,
        "first_tenth_seconds": _moment(finished, tenth) - began,
        "last_tenth_seconds": end - _moment(finished, count - tenth),
        "peak_megabytes": _peak_megabytes(),
    }


def _moment(finished: Sequence[tuple[int, float]], wanted: float) -> float:
    """When so many were done, between the two reports around it."""
    for (before, began), (after, ended) in pairwise(finished):
        if after >= wanted:
            return began + (ended - began) * (wanted - before) / (after - before)
    raise ValueError(f"nobody reported that {wanted:,.0f} records were done")


def _peak_megabytes() -> float:
    """The most memory that this process has had.

    On Linux not from ``getrusage``: what that tells includes the memory of the parent, before ``exec``.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    (peak,) = (line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_store(sys.argv[1], int(sys.argv[2])))))
