"""The one statement that walks along edges, and which edges it follows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg

from memory_guild.arguments import check_choice, check_whole_number, column_value, column_values, current_tenant
from memory_guild.errors import InvalidInputError, MemoryNotFoundError
from memory_guild.models import MemoryRecord, MemoryRelationship
from memory_guild.statements import Statement, memories_from, model_from
from memory_guild.types import Direction, RelationshipType

Types: TypeAlias = RelationshipType | str | Collection[RelationshipType | str] | None
"""Which types of edges are followed: one or several; None for all."""

MAX_HOPS = 100

STEP_COLUMNS = 5
"""How many columns the rows of the walk have before the memory's: depth, whether it was cut, the ids of the memory and
of its parent, confidence."""

_TRAVERSE = Statement("traverse_memories")
_GET_MANY = Statement("get_memories")

_depth = itemgetter("step_depth")


@dataclass(frozen=True, slots=True)
class Follow:
    """Which edges are followed, as arguments of the statements."""

    outgoing: bool
    incoming: bool
    types: list[str] | None
    min_confidence: float | None

    @classmethod
    def checked(cls, direction: Direction | str, types: Types, min_confidence: float | None) -> Follow:
        """Made of what a caller says.

        Raises:
            InvalidInputError: It cannot be used.
        """
        chosen = check_choice("direction", direction, Direction)
        return cls(
            chosen is not Direction.INCOMING,
            chosen is not Direction.OUTGOING,
            column_values(MemoryRelationship, "relationship_type", types),
            checked_confidence(min_confidence),
        )


class Walk(NamedTuple):
    """What a walk reached.

    Attributes:
        rows: By depth, then the surest first; those of the start are there too.
        is_cut: Whether the limit ended it.
    """

    rows: list[asyncpg.Record]
    is_cut: bool


async def walk(
    start_ids: Sequence[UUID], max_hops: int, follow: Follow, limit: int, target_id: UUID | None = None
) -> Walk:
    """Walk from some memories, or as far as to another one.

    Raises:
        MemoryNotFoundError: This tenant has one of the memories not, or it is forgotten.
        InvalidInputError: An argument cannot be used.
    """
    check_whole_number("max_hops", max_hops, largest=MAX_HOPS)
    check_whole_number("limit", limit)
    start_ids = list(dict.fromkeys(start_ids))
    rows = await _TRAVERSE.fetch(
        current_tenant(),
        start_ids,
        max_hops,
        follow.outgoing,
        follow.incoming,
        follow.types,
        follow.min_confidence,
        limit,
        target_id,
    )
    rows.sort(key=_depth)
    starts = len(start_ids)
    if len(rows) < starts or _depth(rows[starts - 1]) > 0:
        found = {row["step_memory_id"] for row in rows if _depth(row) == 0}
        raise MemoryNotFoundError(*(memory_id for memory_id in start_ids if memory_id not in found))
    is_cut = rows[-1]["is_cut"]
    if rows[-1]["step_memory_id"] is None:
        del rows[-1]
    return Walk(rows, is_cut)


async def walked_memories(rows: list[asyncpg.Record]) -> list[MemoryRecord | None]:
    """The memories of the rows of a walk; None for one that was deleted or forgotten before it was read."""
    long = [row["step_memory_id"] for row in rows if row["memory_id"] is None]
    if not long:
        return list(memories_from(rows, STEP_COLUMNS))
    found = {memory.memory_id: memory for memory in memories_from(await _GET_MANY.fetch(long)) if not memory.is_deleted}
    return [
        found.get(row["step_memory_id"]) if row["memory_id"] is None else model_from(MemoryRecord, row, STEP_COLUMNS)
        for row in rows
    ]


def checked_confidence(min_confidence: Any) -> float | None:
    """A least confidence, 0 to 1, or None."""
    try:
        confidence: float | None = column_value(MemoryRelationship, "confidence_score", min_confidence)
    except InvalidInputError as error:
        raise InvalidInputError("min_confidence", error.reason) from None
    return confidence
