"""Hydrating: the memories that a search elsewhere found, as PostgreSQL has them now."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from numbers import Real
from typing import Any, NamedTuple
from uuid import UUID

from memory_guild.database.statements import Statement
from memory_guild.errors import InvalidInputError
from memory_guild.memories.arguments import check_several, current_tenant, memory_id_of
from memory_guild.memories.permitting import readable
from memory_guild.memories.results import MemoryResult, Results
from memory_guild.models import MemoryRecord
from memory_guild.rows import memories_from

_READ = Statement("memories/get_memories")


class Hydrated(MemoryResult, NamedTuple("Hydrated", [("memory", MemoryRecord), ("score", float)])):
    """A memory that a search elsewhere found. Use it as the memory.

    Attributes:
        memory: The memory.
        score: The score that it was found with.
    """

    __slots__ = ()


class HydratedMemories(Results[Hydrated]):
    """What :func:`hydrate` read, in the given order.

    Attributes:
        dropped: The ids that are no memory here: forgotten, deleted, unknown, another tenant's, or one that the access
            policies do not allow to read.
    """

    def __init__(self, hydrated: Iterable[Hydrated], dropped: list[UUID]) -> None:
        super().__init__(hydrated)
        self.dropped = dropped


async def hydrate(vector_hits: Iterable[Any]) -> HydratedMemories:
    """Read the memories that a search elsewhere found, in its order and with its scores.

    A store outside PostgreSQL may still have what is forgotten here, and anything else. Only this tenant's memories
    that are not forgotten are returned.

    Args:
        vector_hits: What the search found, best first: pairs of a memory or its id and a score, dicts with
            ``memory_id`` or ``id`` and ``score``, or objects with these attributes, such as Qdrant's. Of several with
            the same id the first one counts.

    Returns:
        The memories and their scores; ``.dropped`` has the ids that are none.

    Raises:
        InvalidInputError: A hit is none of these, or its id is no UUID.
        TenantNotSetError: There is no scope.
    """
    tenant_id = current_tenant()
    scores: dict[UUID, float] = {}
    for number, hit in enumerate(check_several("vector_hits", vector_hits)):
        memory_id, score = _hit(f"vector_hits[{number}]", hit)
        scores.setdefault(memory_id, score)
    rows = await _READ.fetch(list(scores)) if scores else []
    live = [memory for memory in memories_from(rows) if memory.tenant_id == tenant_id and not memory.is_deleted]
    found = {memory.memory_id: memory for memory in await readable(live)}
    return HydratedMemories(
        (Hydrated(found[memory_id], score) for memory_id, score in scores.items() if memory_id in found),
        [memory_id for memory_id in scores if memory_id not in found],
    )


def _hit(field: str, hit: Any) -> tuple[UUID, float]:
    if isinstance(hit, (tuple, list)) and len(hit) == 2:
        memory, score = hit
    elif isinstance(hit, Mapping):
        memory, score = hit.get("memory_id", hit.get("id")), hit.get("score")
    else:
        memory, score = getattr(hit, "memory_id", getattr(hit, "id", None)), getattr(hit, "score", None)
    if memory is None or score is None:
        raise InvalidInputError(field, "must be a pair of a memory and a score, or have an id and a score")
    return memory_id_of(field, memory), _score(f"{field}.score", score)


def _score(field: str, score: object) -> float:
    with suppress(OverflowError):  # an integer may be too large
        if isinstance(score, Real) and not isinstance(score, bool) and math.isfinite(number := float(score)):
            return number
    raise InvalidInputError(field, "must be a finite number")
