"""How many of the memories that hold the answer `recall` returns: ``python -m benchmarks.recall``.

The questions are those of LoCoMo and BEAM, which are not part of the repository: ``MEMORY_GUILD_DATA`` names the folder
that has them, by default ``../shared/data``, with a ``load.py`` that reads them.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import time
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from statistics import mean
from types import ModuleType
from typing import Any
from uuid import UUID

import memory_guild as guild
from benchmarks.server import new_database, server
from memory_guild.models import hash_content

SETS = ("locomo-dev", "beam-dev")
DEPTHS = (5, 10, 20)
_HERE = Path(__file__).resolve().parents[1]


def loader(folder: Path) -> ModuleType:
    """The module that reads the data.

    Raises:
        SystemExit: It is not there.
    """
    path = folder / "load.py"
    if not path.is_file():
        raise SystemExit(f"there is no {path}; name the folder with the data in MEMORY_GUILD_DATA")
    spec = importlib.util.spec_from_file_location("memory_guild_data", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def store(tenant: Any) -> list[UUID]:
    """Store a tenant's memories and edges; the ids by the numbers that the data gives them."""
    rows = [
        {
            "tenant_id": tenant.name,
            "agent_id": speaker or "document",
            "source_type": "conversation" if speaker else "document",
            "content_text": text,
            "content_hash": hash_content(text),
            **({"created_at": when.replace(tzinfo=UTC)} if when else {}),
        }
        for text, speaker, when in zip(tenant.text, tenant.speaker, tenant.time, strict=True)
    ]
    async with guild.tenant_scope(tenant.name):
        ids = [(await guild.MemoryRecord.create(**row)).memory_id for row in rows]
        edges = {(ids[later], ids[earlier], "follows") for later, earlier in tenant.follows()}
        edges |= {(ids[one], ids[other], "references") for one, other in tenant.refs}
        await guild.relate_many(
            {"source_memory_id": source, "target_memory_id": target, "relationship_type": kind}
            for source, target, kind in sorted(edges, key=str)
        )
    return ids


async def measure(tenants: Sequence[Any]) -> tuple[list[float], float]:
    """The mean of each depth's shares, in percent, and the median milliseconds of a question."""
    shares: dict[int, list[float]] = {depth: [] for depth in DEPTHS}
    seconds: list[float] = []
    for tenant in tenants:
        ids = await store(tenant)
        for question, evidence, _ in tenant.q:
            wanted = {ids[number] for number in evidence}
            async with guild.tenant_scope(tenant.name):
                began = time.perf_counter()
                results = await guild.recall(question, limit=max(DEPTHS))
                seconds.append(time.perf_counter() - began)
            found = [result.memory_id for result in results]
            for depth in DEPTHS:
                shares[depth].append(len(wanted.intersection(found[:depth])) / len(wanted))
    return [100 * mean(shares[depth]) for depth in DEPTHS], 1000 * sorted(seconds)[len(seconds) // 2]


async def run(url: str, names: Sequence[str], data: ModuleType) -> None:
    """Print a row for each set."""
    print("| Questions | memories | @5 | @10 | @20 | ms a question |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in names:
        tenants = data.load(name)
        async with new_database(url) as database:
            await guild.upgrade(database, search=True)
            async with guild.connect(database):
                shares, milliseconds = await measure(tenants)
        memories, questions = sum(len(tenant.text) for tenant in tenants), sum(len(tenant.q) for tenant in tenants)
        figures = " | ".join(f"{share:.1f}" for share in shares)
        print(f"| {name}, {questions:,} questions | {memories:,} | {figures} | {milliseconds:.1f} |", flush=True)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=SETS, help="which sets of questions")
    parser.add_argument("--url", help="a server; by default a private one")
    arguments = parser.parse_args()
    data = loader(Path(os.environ.get("MEMORY_GUILD_DATA", _HERE.parent / "shared" / "data")))
    with server(arguments.url) as url:
        asyncio.run(run(url, arguments.sets, data))


if __name__ == "__main__":
    main()
