"""How many of the memories that hold the answer `recall` returns: ``python -m benchmarks.recall --embedder minilm``.

The questions are those of LoCoMo, BEAM and MuSiQue, which are not part of the repository: ``MEMORY_GUILD_DATA`` names
the folder that has them, by default ``../shared/data``, with a ``load.py`` that reads them. ``all @10`` is the share of
the questions for which all of these memories are among the first ten.
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
from memory_guild.database.scope import current_scope
from memory_guild.models import hash_content
from memory_guild.search.embedders import Embedder, embedder_of

SETS = ("locomo-dev", "beam-dev", "musique")
DEPTHS = (5, 10, 20)
COMPLETE_AT = 10
_HERE = Path(__file__).resolve().parents[1]
_ALIKE = """
SELECT memory_id FROM memory_own_vectors WHERE tenant_id = $1
ORDER BY memory_guild_likeness(own, memory_guild_vector($2)) DESC LIMIT $3
"""


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


class Shares:
    """How much of the evidence was found, question by question."""

    def __init__(self) -> None:
        self._by_depth: dict[int, list[float]] = {depth: [] for depth in DEPTHS}
        self._complete: list[float] = []

    def add(self, wanted: set[UUID], found: Sequence[UUID]) -> None:
        """Count a question."""
        for depth in DEPTHS:
            self._by_depth[depth].append(len(wanted.intersection(found[:depth])) / len(wanted))
        self._complete.append(float(wanted.issubset(found[:COMPLETE_AT])))

    def __str__(self) -> str:
        shares = [*self._by_depth.values(), self._complete]
        return " | ".join(f"{100 * mean(share):.1f}" for share in shares)


async def alike(tenant_id: str, vector: Sequence[float]) -> list[UUID]:
    """The memories by their vectors alone."""
    arguments = [tenant_id, str(list(vector)), max(DEPTHS)]
    async with guild.tenant_scope(tenant_id):
        rows = await current_scope().transaction.execute_query_dict(_ALIKE, arguments)
    return [row["memory_id"] for row in rows]


async def measure(tenants: Sequence[Any], embedder: Embedder | None, *, by_names: bool) -> tuple[Shares, Shares, float]:
    """The shares of `recall`, those of vectors alone, and the median milliseconds of a question without its model."""
    shares, of_vectors = Shares(), Shares()
    seconds: list[float] = []
    for tenant in tenants:
        ids = await store(tenant)
        if by_names:
            await guild.relate_by_names(tenant.name)
        if embedder is not None:
            await guild.embed_pending(tenant.name)
        for question, evidence, _ in tenant.q:
            wanted = {ids[number] for number in evidence}
            vector = None if embedder is None else await embedder.embed_query(question)
            async with guild.tenant_scope(tenant.name):
                began = time.perf_counter()
                results = await guild.recall(question, vector=vector, limit=max(DEPTHS))
                seconds.append(time.perf_counter() - began)
            shares.add(wanted, [result.memory_id for result in results])
            if vector is not None:
                of_vectors.add(wanted, await alike(tenant.name, vector))
    return shares, of_vectors, 1000 * sorted(seconds)[len(seconds) // 2]


async def run(url: str, names: Sequence[str], data: ModuleType, embedder: Embedder | None, *, by_names: bool) -> None:
    """Print a row for each set, and one for vectors alone."""
    print("| Questions | memories | @5 | @10 | @20 | all @10 | ms a question |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in names:
        tenants = data.load(name)
        async with new_database(url) as database:
            await guild.upgrade(database, search=True)
            async with guild.connect(database, embedder=embedder or "none"):
                shares, of_vectors, milliseconds = await measure(tenants, embedder, by_names=by_names)
        memories, questions = sum(len(tenant.text) for tenant in tenants), sum(len(tenant.q) for tenant in tenants)
        print(f"| {name}, {questions:,} questions | {memories:,} | {shares} | {milliseconds:.1f} |", flush=True)
        if embedder is not None:
            print(f"| {name}, vectors alone | | {of_vectors} | |", flush=True)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=SETS, help="which sets of questions")
    parser.add_argument("--embedder", default="none", help="none, static, minilm, or another of docs/embedders.md")
    parser.add_argument("--names", action="store_true", help="relate documents that share a rare name")
    parser.add_argument("--url", help="a server; by default a private one")
    arguments = parser.parse_args()
    data = loader(Path(os.environ.get("MEMORY_GUILD_DATA", _HERE.parent / "shared" / "data")))
    with server(arguments.url) as url:
        asyncio.run(run(url, arguments.sets, data, embedder_of(arguments.embedder), by_names=arguments.names))


if __name__ == "__main__":
    main()
