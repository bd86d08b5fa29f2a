"""The table of operations, third part: what the verbs can be asked to do with a stranger's rows in hand.

Every verb stands against every way to name a memory or to describe it. A name that contains ``own`` is that of an
operation that also needs a row of the attacker's: for the stranger it fails, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import memory_guild as guild
from memory_guild.memories.arguments import MemoryArgument
from memory_guild.memories.cursors import cursor_after
from memory_guild.models import MemoryRecord
from memory_guild.serializers import MemoryRecordCreate, MemoryRelationshipCreate
from memory_guild.types import RELATIONS
from tests.tenancy.operations import Operation
from tests.tenancy.worlds import OWN, OWN_TIME, SECRET, Aim

Verb = Callable[[Aim], Awaitable[Any]]

BEFORE_ALL, AFTER_ALL = datetime(1970, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
STRANGERS_YEAR = datetime(2001, 1, 1, tzinfo=UTC), datetime(2002, 1, 1, tzinfo=UTC)


def _operations(family: str, table: dict[str, Verb]) -> Iterator[Operation]:
    for name, run in table.items():
        yield Operation(f"{family}: {name}", run)


# --- on one memory ----------------------------------------------------------------------------------------------

WAYS: dict[str, Callable[[Aim], MemoryArgument]] = {
    "its id": lambda aim: aim.memory_id,
    "its id's text": lambda aim: str(aim.memory_id),
    "its model": lambda aim: aim.memory,
    "the id of its edge's other end": lambda aim: aim.other_memory_id,
}
"""How a live memory is named."""


async def _hydrated(*hits: Any) -> Any:
    found = await guild.hydrate(hits)
    return found, found.dropped


READS: dict[str, Callable[[MemoryArgument], Awaitable[Any]]] = {
    "get": guild.get,
    "get include_forgotten": lambda memory: guild.get(memory, include_forgotten=True),
    "get_many": lambda memory: guild.get_many([memory]),
    "get_many beside own": lambda memory: guild.get_many([OWN[1], memory, OWN[0], memory], relations=RELATIONS),
    "get_many with relations": lambda memory: guild.get_many(
        [memory], include_forgotten=True, relations=("embeddings", "incoming_edges")
    ),
    "hydrate": lambda memory: _hydrated((memory, 0.5)),
    "hydrate beside own": lambda memory: _hydrated((OWN[0], 0.9), {"id": memory, "score": 0.5}, (OWN[1], 0.1)),
    "neighbors": guild.neighbors,
    "neighbors outgoing": lambda memory: guild.neighbors(memory, direction="outgoing", types=["supports", "follows"]),
    "neighbors incoming": lambda memory: guild.neighbors(memory, direction="incoming", min_confidence=0.5),
    "traverse": guild.traverse,
    "traverse incoming": lambda memory: guild.traverse(memory, direction="incoming", max_hops=1),
    "traverse both ways": lambda memory: guild.traverse(
        memory, direction="both", types=["supports", "follows"], limit=1
    ),
    "path to own": lambda memory: guild.path(memory, OWN[1], direction="both"),
    "path from own": lambda memory: guild.path(OWN[0], memory, direction="both"),
    "contradictions": guild.contradictions,
    "subgraph": guild.subgraph,
    "subgraph around own": lambda memory: guild.subgraph(OWN[0], memory, max_hops=1),
}

WRITES: dict[str, Callable[[MemoryArgument], Awaitable[Any]]] = {
    "update content_text": lambda memory: guild.update(memory, content_text="new"),
    "update source_type": lambda memory: guild.update(memory, source_type="external"),
    "update metadata": lambda memory: guild.update(memory, metadata={"note": "new"}),
    "update of a version": lambda memory: guild.update(memory, metadata={}, expected_updated_at=OWN_TIME),
    "supersede": lambda memory: guild.supersede(memory, "new"),
    "supersede with metadata": lambda memory: guild.supersede(
        memory, "new", metadata={"page": 1}, source_type="external"
    ),
    "forget": lambda memory: guild.forget(memory),
    "forget twice": lambda memory: guild.forget(memory, memory),
    "forget beside own": lambda memory: guild.forget(OWN[0], memory),
    "restore": lambda memory: guild.restore(memory),
    "restore beside own": lambda memory: guild.restore(OWN[0], memory),
    "relate from own": lambda memory: guild.relate(OWN[0], memory, "supports"),
    "relate to own": lambda memory: guild.relate(memory, OWN[0], "follows", confidence_score=1, on_existing="increase"),
    "unrelate from own": lambda memory: guild.unrelate(OWN[0], memory),
    "unrelate to own": lambda memory: guild.unrelate(memory, OWN[0], "supports"),
    "relate_many from own": lambda memory: guild.relate_many([_edge(OWN[0], OWN[1]), _edge(OWN[0], memory)]),
    "relate_many to own": lambda memory: guild.relate_many([_edge(memory, OWN[1]), _edge(OWN[0], OWN[2])]),
}


def _edge(source: Any, target: Any, relationship_type: str = "supports", **changes: Any) -> dict[str, Any]:
    ids = [memory.memory_id if isinstance(memory, MemoryRecord) else memory for memory in (source, target)]
    return {"source_memory_id": ids[0], "target_memory_id": ids[1], "relationship_type": relationship_type, **changes}


def _on(way: str, name: str, run: Callable[[MemoryArgument], Awaitable[Any]]) -> Operation:
    return Operation(f"{name} by {way}", lambda aim: run(WAYS[way](aim)))


def verbs_on_one_memory() -> Iterator[Operation]:
    """Every verb that takes a memory, for every way to name it."""
    for way in WAYS:
        for name, run in (READS | WRITES).items():
            yield _on(way, name, run)


# --- by conditions ----------------------------------------------------------------------------------------------

CONDITIONS: dict[str, Callable[[Aim], dict[str, Any]]] = {
    "agent_id": lambda aim: {"agent_id": aim.agent_id},
    "source_type": lambda aim: {"agent_id": aim.agent_id, "source_type": ["document", "external"]},
    "created_from": lambda aim: {"created_from": OWN_TIME, "source_type": "document"},
    "created_before": lambda aim: {"created_before": STRANGERS_YEAR[1]},
    "a range of time": lambda aim: {"created_from": STRANGERS_YEAR[0], "created_before": STRANGERS_YEAR[1]},
    "metadata": lambda aim: {"metadata": {"note": SECRET, "page": 7}},
    "metadata $eq": lambda aim: {"metadata": {"note": {"$eq": SECRET}}, "agent_id": aim.agent_id},
    "metadata $in": lambda aim: {"metadata": {"note": {"$in": ["other", SECRET]}}},
    "metadata $exists": lambda aim: {"metadata": {"note": {"$exists": True}}},
    "metadata not $exists": lambda aim: {"metadata": {"note": {"$exists": False}}},
    "metadata $ne": lambda aim: {"metadata": {"note": {"$ne": "other"}}, "agent_id": aim.agent_id},
    "metadata $nin": lambda aim: {"metadata": {"note": {"$nin": ["other"]}}, "agent_id": [aim.agent_id]},
    "a path into metadata": lambda aim: {"metadata": {"note.0": {"$exists": False}, "page": 7}},
    "several agents": lambda aim: {"agent_id": [aim.agent_id, "nobody"]},
    "metadata compared with a number": lambda aim: {"metadata": {"page": {"$gt": 6, "$lte": 7}}},
    "metadata compared with a time": lambda aim: {"metadata": {"when": {"$gte": BEFORE_ALL, "$lt": AFTER_ALL}}},
    "forgotten, too": lambda aim: {"agent_id": aim.agent_id, "include_forgotten": True},
    "everything": lambda aim: {"created_from": BEFORE_ALL, "include_forgotten": True},
}


async def _all(**conditions: Any) -> list[MemoryRecord]:
    return [memory async for memory in guild.find_all(**conditions)]


async def _pages(**conditions: Any) -> list[list[MemoryRecord]]:
    pages: list[list[MemoryRecord]] = []
    cursor = None
    while len(pages) < 40:
        found = await guild.find(limit=1, cursor=cursor, relations=["outgoing_edges"], **conditions)
        pages.append(found.memories)
        if (cursor := found.next_cursor) is None:
            break
    return pages


async def _forgotten(**conditions: Any) -> Any:
    return await guild.forget_where(**conditions), await _all(**conditions, **_FORGOTTEN_TOO)


_FORGOTTEN_TOO = {"include_forgotten": True}

BY_CONDITIONS: dict[str, Callable[..., Awaitable[Any]]] = {
    "find": guild.find,
    "find with relations": lambda **conditions: guild.find(limit=10_000, relations=RELATIONS, **conditions),
    "find page by page": _pages,
    "find_all": _all,
    "count": guild.count,
    "forget_where": guild.forget_where,
    "forget_where, then find_all": lambda **conditions: _forgotten(
        **{name: value for name, value in conditions.items() if name != "include_forgotten"}
    ),
}


def _with(condition: str, name: str, run: Callable[..., Awaitable[Any]]) -> Operation:
    return Operation(f"{name} with {condition}", lambda aim: run(**CONDITIONS[condition](aim)))


def verbs_by_conditions() -> Iterator[Operation]:
    """Every verb that takes conditions, with every condition."""
    for condition in CONDITIONS:
        for name, run in BY_CONDITIONS.items():
            yield _with(condition, name, run)


# --- storing ----------------------------------------------------------------------------------------------------


def _item(aim: Aim, **changes: Any) -> dict[str, Any]:
    return {"agent_id": aim.agent_id, "content_text": aim.content_text, "source_type": "document", **changes}


def _remember(aim: Aim, **changes: Any) -> Awaitable[Any]:
    return guild.remember(**_item(aim, **changes))


async def _remember_many(*items: Any, **options: Any) -> Any:
    report = await guild.remember_many(items, **options)
    return list(report), report.created, report.existing, report.restored, report.refused


STORES: dict[str, Verb] = {
    "remember its text": _remember,
    "remember its text as own": lambda aim: guild.remember(aim.content_text, source_type="document"),
    "remember its text with metadata": lambda aim: _remember(aim, metadata={"note": "new"}, source_type="external"),
    "remember its text, merge": lambda aim: _remember(aim, metadata={"note": "new"}, on_existing="merge"),
    "remember its text, replace": lambda aim: _remember(aim, metadata={"note": "new"}, on_existing="replace"),
    "remember its text as of then": lambda aim: _remember(aim, created_at=OWN_TIME),
    "remember its forgotten text, merge": lambda aim: _remember(
        aim, content_text=aim.forgotten_text, metadata={"note": "new"}, on_existing="merge"
    ),
    "remember_many its texts, merge": lambda aim: _remember_many(
        _item(aim, metadata={"note": "new"}),
        _item(aim, content_text=aim.forgotten_text, metadata={"note": "new"}),
        on_existing="merge",
    ),
    "remember its forgotten text": lambda aim: _remember(aim, content_text=aim.forgotten_text),
    "remember its forgotten text, keep": lambda aim: _remember(
        aim, content_text=aim.forgotten_text, on_forgotten="keep"
    ),
    "remember its forgotten text, raise": lambda aim: _remember(
        aim, content_text=aim.forgotten_text, on_forgotten="raise"
    ),
    "remember_many its texts": lambda aim: _remember_many(_item(aim), _item(aim, content_text=aim.forgotten_text)),
    "remember_many its text beside own": lambda aim: _remember_many(
        _item(aim), {"content_text": "own text 1", "source_type": "document"}, _item(aim)
    ),
    "remember_many its forgotten text, keep": lambda aim: _remember_many(
        _item(aim, content_text=aim.forgotten_text), on_forgotten="keep"
    ),
    "remember_many its forgotten text, raise": lambda aim: _remember_many(
        _item(aim, content_text=aim.forgotten_text), on_forgotten="raise"
    ),
    "remember_many for its tenant": lambda aim: _remember_many(_item(aim, tenant_id=aim.tenant_id)),
    "remember_many the serializer for its tenant": lambda aim: _remember_many(
        MemoryRecordCreate(**_item(aim, tenant_id=aim.tenant_id))
    ),
    "remember_many for its tenant, report": lambda aim: _remember_many(
        _item(aim), _item(aim, tenant_id=aim.tenant_id), on_error="report"
    ),
    "remember_many its hash with a text of one's own": lambda aim: _remember_many(
        _item(aim, content_text="own", content_hash=aim.content_hash), on_error="report"
    ),
    "update own to its text": lambda aim: guild.update(OWN[0], content_text=aim.content_text),
    "supersede own by its text": lambda aim: guild.supersede(OWN[0], aim.content_text),
}


def storing_verbs() -> Iterator[Operation]:
    """Every verb that stores texts, with the stranger's."""
    return _operations("store", STORES)


# --- what is left -----------------------------------------------------------------------------------------------


async def _relations(aim: Aim, *relations: Any) -> list[MemoryRecord]:
    memories = [aim.memory]
    await guild.fetch_relations(memories, *relations)
    return memories


async def _counts(erasing: Awaitable[guild.ErasureReceipt]) -> Any:
    """What a receipt says of the rows; its id and time are new each time."""
    receipt = await erasing
    return receipt.memories, receipt.rows, receipt.digest


async def _forgotten_and_purged(aim: Aim) -> Any:
    await guild.forget(OWN[0], OWN[1])
    return await guild.purge(older_than=AFTER_ALL, batch_size=1), await guild.count(include_forgotten=True)


def _from_cursor(aim: Aim) -> Awaitable[Any]:
    return guild.find(cursor=cursor_after(MemoryRecord(memory_id=aim.memory_id, created_at=STRANGERS_YEAR[1])))


def _edges_of(aim: Aim) -> list[dict[str, Any]]:
    return [_edge(aim.memory_id, aim.other_memory_id, confidence_score=1), _edge(aim.other_memory_id, aim.memory_id)]


OTHERS: dict[str, Verb] = {
    "fetch_relations": _relations,
    "fetch_relations embeddings": lambda aim: _relations(aim, ["embeddings"]),
    "get of a forgotten one": lambda aim: guild.get(aim.forgotten_memory_id, include_forgotten=True),
    "restore of a forgotten one": lambda aim: guild.restore(aim.forgotten_memory_id),
    "restore of a forgotten one beside own": lambda aim: guild.restore(OWN[0], aim.forgotten_memory_id),
    "forget of a forgotten one": lambda aim: guild.forget(aim.forgotten_memory_id),
    "purge": lambda aim: guild.purge(older_than=AFTER_ALL),
    "purge of own": _forgotten_and_purged,
    "erase its agent's": lambda aim: _counts(guild.erase_where(agent_id=aim.agent_id)),
    "erase all with its secret": lambda aim: _counts(guild.erase_where(metadata={"note": SECRET})),
    "erase everything": lambda aim: _counts(guild.erase_where(created_from=BEFORE_ALL, batch_size=1)),
    "erase its tenant from own scope": lambda aim: _counts(guild.erase_tenant(aim.tenant_id)),
    "as_of": lambda aim: guild.as_of(STRANGERS_YEAR[1]),
    "as_of now": lambda aim: guild.as_of(datetime.now(UTC)).order_by("memory_id"),
    "as_of one": lambda aim: guild.as_of(AFTER_ALL).filter(memory_id__in=[aim.memory_id, aim.forgotten_memory_id]),
    "find from a cursor": _from_cursor,
    "contradictions": lambda aim: guild.contradictions(),
    "relate": lambda aim: guild.relate(aim.memory_id, aim.other_memory_id, "related"),
    "relate what is related": lambda aim: guild.relate(aim.memory_id, aim.other_memory_id, "supports"),
    "relate, increase": lambda aim: guild.relate(
        aim.memory_id, aim.other_memory_id, "supports", confidence_score=1, on_existing="increase"
    ),
    "relate to a forgotten one": lambda aim: guild.relate(aim.memory_id, aim.forgotten_memory_id, "related"),
    "relate_many": lambda aim: guild.relate_many(_edges_of(aim)),
    "relate_many, increase": lambda aim: guild.relate_many(_edges_of(aim), on_existing="increase"),
    "relate_many the serializer": lambda aim: guild.relate_many(
        [MemoryRelationshipCreate(**edge) for edge in _edges_of(aim)]
    ),
    "unrelate": lambda aim: guild.unrelate(aim.memory_id, aim.other_memory_id),
    "unrelate of a type": lambda aim: guild.unrelate(aim.other_memory_id, aim.memory_id, "follows"),
    "path": lambda aim: guild.path(aim.memory_id, aim.other_memory_id),
    "path both ways": lambda aim: guild.path(aim.other_memory_id, aim.memory_id, direction="both", types="supports"),
    "subgraph of both": lambda aim: guild.subgraph(aim.memory_id, aim.other_memory_id, direction="outgoing"),
}


def other_verbs() -> Iterator[Operation]:
    """What takes two memories, or none."""
    return _operations("verb", OTHERS)
